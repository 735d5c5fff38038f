//! `--json` as scripts read it: held to docs/contract.md field by field, then asked for its findings.

use serde_json::Value;

use crate::cli_support::Run;

/// A document of schema hopline.report/1, and the exit code beside it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: i32,
    pub(crate) json: Value,
    /// What was asked, for messages.
    asked: String,
}

impl Report {
    /// Reads a run's stdout, which must be one document as the contract shows it.
    pub(crate) fn of(run: &Run, arguments: &[&str]) -> Report {
        let asked = arguments.join(" ");
        let json: Value = serde_json::from_str(&run.stdout)
            .unwrap_or_else(|e| panic!("hopline {asked}: stdout is no JSON document: {e}: {run:?}"));
        let report = Report { code: run.code, json, asked };
        report.assert_contract();
        report
    }

    /// `CODE HOST/NETNS/DEVICE` of each finding, in order.
    pub(crate) fn findings(&self) -> Vec<String> {
        let one = |finding: &Value| format!("{} {}", text(&finding["code"]), place(&finding["hop"]));
        list(&self.json["findings"]).iter().map(one).collect()
    }

    /// What is wrong, if this is not exactly these findings in this order with the exit code that belongs
    /// to them: 1, or 0 where none is expected. `when` tells the case apart in the message.
    pub(crate) fn complaint(&self, expected: &[impl AsRef<str>], when: &str) -> Option<String> {
        let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
        let code = i32::from(!expected.is_empty());
        let found = self.findings();
        if found == expected && self.code == code {
            return None;
        }
        let (asked, got) = (&self.asked, self.code);
        let (findings, gaps) = (&self.json["findings"], &self.json["coverage"]["gaps"]);
        Some(format!(
            "{when}: hopline {asked}\n  expected exit code {code}: {expected:?}\n  \
             got exit code {got}: {found:?}\n{findings:#}\ngaps: {gaps:#}"
        ))
    }

    /// Demands exactly these findings, in this order, and the exit code that belongs to them.
    #[track_caller]
    pub(crate) fn assert_finds(&self, expected: &[impl AsRef<str>], when: &str) {
        if let Some(complaint) = self.complaint(expected, when) {
            panic!("{complaint}");
        }
    }

    /// Demands exit code 0 and not one finding.
    #[track_caller]
    pub(crate) fn assert_healthy(&self, when: &str) {
        self.assert_finds(&[""; 0], when);
    }

    /// Every field of the contract is there, of its type and from its closed set.
    #[track_caller]
    fn assert_contract(&self) {
        let report = &self.json;
        assert_eq!(report["schema"], "hopline.report/1");
        one_of(report, "command", &["diagnose", "check", "path", "db check"]);
        one_of(report, "outcome", &["fault", "healthy", "undetermined"]);
        texts(report, &["subject"]);
        assert!(report["elapsed_ms"].is_u64(), "{report}");
        list(&report["findings"]).iter().for_each(finding);
        list(&report["paths"]).iter().for_each(path);
        let coverage = &report["coverage"];
        assert!(list(&coverage["looked_at"]).iter().all(Value::is_string), "{coverage}");
        list(&coverage["gaps"]).iter().for_each(|gap| texts(gap, &["what", "why", "would_need"]));
        let expected = match text(&report["outcome"]) {
            "healthy" => 0,
            "fault" => 1,
            _ => 3,
        };
        assert_eq!(self.code, expected, "{report}");
    }
}

const EXCHANGES: [&str; 7] = ["arp", "dhcp", "dns", "icmp", "tcp", "udp", "none"];

fn finding(finding: &Value) {
    texts(finding, &["code", "summary", "cause", "owner"]);
    texts(&finding["hop"], &["host", "netns", "device", "stage"]);
    one_of(finding, "direction", &["request", "reply", "both"]);
    one_of(finding, "exchange", &EXCHANGES);
    one_of(finding, "confidence", &["proven", "likely", "possible"]);
    assert!(!list(&finding["evidence"]).is_empty(), "no evidence: {finding}");
    for evidence in list(&finding["evidence"]) {
        let kinds = ["state", "rule", "counter", "capture", "probe", "log", "db", "config", "sysctl"];
        one_of(evidence, "kind", &kinds);
        texts(evidence, &["source", "text"]);
    }
    list(&finding["remedy"]).iter().for_each(|remedy| texts(remedy, &["command", "undo", "note"]));
    assert!(list(&finding["instances"]).iter().all(Value::is_string), "{finding}");
}

fn path(path: &Value) {
    one_of(path, "exchange", &EXCHANGES);
    one_of(path, "direction", &["request", "reply", "both"]);
    one_of(path, "disposition", &["delivered", "dropped", "left-site", "unknown"]);
    for hop in list(&path["hops"]) {
        texts(hop, &["host", "netns", "device", "stage", "packet", "detail"]);
        one_of(hop, "predicted", &["pass", "drop", "unknown"]);
        one_of(hop, "observed", &["seen", "not-seen", "not-watched"]);
    }
}

#[track_caller]
fn texts(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value[key].is_string(), "{key} is no text: {value:#}");
    }
}

#[track_caller]
fn one_of(value: &Value, key: &str, allowed: &[&str]) {
    assert!(value[key].as_str().is_some_and(|word| allowed.contains(&word)), "{key}: {value:#}");
}

#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// `HOST/NETNS/DEVICE`.
pub(crate) fn place(hop: &Value) -> String {
    format!("{}/{}/{}", text(&hop["host"]), text(&hop["netns"]), text(&hop["device"]))
}

/// `HOST/DEVICE observed` of every hop of the paths of real pings, in one direction.
pub(crate) fn hops(report: &Value, to: &str, direction: &str) -> Vec<String> {
    legs(report, "icmp", to, direction)
}

/// The same of any conversation. `to` is in what a packet of it is printed as.
pub(crate) fn legs(report: &Value, exchange: &str, to: &str, direction: &str) -> Vec<String> {
    let told =
        |hop: &Value| format!("{}/{} {}", text(&hop["host"]), text(&hop["device"]), text(&hop["observed"]));
    leg(report, exchange, to, direction).iter().map(told).collect()
}

/// The hops themselves of the first such path.
pub(crate) fn leg(report: &Value, exchange: &str, to: &str, direction: &str) -> Vec<Value> {
    let is_ours =
        |path: &&Value| text(&path["exchange"]) == exchange && text(&path["direction"]) == direction;
    let hops = |path: &Value| list(&path["hops"]).to_vec();
    let goes_there = |path: &&Value| hops(path).iter().any(|hop| text(&hop["packet"]).contains(to));
    let path = list(&report["paths"]).iter().filter(is_ours).find(goes_there);
    hops(path.unwrap_or_else(|| panic!("no {exchange} {direction} of {to}: {:#}", report["paths"])))
}

/// What was asked, in its order: the question, what came of it, and why it was asked.
pub(crate) fn asked(report: &Value) -> Vec<String> {
    let lines = list(&report["coverage"]["looked_at"]).iter().map(text);
    lines.filter_map(|line| line.strip_prefix("asked, ")).map(str::to_owned).collect()
}

/// A count of pings as though nobody had asked eight times more: which of several lossy questions is, is a matter of
/// which answer is missing first.
pub(crate) fn without_more(told: &str) -> String {
    told.split(' ').map(|word| if word == "8" { "2" } else { word }).collect::<Vec<_>>().join(" ")
}
