//! In which order, and why just then, questions were asked.

use model::path::{Exchange, Place};
use model::probe::QuestionId;

use super::Question;

/// A question that was asked, and why just then.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// From 1.
    pub(crate) wave: usize,
    /// Which of the turns made it worth asking; `None` for what is asked of itself.
    pub(crate) after: Option<usize>,
    pub(crate) question: QuestionId,
    pub(crate) why: String,
    /// Where the question whose silence was the reason may still be lost; empty where none was.
    pub(crate) left: Vec<Place>,
}

pub(super) fn turn(
    wave: usize,
    after: Option<usize>,
    question: &Question,
    (why, left): (String, Vec<Place>),
) -> Turn {
    Turn { wave, after, question: id(question), why, left }
}

/// Which question it is, as what comes of it will have it.
pub(super) fn id(question: &Question) -> QuestionId {
    let (from, to) = (question.rung.from.clone(), question.rung.to);
    let Some(probe) = question.probes.first() else {
        return QuestionId { from, to, exchange: Exchange::None, octets: None, port: None };
    };
    QuestionId { from, to, exchange: probe.mark().0, octets: probe.octets(), port: probe.service_port() }
}
