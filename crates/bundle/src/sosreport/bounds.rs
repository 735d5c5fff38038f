//! How much of a sosreport is read. What a short line becomes in the model is many times as large as itself, so lines
//! and words are counted, and not only octets. What is beyond is left out whole, with a gap: half of a list would be
//! taken for all of it.

/// The bounds together, so that tests can have smaller ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Files that are kept.
    pub(super) files: usize,
    /// Bytes of all texts.
    pub(super) all_bytes: u64,
    /// Lines of one listing, of one of settings, and of all.
    pub(super) lines: u64,
    pub(super) settings: u64,
    pub(super) all_lines: u64,
    /// Words of one listing, and of all.
    pub(super) words: u64,
    pub(super) all_words: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            files: 100_000,
            all_bytes: 512 << 20,
            // The longest listing of a real host is a table of a quarter of a million connections, with 18 words each.
            lines: 400_000,
            // `sysctl -a` has some 130 lines for each link, which weigh little.
            settings: 1_000_000,
            all_lines: 2_500_000,
            words: 8_000_000,
            all_words: 20_000_000,
        }
    }
}

/// Why a file is left out that alone would have been kept.
pub(super) const TOO_MUCH: &str = "there is too much before it";

impl Bounds {
    /// Why a listing is left out that has this, if all would be that much with it.
    pub(super) fn refusal(&self, path: &str, own: Held, all: Held) -> Option<String> {
        let lines = if path.ends_with("sysctl_-a") { self.settings } else { self.lines };
        if own.lines > lines {
            return Some(format!("it has {} lines, more than {lines}", own.lines));
        }
        if own.words > self.words {
            return Some(format!("it has {} words, more than {}", own.words, self.words));
        }
        let is_beyond =
            all.bytes > self.all_bytes || all.lines > self.all_lines || all.words > self.all_words;
        is_beyond.then(|| TOO_MUCH.to_owned())
    }
}

/// How much there is in a text, or in all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    pub(super) words: u64,
}

impl Held {
    /// Counts. What stands between commas or begins a tag is a word, too: sets of nft and XML need no blanks.
    pub(super) fn of(text: &str) -> Held {
        let mut held = Held { bytes: text.len() as u64, ..Held::default() };
        let mut in_word = false;
        for octet in text.bytes() {
            held.lines += u64::from(octet == b'\n');
            let is_between = octet.is_ascii_whitespace() || matches!(octet, b',' | b';' | b'<');
            held.words += u64::from(!is_between && !in_word);
            in_word = !is_between;
        }
        held.lines += u64::from(!text.is_empty() && !text.ends_with('\n'));
        held
    }

    /// Both together.
    pub(super) fn with(self, more: Held) -> Held {
        Held {
            bytes: self.bytes.saturating_add(more.bytes),
            lines: self.lines.saturating_add(more.lines),
            words: self.words.saturating_add(more.words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_where_there_are_no_blanks() {
        let of = |text| (Held::of(text).lines, Held::of(text).words);
        assert_eq!([of(""), of("\n"), of(" a  b\nc")], [(0, 0), (1, 0), (2, 3)]);
        assert_eq!([of("{1,2,3}\n"), of("<a/><b/>")], [(1, 3), (1, 2)]);
    }
}
