//! How much a capture saw at each vantage, and where it could not look.

use std::io::{self, Write};

use crate::page::{Page, Span, plain};
use crate::style::{Role, Style};

/// What was seen at a vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched<'w> {
    /// Its name.
    pub name: &'w str,
    /// Packets looked at.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that the kernel had no room for.
    pub drops: u64,
    /// Why it ended before the others, if it did.
    pub ended: Option<&'w str>,
}

/// Writes a row for each vantage, and one for each that could not be watched, with the reason.
pub fn counts(
    watched: &[Watched<'_>],
    unwatched: &[(&str, &str)],
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut page = Page { style, out };
    let columns = watched.iter().map(|watched| plain(watched.name).columns()).max().unwrap_or(0);
    for Watched { name, packets, bytes, drops, ended } in watched {
        let end = if ended.is_some() { ";" } else { "" };
        let dropped = match drops {
            0 => Span::new(Role::Plain, &format!("none dropped{end}")),
            drops => Span::new(Role::Bad, &format!("{drops} DROPPED by the kernel{end}")),
        };
        let seen = plain(&format!("{packets:>8} packets {bytes:>11} bytes,"));
        let ended = ended.map(|why| Span::new(Role::Unsure, why));
        let body: Vec<Span> = [seen, dropped].into_iter().chain(ended).collect();
        page.columns(0, &[Span::padded(Role::Plain, name, columns + 1)], &body)?;
    }
    for (name, why) in unwatched {
        let body = [Span::new(Role::Unsure, "not watched:"), plain(why)];
        page.columns(0, &[Span::padded(Role::Plain, name, columns + 1)], &body)?;
    }
    if watched.iter().any(|watched| watched.drops > 0) {
        let hint = "A packet that is not here may have been dropped: try --buffer, --snap or a filter.";
        page.text(0, &[plain(hint)])?;
    }
    Ok(())
}
