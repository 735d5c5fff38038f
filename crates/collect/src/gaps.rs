//! Turning what could not be read into gaps.

use model::snapshot::Gap;
use parse::Problem;

/// What could not be read of a machine, why, and what would settle it.
#[expect(clippy::needless_pass_by_value, reason = "callers hand over errors and texts alike")]
pub(crate) fn gap(what: impl Into<String>, why: impl ToString, would_need: impl Into<String>) -> Gap {
    Gap { what: what.into(), why: why.to_string(), would_need: would_need.into() }
}

/// Places of a source that could not be parsed: the first few in full, the rest as a count.
pub(crate) fn unparsed(source: &str, problems: &[Problem]) -> Vec<Gap> {
    const SHOWN: usize = 5;
    let told = |p: &Problem| gap(format!("part of {source}"), p, format!("{source}, {}", place(p)));
    let mut gaps: Vec<Gap> = problems.iter().take(SHOWN).map(told).collect();
    if problems.len() > SHOWN {
        let more = problems.len() - SHOWN;
        gaps.push(gap(format!("part of {source}"), format!("{more} more places could not be read"), source));
    }
    gaps
}

fn place(problem: &Problem) -> String {
    format!("line {}", problem.line)
}
