//! `hopline explain`: the catalogue's pages.

use checks::{CATALOGUE, Check};
use serde_json::json;

use crate::failure::Failure;
use crate::nearest::meant;
use crate::output;
use crate::plan::Format;

pub(super) fn run(code: Option<&str>, format: Format) -> Result<(), Failure> {
    let Some(code) = code else { return list(format) };
    let page = checks::explain(code).ok_or_else(|| {
        let failure = Failure::new(format!("there is no finding `{code}`"));
        match meant(code, CATALOGUE.iter().map(|check| check.code)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`hopline explain` lists all"),
        }
    })?;
    match format {
        Format::Json => output::json(&json!({ "code": code, "page": page })),
        Format::Terminal(_) | Format::Minimal => output::print(|out| write!(out, "{page}")),
    }
}

fn list(format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let entry = |check: &Check| json!({ "code": check.code, "summary": check.summary() });
        return output::json(&CATALOGUE.iter().map(entry).collect());
    }
    let columns = CATALOGUE.iter().map(|check| check.code.len()).max().unwrap_or(0);
    output::print(|out| {
        CATALOGUE.iter().try_for_each(|check| writeln!(out, "{:columns$}  {}", check.code, check.summary()))
    })
}
