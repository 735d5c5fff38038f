//! The words of nft's language, each with its line.

use crate::Problem;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whatever stands between blanks and the signs below: `10.0.0.0/8`, `tcp`, `!=`, `@blocked`. And
    /// `# xt_NAME`.
    Word,
    /// `"..."`, quotes included.
    Quoted,
    /// `"...` whose end is missing on its line.
    Unclosed,
    /// `{`
    Open,
    /// `}`
    Close,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// The end of a line.
    NewLine,
    /// `# ...` up to the end of its line.
    Comment,
}

/// A token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    /// As it stands in the text.
    pub(super) text: &'t str,
    /// 1-based.
    pub(super) line: u32,
    /// 1-based, in characters.
    pub(super) column: u32,
    /// Whether it follows the token before it without a blank.
    pub(super) glued: bool,
}

impl<'t> Token<'t> {
    /// Whether it is the word `word`.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    /// What stands between the quotes, or the word.
    pub(super) fn inner(&self) -> &'t str {
        if self.kind != Kind::Quoted {
            return self.text;
        }
        self.text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(self.text)
    }

    /// A problem at this token.
    pub(super) fn problem(&self, what: impl Into<String>) -> Problem {
        Problem { line: self.line, column: self.column, what: what.into() }
    }
}

/// All tokens of the text.
pub(super) fn read(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut line, mut column) = (1_u32, 1_u32);
    let mut rest = text;
    let mut glued = false;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            '\n' => (Kind::NewLine, 1),
            first if first.is_whitespace() => {
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                column = column.saturating_add(1);
                glued = false;
                continue;
            }
            '"' => quoted(rest),
            '#' if !glued => comment(rest),
            first => match sign(first) {
                Some(kind) => (kind, 1),
                None => (Kind::Word, word_length(rest)),
            },
        };
        let (text, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        tokens.push(Token { kind, text, line, column, glued });
        glued = kind != Kind::NewLine;
        if glued {
            column = column.saturating_add(u32::try_from(text.chars().count()).unwrap_or(u32::MAX));
        } else {
            (line, column) = (line.saturating_add(1), 1);
        }
        rest = after;
    }
    tokens
}

fn sign(first: char) -> Option<Kind> {
    Some(match first {
        '{' => Kind::Open,
        '}' => Kind::Close,
        '(' => Kind::LeftParen,
        ')' => Kind::RightParen,
        ',' => Kind::Comma,
        ';' => Kind::Semicolon,
        _ => return None,
    })
}

fn word_length(rest: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || c == '"' || sign(c).is_some();
    let after_first = rest.chars().next().map_or(0, char::len_utf8);
    let tail = rest.get(after_first..).unwrap_or_default();
    after_first + tail.find(ends).unwrap_or(tail.len())
}

/// Up to the end of the line; but `# xt_NAME`, which is how an nft without xtables prints what only
/// iptables can, is a word of its rule.
fn comment(rest: &str) -> (Kind, usize) {
    match rest.strip_prefix("# xt_") {
        Some(name) => (Kind::Word, rest.len() - name.len() + word_length(name)),
        None => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
    }
}

/// nft prints strings as they are, so that one with a quote in it ends where something follows that
/// can stand after a string.
fn quoted(rest: &str) -> (Kind, usize) {
    let can_follow = |c: char| c.is_whitespace() || ",;:-})".contains(c);
    for (at, found) in rest.match_indices(['"', '\n']).skip(1) {
        let after = rest.get(at + 1..).unwrap_or_default();
        if found == "\n" {
            return (Kind::Unclosed, at);
        }
        if after.is_empty() || after.starts_with(can_follow) {
            return (Kind::Quoted, at + 1);
        }
    }
    (Kind::Unclosed, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        read(text).iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_signs_strings_and_comments() {
        let text = "tcp dport { 22, 80-90 } jump KUBE-SVC#1; log prefix \"a; b\" # handle 3\n";
        let wanted = [
            "tcp",
            "dport",
            "{",
            "22",
            ",",
            "80-90",
            "}",
            "jump",
            "KUBE-SVC#1",
            ";",
            "log",
            "prefix",
            "\"a; b\"",
            "# handle 3",
            "\n",
        ];
        assert_eq!(texts(text), wanted);
        assert_eq!(texts("\"19:00\"-\"21:00\""), ["\"19:00\"", "-", "\"21:00\""]);
        assert_eq!(texts("comment \"say \"hi\" twice\""), ["comment", "\"say \"hi\"", "twice", "\""]);
        assert_eq!(texts("\"open\nnext"), ["\"open", "\n", "next"]);
    }

    #[test]
    fn places_are_counted_in_characters() {
        let text = "a\n\u{e4}\u{e4} b";
        let tokens = read(text);
        let problem = tokens.last().unwrap().problem("x");
        assert_eq!((problem.line, problem.column), (2, 4));
    }
}
