//! The contract's JSON, `hopline.report/1`. The shape is spelt out here and not left to the
//! model's own serialisation, so that a change of the model cannot change what scripts read.

mod seen;

use std::io::{self, Write};

use model::finding::{Confidence, Evidence, EvidenceKind, Finding, Outcome, Remedy};
use model::path::{Direction, Disposition, Exchange, Hop, Observed, Path, Place, Predicted};
use model::{Diagnosis, snapshot};
use serde::Serialize;

use self::seen::SeenView;
use crate::clean::is_hidden;

/// Name and version of the shape.
pub const SCHEMA: &str = "hopline.report/1";

#[derive(Serialize)]
struct ReportView<'a> {
    schema: &'static str,
    command: &'a str,
    subject: &'a str,
    outcome: Outcome,
    findings: Vec<FindingView<'a>>,
    paths: Vec<PathView<'a>>,
    journeys: Vec<SeenView<'a>>,
    coverage: CoverageView<'a>,
    elapsed_ms: u64,
}

#[derive(Serialize)]
struct FindingView<'a> {
    code: &'a str,
    hop: PlaceView<'a>,
    direction: Direction,
    exchange: Exchange,
    summary: &'a str,
    cause: &'a str,
    confidence: Confidence,
    evidence: Vec<EvidenceView<'a>>,
    owner: &'a str,
    remedy: Vec<RemedyView<'a>>,
    instances: &'a [String],
}

#[derive(Serialize)]
struct PlaceView<'a> {
    host: &'a str,
    netns: &'a str,
    device: &'a str,
    stage: &'static str,
}

#[derive(Serialize)]
struct EvidenceView<'a> {
    kind: EvidenceKind,
    source: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct RemedyView<'a> {
    command: &'a str,
    undo: &'a str,
    note: &'a str,
}

#[derive(Serialize)]
struct PathView<'a> {
    exchange: Exchange,
    direction: Direction,
    hops: Vec<HopView<'a>>,
    disposition: &'static str,
}

#[derive(Serialize)]
struct HopView<'a> {
    #[serde(flatten)]
    at: PlaceView<'a>,
    predicted: Predicted,
    observed: Observed,
    packet: &'a str,
    detail: &'a str,
}

#[derive(Serialize)]
struct CoverageView<'a> {
    looked_at: &'a [String],
    gaps: Vec<GapView<'a>>,
}

#[derive(Serialize)]
struct GapView<'a> {
    what: &'a str,
    why: &'a str,
    would_need: &'a str,
}

/// Writes the one JSON document, with a newline at its end.
///
/// Characters that a terminal obeys are written as `\uXXXX`: readers of the JSON get them back
/// as they were, and someone who looks at the document in a terminal is not fooled.
pub fn json(diagnosis: &Diagnosis, elapsed_ms: u64, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string_pretty(&view(diagnosis, elapsed_ms))?;
    writeln!(out, "{}", escape_hidden(&text))
}

fn view(diagnosis: &Diagnosis, elapsed_ms: u64) -> ReportView<'_> {
    let coverage = &diagnosis.coverage;
    ReportView {
        schema: SCHEMA,
        command: &diagnosis.command,
        subject: &diagnosis.subject,
        outcome: diagnosis.outcome,
        findings: diagnosis.findings.iter().map(finding_view).collect(),
        paths: diagnosis.paths.iter().map(path_view).collect(),
        journeys: diagnosis.seen.iter().map(seen::view).collect(),
        coverage: CoverageView {
            looked_at: &coverage.looked_at,
            gaps: coverage.gaps.iter().map(gap_view).collect(),
        },
        elapsed_ms,
    }
}

fn finding_view(finding: &Finding) -> FindingView<'_> {
    FindingView {
        code: &finding.code,
        hop: place_view(&finding.hop),
        direction: finding.direction,
        exchange: finding.exchange,
        summary: &finding.summary,
        cause: &finding.cause,
        confidence: finding.confidence,
        evidence: finding.evidence.iter().map(evidence_view).collect(),
        owner: &finding.owner,
        remedy: finding.remedy.iter().map(remedy_view).collect(),
        instances: &finding.instances,
    }
}

fn place_view(place: &Place) -> PlaceView<'_> {
    PlaceView { host: &place.host, netns: &place.netns, device: &place.device, stage: place.stage.name() }
}

fn evidence_view(evidence: &Evidence) -> EvidenceView<'_> {
    EvidenceView { kind: evidence.kind, source: &evidence.source, text: &evidence.text }
}

fn remedy_view(remedy: &Remedy) -> RemedyView<'_> {
    RemedyView { command: &remedy.command, undo: &remedy.undo, note: &remedy.note }
}

fn path_view(path: &Path) -> PathView<'_> {
    PathView {
        exchange: path.exchange,
        direction: path.direction,
        hops: path.hops.iter().map(hop_view).collect(),
        disposition: match path.disposition {
            Disposition::Delivered { .. } => "delivered",
            Disposition::Dropped(_) => "dropped",
            Disposition::LeftSite => "left-site",
            Disposition::Unknown { .. } => "unknown",
        },
    }
}

fn hop_view(hop: &Hop) -> HopView<'_> {
    HopView {
        at: place_view(&hop.at),
        predicted: hop.predicted,
        observed: hop.observed,
        packet: &hop.packet,
        detail: &hop.detail,
    }
}

fn gap_view(gap: &snapshot::Gap) -> GapView<'_> {
    GapView { what: &gap.what, why: &gap.why, would_need: &gap.would_need }
}

/// serde_json escapes ASCII control characters itself; outside ASCII only strings hold anything,
/// so every hidden character found here stands inside one.
pub(crate) fn escape_hidden(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_hidden(c) {
            out.push(c);
            continue;
        }
        out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
    }
    out
}
