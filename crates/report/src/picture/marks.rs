//! Marks at stations: each says by its shape what its colour says.

use std::fmt::Write as _;

use model::path::{Observed, Predicted};

use super::stations::Call;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// A cross in a square: the packet ends here.
    Break,
    /// A diamond with a question mark.
    Unsure,
    /// A disc with a tick: foreseen to pass, and seen.
    Seen,
    /// A ring that is struck through: foreseen to pass, watched for, and not seen.
    NotSeen,
    /// A ring: foreseen to pass.
    Pass,
}

impl Sign {
    pub(super) fn of(call: &Call<'_>, is_break: bool) -> Sign {
        match (is_break, call.predicted(), call.observed()) {
            (true, _, _) | (_, Predicted::Drop, _) => Sign::Break,
            (_, _, Observed::NotSeen) => Sign::NotSeen,
            (_, _, Observed::Seen) => Sign::Seen,
            (_, Predicted::Unknown, Observed::NotWatched) => Sign::Unsure,
            (_, Predicted::Pass, Observed::NotWatched) => Sign::Pass,
        }
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Sign::Break => "ends here",
            Sign::Unsure => "not known",
            Sign::Seen => "passes, seen",
            Sign::NotSeen => "not seen",
            Sign::Pass => "passes, by prediction",
        }
    }

    /// Draws it around a point.
    pub(super) fn draw(self, out: &mut String, x: usize, y: usize) {
        match self {
            Sign::Break => {
                let _ = writeln!(
                    out,
                    "<rect class=\"bad\" x=\"{}\" y=\"{}\" width=\"24\" height=\"24\" rx=\"5\"/><path class=\"cut\" \
                     d=\"M{} {}l12 12m0 -12l-12 12\"/>",
                    x - 12,
                    y - 12,
                    x - 6,
                    y - 6,
                );
            }
            Sign::Unsure => {
                let _ = writeln!(
                    out,
                    "<path class=\"unsure\" d=\"M{x} {}l11 11l-11 11l-11 -11z\"/><text class=\"ask\" x=\"{x}\" \
                     y=\"{}\">?</text>",
                    y - 11,
                    y + 4,
                );
            }
            Sign::Seen => {
                let _ = writeln!(
                    out,
                    "<circle class=\"seen\" cx=\"{x}\" cy=\"{y}\" r=\"9\"/><path class=\"tick\" d=\"M{} {y}l3 \
                     3.5l5.5 -7\"/>",
                    x - 4,
                );
            }
            Sign::NotSeen => {
                let _ = writeln!(
                    out,
                    "<circle class=\"missed\" cx=\"{x}\" cy=\"{y}\" r=\"8\"/><path class=\"missed\" d=\"M{} {}l18 \
                     -18\"/>",
                    x - 9,
                    y + 9,
                );
            }
            Sign::Pass => {
                let _ = writeln!(out, "<circle class=\"pass\" cx=\"{x}\" cy=\"{y}\" r=\"7\"/>");
            }
        }
    }
}
