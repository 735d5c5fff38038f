//! Findings and the diagnosis: the contract's `hopline.report/1`.

use serde::{Deserialize, Serialize};

use crate::journey::SeenWay;
use crate::path::{Direction, Exchange, Path, Place};
use crate::probe::QuestionId;
use crate::snapshot::Gap;

/// All that a run concluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// `diagnose`, `check` or `path`.
    pub command: String,
    /// What was asked about: an instance, a host, `SRC DST`.
    pub subject: String,
    /// What came out.
    pub outcome: Outcome,
    /// Ordered: what stops the packet first comes first, what stops nothing last.
    pub findings: Vec<Finding>,
    /// The paths walked, in the order of the ladder.
    pub paths: Vec<Path>,
    /// Of those questions whose packets were watched for: how these were seen to go.
    #[serde(default)]
    pub seen: Vec<SeenWay>,
    /// Questions whose silence is no fault: who was asked may choose not to answer, or may not be there.
    #[serde(default)]
    pub excused: Vec<QuestionId>,
    /// What was looked at, and what could not be.
    pub coverage: Coverage,
}

/// The three outcomes, and their exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Looked, and found no fault: exit code 0.
    Healthy,
    /// At least one fault: exit code 1.
    Fault,
    /// No fault proved, and something that matters could not be seen: exit code 3.
    Undetermined,
}

impl Outcome {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Healthy => 0,
            Outcome::Fault => 1,
            Outcome::Undetermined => 3,
        }
    }
}

/// What a run looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Sources read: `compute1: links, routes, netfilter, ...`.
    pub looked_at: Vec<String>,
    /// What could not be learned.
    pub gaps: Vec<Gap>,
}

/// One named fault at one hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Kebab-case, stable for ever.
    pub code: String,
    /// Where.
    pub hop: Place,
    /// Which half of the conversation it hurts.
    pub direction: Direction,
    /// Which conversation; `None` for what stops nothing.
    pub exchange: Exchange,
    /// One sentence that a person would say.
    pub summary: String,
    /// The mechanism, one sentence.
    pub cause: String,
    /// How sure.
    pub confidence: Confidence,
    /// Never empty.
    pub evidence: Vec<Evidence>,
    /// Who manages what is wrong: nova-network, libvirt, docker, operator, unknown, ...
    pub owner: String,
    /// What mends it, best first.
    pub remedy: Vec<Remedy>,
    /// The instances it hits, by name.
    pub instances: Vec<String>,
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// The evidence leaves no other reading.
    Proven,
    /// Another reading exists and is less likely.
    Likely,
    /// One of several.
    Possible,
}

/// A line or figure that proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What sort of thing it is.
    pub kind: EvidenceKind,
    /// The file or command that it can be seen with.
    pub source: String,
    /// The very line or figure.
    pub text: String,
}

/// What sort of thing a piece of evidence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// State of a link, route, neighbour, process.
    State,
    /// A netfilter rule.
    Rule,
    /// A counter.
    Counter,
    /// A packet seen.
    Capture,
    /// The answer to something we sent, or its absence.
    Probe,
    /// A log line.
    Log,
    /// A database row.
    Db,
    /// A line of a configuration file or XML.
    Config,
    /// A sysctl.
    Sysctl,
}

/// What mends a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// What to type, in the owner's language.
    pub command: String,
    /// What takes it back; empty where nothing does.
    pub undo: String,
    /// Blast radius; empty for none.
    pub note: String,
}

impl Remedy {
    /// A change of the database that hopline itself makes, looking again in one transaction and putting what was there
    /// on record; `command` is what goes behind `hopline db`, and `note` what it disturbs.
    pub fn by_hopline(command: &str, note: &str) -> Remedy {
        Remedy {
            command: format!("hopline db {command} --apply"),
            undo: "hopline db undo ID".to_owned(),
            note: format!("without --apply it says what it would do, and with it the ID of its undo; {note}"),
        }
    }
}
