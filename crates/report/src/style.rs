//! How a terminal page looks: colour, width, marks.

use anstyle::{AnsiColor, Style as Ansi};
use model::path::Predicted;

/// What the reader's terminal can show and how much of it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Use ANSI colours.
    pub color: bool,
    /// Show everything: all paths in full, each decision, all sources.
    pub verbose: bool,
    /// Columns to wrap at.
    pub width: usize,
    /// Marks and dashes beyond ASCII may be used.
    pub unicode: bool,
}

impl Default for Style {
    fn default() -> Style {
        Style { color: false, verbose: false, width: 80, unicode: true }
    }
}

/// What a piece of text is there for, and so how it is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Strong,
    Dim,
    Good,
    Bad,
    Unsure,
}

impl Role {
    pub(crate) fn ansi(self) -> Ansi {
        let colour = |c: AnsiColor| Ansi::new().fg_color(Some(c.into()));
        match self {
            Role::Plain => Ansi::new(),
            Role::Strong => Ansi::new().bold(),
            Role::Dim => Ansi::new().dimmed(),
            Role::Good => colour(AnsiColor::Green),
            Role::Bad => colour(AnsiColor::Red).bold(),
            Role::Unsure => colour(AnsiColor::Yellow),
        }
    }
}

/// A mark, its word and its colour: three ways to say the same, so that none is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) role: Role,
    unicode: char,
    ascii: char,
    /// The mark in a word.
    pub(crate) word: &'static str,
}

impl Mark {
    pub(crate) const PASS: Mark = Mark { role: Role::Good, unicode: '✓', ascii: '+', word: "ok" };
    pub(crate) const STOP: Mark = Mark { role: Role::Bad, unicode: '✗', ascii: 'x', word: "STOP" };
    pub(crate) const UNSURE: Mark = Mark { role: Role::Unsure, unicode: '?', ascii: '?', word: "?" };

    pub(crate) fn of(predicted: Predicted) -> Mark {
        match predicted {
            Predicted::Pass => Mark::PASS,
            Predicted::Drop => Mark::STOP,
            Predicted::Unknown => Mark::UNSURE,
        }
    }

    pub(crate) fn sign(self, style: &Style) -> String {
        if style.unicode { self.unicode } else { self.ascii }.to_string()
    }
}

impl Style {
    /// Between a code and its sentence.
    pub(crate) fn dash(&self) -> &'static str {
        if self.unicode { "—" } else { "-" }
    }
}
