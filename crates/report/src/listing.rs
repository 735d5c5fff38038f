//! Names with what each of them means, one beneath the other.

use std::io::{self, Write};

use crate::page::{Page, Span, plain};
use crate::style::{Role, Style};

/// Writes a row for each, the meaning wrapped beneath its own beginning; `columns` is how wide the longest name is.
pub fn listing<'r>(
    rows: impl Iterator<Item = (&'r str, &'r str)>,
    (indent, columns): (usize, usize),
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut page = Page { style, out };
    for (name, meaning) in rows {
        page.columns(indent, &[Span::padded(Role::Plain, name, columns + 1)], &[plain(meaning)])?;
    }
    Ok(())
}
