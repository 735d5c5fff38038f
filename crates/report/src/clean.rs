//! What strangers wrote, made safe to print.

use std::borrow::Cow;

/// The text with every character that a terminal would obey instead of show replaced by its
/// escape (`\u{1b}`), and tabs by one space.
///
/// Escaped rather than removed: a hidden character in a name is a fact that the reader should see.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c == '\t' || is_hidden(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => out.push(' '),
            '\n' | '\r' => out.extend(c.escape_default()),
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Control characters (C0, DEL, C1), marks that turn the reading direction or hide text (Unicode
/// Standard Annex 9, section 2), zero-width characters, line separators, and tag characters.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(clean("vnet0"), "vnet0");
        assert_eq!(clean("インスタンス \"1\""), "インスタンス \"1\"");
        assert_eq!(clean("a\tb"), "a b");
        assert_eq!(clean("\x1b[31mred\x1b]0;t\x07"), "\\u{1b}[31mred\\u{1b}]0;t\\u{7}");
        assert_eq!(clean("two\r\nlines"), "two\\r\\nlines");
        assert_eq!(clean("\u{9b}31m\u{202e}txt\u{200b}"), "\\u{9b}31m\\u{202e}txt\\u{200b}");
    }
}
