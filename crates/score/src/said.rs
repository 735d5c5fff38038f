//! What `hopline` said, read from its JSON, and held to what was done.

use serde::Deserialize;
use serde_json::Value;

/// What a diagnosis ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Nothing is wrong.
    Healthy,
    /// A fault was found.
    Fault,
    /// None was proved, and something that matters could not be seen.
    Undetermined,
}

/// A diagnosis, as far as it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// What it ended with.
    pub outcome: Outcome,
    /// `CODE HOST/NETNS/DEVICE` of each finding, in order.
    pub findings: Vec<String>,
}

/// The part of `hopline.report/1` that is read here.
#[derive(Deserialize)]
struct Report {
    schema: String,
    outcome: Outcome,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    code: String,
    hop: Hop,
}

#[derive(Deserialize)]
struct Hop {
    host: String,
    netns: String,
    device: String,
}

impl Said {
    /// Reads a document of `hopline.report/1`; `Err` says what is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Said, String> {
        let document: Value = serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))?;
        let report: Report = serde_json::from_value(document).map_err(|e| format!("no report: {e}"))?;
        if report.schema != "hopline.report/1" {
            return Err(format!("a document of {}", report.schema));
        }
        let line =
            |Finding { code, hop: Hop { host, netns, device } }| format!("{code} {host}/{netns}/{device}");
        Ok(Said { outcome: report.outcome, findings: report.findings.into_iter().map(line).collect() })
    }
}

/// The code of a finding's line.
pub(crate) fn code(finding: &str) -> &str {
    finding.split(' ').next().unwrap_or(finding)
}

/// The place of a finding's line.
pub(crate) fn place(finding: &str) -> &str {
    finding.split_once(' ').map_or("", |(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_what_is_none_is_refused() {
        let hop = r#"{"host":"compute1","netns":"","device":"eth0","stage":"wire"}"#;
        let text = |schema: &str| {
            format!(
                r#"{{"schema":"{schema}","outcome":"fault","findings":[{{"code":"uplink-down","hop":{hop}}}]}}"#
            )
        };
        let said = Said::read(&text("hopline.report/1")).unwrap();
        assert_eq!(
            said,
            Said { outcome: Outcome::Fault, findings: vec!["uplink-down compute1//eth0".to_owned()] }
        );
        assert_eq!(place(&said.findings[0]), "compute1//eth0");
        assert!(Said::read(&text("hopline.report/2")).is_err());
        assert!(Said::read("{}").is_err() && Said::read("").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = Said::read(&text);
        }
    }
}
