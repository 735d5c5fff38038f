//! What is still possible of what was asked: where questions that nobody answered may have been lost.

use checks::next::{self, Candidate, Left};
use model::path::Place;
use model::probe::QuestionId;

use super::Talk;
use super::turn::id;

/// A question that nobody answered, and where it may have been lost for all that others' answers tell.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) question: QuestionId,
    pub(crate) places: Vec<Place>,
}

impl<'q> Talk<'q, '_> {
    pub(super) fn candidates(&self, of_it: &[usize]) -> Vec<Candidate<'q>> {
        let candidate = |at: &usize| {
            let (question, stand) = (self.questions.get(*at)?, *self.stands.get(*at)?);
            Some(Candidate { rung: &question.rung, is_own: question.is_own, stand })
        };
        of_it.iter().filter_map(candidate).collect()
    }

    /// What is possible now of all that was asked.
    pub(super) fn left(&self) -> Vec<Open> {
        let of_group = |of_it: &Vec<usize>| {
            let candidates = self.candidates(of_it);
            let open = |left: Left| {
                let question = self.questions.get(*of_it.get(left.candidate)?)?;
                Some(Open { question: id(question), places: left.places })
            };
            next::left(&candidates).into_iter().filter_map(open).collect::<Vec<_>>()
        };
        self.groups.values().flat_map(of_group).collect()
    }
}
