//! A capture as a picture: vantages as columns, packets as arrows between them, time downwards; a loss is a broken
//! arrow. And the page around it, for a ticket.
//!
//! A capture may be of any length, so what is drawn is chosen while journeys pass by ([`keep`]): all of few, and of
//! many those that are lost, the slowest and the first. The others are counted by flow, so that nothing is left out
//! without a word.

mod choose;
mod draw;
mod evidence;
mod flows;
mod keep;
mod page;
mod samples;
mod strips;

use std::io::{self, Write};

pub use keep::Sequence;

use super::Journeys;
use crate::escape::Escaped;
use crate::html::document;
use crate::{arrows, picture, strip};

/// How the picture looks, beside what all pictures have in common.
const STYLE: &str = include_str!("sequence/style.css");

/// A correlation with the journeys that were kept of it.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    /// What was learned.
    pub journeys: &'a Journeys<'a>,
    /// What was kept on the way.
    pub sequence: &'a Sequence,
    /// Files by the numbers of their sources, as they were given; none where packets were taken live.
    pub files: &'a [String],
    /// `correlate` or `capture`.
    pub command: &'a str,
}

impl Captured<'_> {
    /// Writes the page: one HTML document that loads and runs nothing.
    pub fn html(&self, out: &mut dyn Write) -> io::Result<()> {
        let title = format!("hopline {}: {}", self.command, page::headline(self.journeys).1);
        document(&title, &[picture::STYLE, arrows::STYLE, strip::STYLE, STYLE], &page::body(self), out)
    }

    /// Writes the picture alone, as an SVG document.
    pub fn svg(&self, out: &mut dyn Write) -> io::Result<()> {
        let choice = choose::choose(self.journeys, self.sequence);
        let picture = draw::whole(self, &choice, arrows::WIDTH);
        write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
             role=\"img\">\n<title>{title}</title>\n<style>{}{}{}{STYLE}</style>\n<rect class=\"paper\" width=\"{w}\" \
             height=\"{h}\"/>\n{body}</svg>\n",
            picture::STYLE,
            arrows::STYLE,
            strip::STYLE,
            w = picture.width,
            h = picture.height,
            title = Escaped(&page::headline(self.journeys).1),
            body = picture.body,
        )
    }
}
