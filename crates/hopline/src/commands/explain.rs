//! `hopline explain`: the pages of the findings, of the diagnosis, of the database and of packets.

use checks::CATALOGUE;
use cloud::DB_CATALOGUE;
use report::PACKET_CATALOGUE;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::nearest::meant;
use crate::output;
use crate::plan::Format;

pub(super) fn run(code: Option<&str>, format: Format) -> Result<(), Failure> {
    let Some(code) = code else { return list(format) };
    let of_database = || DB_CATALOGUE.iter().find(|check| check.code == code)?.page();
    let of_packets = || Some(PACKET_CATALOGUE.iter().find(|finding| finding.code == code)?.page.to_owned());
    let page = checks::explain(code).or_else(of_database).or_else(of_packets).ok_or_else(|| {
        let failure = Failure::new(format!("there is no finding `{code}`"));
        let entries = entries();
        match meant(code, entries.iter().map(|(known, _)| *known)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`hopline explain` lists all"),
        }
    })?;
    match format {
        Format::Json => output::json(&json!({ "code": code, "page": page })),
        Format::Terminal(_) | Format::Minimal => output::print(|out| write!(out, "{page}")),
    }
}

/// Every code that has a page, with its first sentence; what both the diagnosis and the database tell, once.
fn entries() -> Vec<(&'static str, String)> {
    let of_diagnosis = CATALOGUE.iter().map(|check| (check.code, check.summary()));
    let of_database = DB_CATALOGUE.iter().filter_map(|check| Some((check.code, check.summary()?)));
    let of_packets = PACKET_CATALOGUE.iter().map(|finding| (finding.code, finding.summary().to_owned()));
    of_diagnosis.chain(of_database).chain(of_packets).collect()
}

fn list(format: Format) -> Result<(), Failure> {
    let entries = entries();
    if format == Format::Json {
        let entry = |(code, summary): &(&str, String)| json!({ "code": code, "summary": summary });
        return output::json(&entries.iter().map(entry).collect::<Value>());
    }
    let rows: Vec<(&str, &str)> = entries.iter().map(|(code, summary)| (*code, summary.as_str())).collect();
    output::listing(&rows, format)
}
