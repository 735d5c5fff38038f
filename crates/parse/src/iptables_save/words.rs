//! A rule's words, as iptables quotes them: `"` round a word with special characters, and `\`
//! before `"`, `\` and `'` inside (libxtables `xtables_save_string`).

use std::borrow::Cow;

/// One word.
#[derive(Debug, Clone)]
pub(crate) struct Word<'a> {
    /// As it stands in the dump, with its quotes.
    pub(crate) raw: &'a str,
    /// What it means.
    pub(crate) value: Cow<'a, str>,
    /// Where `raw` starts in the text that was split.
    start: usize,
}

impl Word<'_> {
    /// An option's name; a quoted word is an argument whatever it begins with.
    fn is_option(&self) -> bool {
        let name = self.raw.strip_prefix('-').unwrap_or_default();
        name.starts_with(|c: char| c == '-' || c.is_ascii_alphabetic())
    }
}

/// The words of one rule, read from left to right.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a> {
    text: &'a str,
    list: Vec<Word<'a>>,
    at: usize,
}

impl<'a> Words<'a> {
    /// Splits. Where a quote is never closed, the error is the rest of the text from that quote.
    pub(crate) fn split(text: &'a str) -> Result<Words<'a>, &'a str> {
        let mut list = Vec::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..) {
            let trimmed = rest.trim_start();
            if trimmed.is_empty() {
                break;
            }
            let start = text.len() - trimmed.len();
            let (len, value) = word(trimmed).ok_or(trimmed)?;
            let raw = trimmed.get(..len).unwrap_or(trimmed);
            list.push(Word { raw, value, start });
            at = start + len;
        }
        Ok(Words { text, list, at: 0 })
    }

    /// How many words were read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to where [`Words::at`] was asked.
    pub(crate) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// The next word, left where it is.
    pub(crate) fn peek(&self) -> Option<&Word<'a>> {
        self.list.get(self.at)
    }

    /// The word after the next.
    pub(crate) fn peek_second(&self) -> Option<&Word<'a>> {
        self.list.get(self.at + 1)
    }

    /// Reads one word.
    pub(crate) fn word(&mut self) -> Option<Word<'a>> {
        let word = self.list.get(self.at)?.clone();
        self.at += 1;
        Some(word)
    }

    /// Reads one word's meaning.
    pub(crate) fn value(&mut self) -> Option<Cow<'a, str>> {
        self.word().map(|w| w.value)
    }

    /// Reads this very word, unquoted, if it is the next.
    pub(crate) fn take(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|w| w.raw == wanted);
        self.at += usize::from(found);
        found
    }

    /// Reads the arguments of an option whose arity is not known: up to the next option or `!`.
    pub(crate) fn skip_arguments(&mut self) {
        while self.peek().is_some_and(|w| !w.is_option() && w.raw != "!") {
            self.at += 1;
        }
    }

    /// Reads all that is left.
    pub(crate) fn skip_all(&mut self) {
        self.at = self.list.len();
    }

    /// The text of the words from number `from` to the last one read.
    pub(crate) fn text_since(&self, from: usize) -> &'a str {
        let read = self.list.get(from..self.at).unwrap_or_default();
        let (Some(first), Some(last)) = (read.first(), read.last()) else { return "" };
        self.text.get(first.start..last.start + last.raw.len()).unwrap_or_default()
    }

    /// Whether nothing is left.
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.list.len()
    }
}

/// A word as it is read again: in quotes where it would not be one.
pub(crate) fn quoted(value: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\\' | '\'');
    if !value.is_empty() && value.chars().all(is_plain) {
        return Cow::Borrowed(value);
    }
    let mut out = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    Cow::Owned(out)
}

/// Length and meaning of the first word of `text`, which does not start with white space.
fn word(text: &str) -> Option<(usize, Cow<'_, str>)> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let plain = text.get(..end)?;
    if !plain.contains(['"', '\\']) {
        return Some((end, Cow::Borrowed(plain)));
    }
    let mut value = String::new();
    let mut quoted = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => value.push(chars.next()?.1),
            c if c.is_whitespace() && !quoted => return Some((at, Cow::Owned(value))),
            c => value.push(c),
        }
    }
    (!quoted).then_some((text.len(), Cow::Owned(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        Words::split(text).unwrap().list.iter().map(|w| w.value.to_string()).collect()
    }

    #[test]
    fn quotes_and_backslashes_are_undone() {
        let text = r#"--comment "he said \"hi\" \\ and -j DROP" -j  "" x"#;
        assert_eq!(values(text), ["--comment", "he said \"hi\" \\ and -j DROP", "-j", "", "x"]);
        assert_eq!(values("  "), <[&str; 0]>::default());
    }

    #[test]
    fn quoted_words_are_read_again() {
        for word in ["eth0", "", "a b", "he said \"hi\"", "it's", "back\\slash"] {
            assert_eq!(values(&quoted(word)), [word]);
        }
    }

    #[test]
    fn an_open_quote_is_named_with_its_place() {
        assert_eq!(Words::split("-m comment --comment \"oh no").unwrap_err(), "\"oh no");
        assert_eq!(Words::split("a\\").unwrap_err(), "a\\");
    }

    #[test]
    fn the_text_of_what_was_read_is_the_dumps() {
        let mut words = Words::split("-m limit  --limit 5/min -j LOG").unwrap();
        words.word();
        words.word();
        words.word();
        words.skip_arguments();
        assert_eq!(words.text_since(0), "-m limit  --limit 5/min");
    }
}
