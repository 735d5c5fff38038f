//! What the picture is of: the path that shows the first finding, the way back that belongs to it, and the break.

use model::path::{Direction, Disposition, Exchange, Path, Predicted, Step, Stop};
use model::{Diagnosis, Finding};

use crate::tree;

/// A path and the one that answers it, by their indexes in the diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// The way there; a way back that has no request stands here itself.
    pub(crate) there: usize,
    /// Its answer.
    pub(crate) back: Option<usize>,
}

/// Where the packet dies, or where what was found is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Break {
    /// On the way back.
    pub(crate) is_back: bool,
    /// Index of the hop in its path.
    pub(crate) hop: usize,
    /// `STOP` where the walk foresees it; `HERE` where only what was seen tells it.
    pub(crate) word: &'static str,
    /// `compute1 br100`.
    pub(crate) place: String,
    /// Why, in a line; then what decides it, with its counters.
    pub(crate) lines: Vec<String>,
}

/// The path that the finding is on, else the first; none where nothing was asked.
pub(crate) fn told(diagnosis: &Diagnosis) -> Option<Told> {
    let shown = shows_first_finding(diagnosis).or((!diagnosis.paths.is_empty()).then_some(0))?;
    let path = diagnosis.paths.get(shown)?;
    match path.direction {
        Direction::Reply => {
            let before = shown.checked_sub(1);
            let request =
                before.filter(|at| diagnosis.paths.get(*at).is_some_and(|other| answers(path, other)));
            Some(match request {
                Some(there) => Told { there, back: Some(shown) },
                None => Told { there: shown, back: None },
            })
        }
        Direction::Request | Direction::Both => {
            let back = diagnosis.paths.get(shown + 1).is_some_and(|next| answers(next, path));
            Some(Told { there: shown, back: back.then_some(shown + 1) })
        }
    }
}

/// Ways stand in the order of the questions, each answer behind its request.
fn answers(reply: &Path, request: &Path) -> bool {
    reply.direction == Direction::Reply
        && request.direction == Direction::Request
        && reply.exchange == request.exchange
}

/// The path that shows the first finding: dropped at its hop in its conversation; else dropped
/// there at all; else the first that is dropped; else the first that ends there, of its conversation
/// where there is one, or comes by.
pub(crate) fn shows_first_finding(diagnosis: &Diagnosis) -> Option<usize> {
    let finding = diagnosis.findings.first()?;
    let position = |wanted: &dyn Fn(&Path) -> bool| diagnosis.paths.iter().position(wanted);
    let stops_here =
        |path: &Path| path.hops.iter().any(|hop| hop.at == finding.hop && hop.predicted == Predicted::Drop);
    let ends_here = |path: &Path| path.hops.last().is_some_and(|hop| hop.at.same_device(&finding.hop));
    position(&|path| stops_here(path) && is_of(path, finding))
        .or_else(|| position(&stops_here))
        .or_else(|| position(&|path| path.stop().is_some() && is_of(path, finding)))
        .or_else(|| position(&|path| path.stop().is_some()))
        .or_else(|| position(&|path| ends_here(path) && is_of(path, finding)))
        .or_else(|| position(&ends_here))
        .or_else(|| position(&|path| path.hops.iter().any(|hop| hop.at == finding.hop)))
}

fn is_of(path: &Path, finding: &Finding) -> bool {
    path.exchange == finding.exchange
        && (path.direction == finding.direction || finding.direction == Direction::Both)
}

/// The break on either way: where the packet stops, else where the finding is.
pub(crate) fn broken(diagnosis: &Diagnosis, told: Told) -> Option<Break> {
    let ways = [(false, Some(told.there)), (true, told.back)];
    let ways = ways.into_iter().filter_map(|(is_back, at)| Some((is_back, diagnosis.paths.get(at?)?)));
    let ways: Vec<(bool, &Path)> = ways.collect();
    let stops = ways.iter().find_map(|(is_back, path)| {
        let (hop, stop) = path.stop()?;
        let decided_by = decided_by(path, stop);
        // The rule with its counters says all that the hop says of it, and where it stands.
        let says_rule = |rule: &str| hop.detail.rsplit(": ").next().is_some_and(|end| rule.contains(end));
        let detail = if decided_by.as_deref().is_some_and(says_rule) { "" } else { hop.detail.as_str() };
        let lines = std::iter::once(detail.to_owned()).chain(decided_by);
        let lines = lines.filter(|line| !line.is_empty()).collect();
        let place = tree::place_name(&hop.at);
        Some(Break { is_back: *is_back, hop: path.hops.len() - 1, word: "STOP", place, lines })
    });
    let finding = diagnosis.findings.first().filter(|finding| finding.exchange != Exchange::None);
    stops.or_else(|| {
        let finding = finding?;
        let position = |path: &Path| {
            let is_here = path.hops.iter().position(|hop| hop.at == finding.hop);
            is_here.or_else(|| path.hops.iter().position(|hop| hop.at.same_device(&finding.hop)))
        };
        let (is_back, hop) = ways.iter().find_map(|(is_back, path)| Some((*is_back, position(path)?)))?;
        let place = tree::place_name(&finding.hop);
        Some(Break { is_back, hop, word: "HERE", place, lines: vec![finding.cause.clone()] })
    })
}

/// The rule or policy with its counters; else the last thing that was decided there.
fn decided_by(path: &Path, stop: &Stop) -> Option<String> {
    match (stop, &path.disposition) {
        (Stop::Rule(rule) | Stop::Policy(rule), Disposition::Dropped(_)) => Some(tree::rule_text(rule)),
        _ => path.hops.last()?.steps.iter().rev().find_map(|step| match step {
            Step::Rule(rule) => Some(tree::rule_text(rule)),
            Step::Routed(route) => Some(format!("route: {route}")),
            Step::Bridged(_) | Step::Rewritten(..) | Step::Resolved(_) | Step::Note(_) => None,
        }),
    }
}
