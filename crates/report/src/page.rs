//! A page of wrapped, coloured lines. Every piece of text enters through [`Span`], which cleans it.

use std::io::{self, Write};

use crate::clean::clean;
use crate::style::{Mark, Role, Style};

/// Narrower than this nothing readable comes out; lines then run over instead.
const WIDTH_MIN: usize = 20;

/// A cleaned piece of text with its role.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    role: Role,
    text: String,
}

impl Span {
    pub(crate) fn new(role: Role, text: &str) -> Span {
        Span { role, text: clean(text).into_owned() }
    }

    /// Padded with spaces to a column's width.
    pub(crate) fn padded(role: Role, text: &str, columns: usize) -> Span {
        let mut span = Span::new(role, text);
        span.text.extend(std::iter::repeat_n(' ', columns.saturating_sub(span.columns())));
        span
    }

    pub(crate) fn columns(&self) -> usize {
        self.text.chars().count()
    }
}

/// Plain text as a span.
pub(crate) fn plain(text: &str) -> Span {
    Span::new(Role::Plain, text)
}

/// Where a report is written, and in which style.
pub(crate) struct Page<'a> {
    pub(crate) style: &'a Style,
    pub(crate) out: &'a mut dyn Write,
}

impl Page<'_> {
    /// An empty line.
    pub(crate) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// A line that starts with a mark at the left edge or an indent.
    pub(crate) fn marked(&mut self, indent: usize, mark: Mark, body: &[Span]) -> io::Result<()> {
        let sign = Span::new(mark.role, &mark.sign(self.style));
        self.columns(indent, &[sign], body)
    }

    /// Body text at an indent, wrapped to the same indent.
    pub(crate) fn text(&mut self, indent: usize, body: &[Span]) -> io::Result<()> {
        self.columns(indent, &[], body)
    }

    /// A line that is never wrapped, because what it ends with is there to be copied.
    pub(crate) fn verbatim(&mut self, indent: usize, label: &str, text: &str) -> io::Result<()> {
        write!(self.out, "{:indent$}{label}", "")?;
        self.paint(Role::Strong, &clean(text))?;
        writeln!(self.out)
    }

    /// Fixed columns, then a body wrapped under its own beginning. Words are never broken; where
    /// the fixed columns leave too little room, the body starts on a line of its own.
    pub(crate) fn columns(&mut self, indent: usize, fixed: &[Span], body: &[Span]) -> io::Result<()> {
        let width = self.width();
        let hang = self.hang(indent, fixed, body);
        let mut used = fixed_end(indent, fixed);
        write!(self.out, "{:indent$}", "")?;
        for (index, span) in fixed.iter().enumerate() {
            let ends_the_line = index + 1 == fixed.len() && (body.is_empty() || hang != used);
            let text = if ends_the_line { span.text.trim_end() } else { &span.text };
            self.paint(span.role, text)?;
            write!(self.out, "{}", if ends_the_line { "" } else { " " })?;
        }
        if hang != used {
            write!(self.out, "\n{:hang$}", "")?;
            used = hang;
        }
        let mut at_start = true;
        for span in body {
            for word in span.text.split(' ') {
                let columns = word.chars().count();
                if !at_start && used + 1 + columns > width {
                    write!(self.out, "\n{:hang$}", "")?;
                    used = hang;
                } else if !at_start {
                    write!(self.out, " ")?;
                    used += 1;
                }
                self.paint(span.role, word)?;
                used += columns;
                at_start = false;
            }
        }
        writeln!(self.out)
    }

    /// Whether all of it goes on one line.
    pub(crate) fn fits(&self, indent: usize, fixed: &[Span], body: &[Span]) -> bool {
        fixed_end(indent, fixed) + body_columns(body) <= self.width()
    }

    /// The column at which a body's lines start.
    pub(crate) fn hang(&self, indent: usize, fixed: &[Span], body: &[Span]) -> usize {
        let end = fixed_end(indent, fixed);
        let crowded = !fixed.is_empty() && end > self.width() / 2 && !self.fits(indent, fixed, body);
        if crowded { indent + 4 } else { end }
    }

    fn width(&self) -> usize {
        self.style.width.max(WIDTH_MIN)
    }

    fn paint(&mut self, role: Role, text: &str) -> io::Result<()> {
        if !self.style.color || role == Role::Plain || text.is_empty() {
            return self.out.write_all(text.as_bytes());
        }
        let ansi = role.ansi();
        write!(self.out, "{ansi}{text}{ansi:#}")
    }
}

/// The column after the fixed ones and the space behind each.
fn fixed_end(indent: usize, fixed: &[Span]) -> usize {
    indent + fixed.iter().map(|span| span.columns() + 1).sum::<usize>()
}

/// Columns that a body takes on one line.
fn body_columns(body: &[Span]) -> usize {
    body.iter().map(|span| span.columns() + 1).sum::<usize>().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(width: usize, draw: impl FnOnce(&mut Page<'_>) -> io::Result<()>) -> String {
        let style = Style { width, ..Style::default() };
        let mut out = Vec::new();
        draw(&mut Page { style: &style, out: &mut out }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_body_wraps_under_its_own_beginning() {
        let text = rendered(24, |p| p.columns(2, &[plain("ab")], &[plain("one two three four five six")]));
        assert_eq!(text, "  ab one two three four\n     five six\n");
    }

    #[test]
    fn a_word_longer_than_the_line_stays_whole() {
        let text = rendered(20, |p| p.text(2, &[plain("-A nova-compute-sg-fallback-chain -j DROP")]));
        assert_eq!(text, "  -A\n  nova-compute-sg-fallback-chain\n  -j DROP\n");
    }

    #[test]
    fn runs_of_spaces_inside_a_line_survive() {
        assert_eq!(rendered(80, |p| p.text(0, &[plain("a   b")])), "a   b\n");
    }
}
