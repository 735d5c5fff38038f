//! One rule: where it ends, its handle, and its text as hopline keeps it.

use std::collections::HashMap;

use super::lexer::{Kind, Token};

/// Words that open a block of a table.
pub(super) const BLOCKS: [&str; 12] = [
    "table",
    "chain",
    "set",
    "map",
    "meter",
    "flowtable",
    "counter",
    "quota",
    "limit",
    "ct",
    "secmark",
    "synproxy",
];

/// Which brace closes which, and where lines end and blocks begin: found once, so that no text makes the
/// search for the ends of rules long.
pub(super) struct Braces {
    closes: HashMap<usize, usize>,
    /// Where blocks begin, in order.
    blocks: Vec<usize>,
    /// Where lines end, in order.
    lines: Vec<usize>,
}

impl Braces {
    pub(super) fn of(tokens: &[Token<'_>]) -> Braces {
        let mut braces = Braces { closes: HashMap::new(), blocks: Vec::new(), lines: Vec::new() };
        let mut open = Vec::new();
        let mut begins_line = true;
        for (at, token) in tokens.iter().enumerate() {
            if begins_line && opens_block(tokens.get(at..).unwrap_or_default()) {
                braces.blocks.push(at);
            }
            begins_line = token.kind == Kind::NewLine;
            match token.kind {
                Kind::Open => open.push(at),
                Kind::Close => braces.closes.extend(open.pop().map(|opened| (opened, at))),
                Kind::NewLine => braces.lines.push(at),
                Kind::Word
                | Kind::Quoted
                | Kind::Unclosed
                | Kind::LeftParen
                | Kind::RightParen
                | Kind::Comma
                | Kind::Semicolon
                | Kind::Comment => {}
            }
        }
        braces
    }

    /// Behind what the brace at `open` opens, and whether what it stands in ends there too.
    ///
    /// nft goes on with it on the next line only after `{` and `,`. A brace that was left open must take
    /// neither the next line with it nor, where lines go on, the next block.
    fn behind(&self, tokens: &[Token<'_>], open: usize) -> (usize, bool) {
        let line_end = next(&self.lines, open).unwrap_or(tokens.len());
        let close = self.closes.get(&open).copied();
        if let Some(close) = close.filter(|close| *close < line_end) {
            return (close + 1, false);
        }
        let line = tokens.get(open..line_end).unwrap_or_default();
        let last = line.iter().rev().find(|token| token.kind != Kind::Comment);
        if !last.is_some_and(|last| matches!(last.kind, Kind::Open | Kind::Comma)) {
            return (open + 1, false);
        }
        let next_block = next(&self.blocks, open).unwrap_or(tokens.len());
        close.filter(|close| *close < next_block).map_or((next_block, true), |close| (close + 1, false))
    }

    /// The end of the rule or clause that begins at `start`: that of its line, but for lines within
    /// braces.
    pub(super) fn clause_end(&self, tokens: &[Token<'_>], start: usize) -> usize {
        let mut at = start;
        while let Some(token) = tokens.get(at) {
            match token.kind {
                Kind::Close | Kind::NewLine | Kind::Semicolon => return at,
                Kind::Open => {
                    let (behind, is_over) = self.behind(tokens, at);
                    if is_over {
                        return behind;
                    }
                    at = behind;
                }
                Kind::Word
                | Kind::Quoted
                | Kind::Unclosed
                | Kind::LeftParen
                | Kind::RightParen
                | Kind::Comma
                | Kind::Comment => at += 1,
            }
        }
        at
    }
}

/// The first of these that is greater than `than`.
fn next(ordered: &[usize], than: usize) -> Option<usize> {
    ordered.get(ordered.partition_point(|place| *place <= than)).copied()
}

/// Whether a line like `chain input {` comes next.
pub(super) fn opens_block(tokens: &[Token<'_>]) -> bool {
    let is_block =
        tokens.first().is_some_and(|token| token.kind == Kind::Word && BLOCKS.contains(&token.text));
    let line = tokens.iter().take_while(|token| token.kind != Kind::NewLine);
    let words = line.filter(|token| token.kind != Kind::Comment).collect::<Vec<_>>();
    let names = words.get(1..words.len().saturating_sub(1)).unwrap_or_default();
    is_block
        && words.last().is_some_and(|token| token.kind == Kind::Open)
        && (1..=2).contains(&names.len())
        && names.iter().all(|token| matches!(token.kind, Kind::Word | Kind::Quoted))
}

/// `# handle 5`
pub(super) fn handle(comment: &Token<'_>) -> Option<u64> {
    let words = comment.text.strip_prefix('#')?.trim().strip_prefix("handle ")?;
    words.split_whitespace().next()?.parse().ok()
}

/// The rule without its handle, and the handle.
pub(super) fn split_handle<'c, 't>(rule: &'c [Token<'t>]) -> (&'c [Token<'t>], Option<u64>) {
    match rule.split_last() {
        Some((last, before)) if last.kind == Kind::Comment && handle(last).is_some() => {
            (before, handle(last))
        }
        Some(_) | None => (rule, None),
    }
}

/// As nft lists it, on one line, without the numbers that move while packets pass.
pub(super) fn text(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    let mut at = 0;
    let mut broken = false;
    while let Some(token) = tokens.get(at) {
        let after = tokens.get(at + 1..).unwrap_or_default();
        at += 1;
        if token.kind == Kind::NewLine {
            broken = true;
            continue;
        }
        if broken && token.kind != Kind::Close && !text.ends_with(['{', ',', ';']) {
            text.push(';');
        }
        if !text.is_empty() && (broken || !token.glued) {
            text.push(' ');
        }
        broken = false;
        text.push_str(token.text);
        at += match token.text {
            "counter" if words(after, 4).is_some_and(|w| w[0] == "packets" && w[2] == "bytes") => 4,
            "last" if words(after, 2).is_some_and(|w| w[0] == "used") => 2,
            _ => 0,
        };
        if is_quota(tokens.get(..at).unwrap_or_default()) && words(after, 3).is_some_and(|w| w[0] == "used") {
            at += 3;
        }
    }
    text
}

/// The next `count` tokens, where all of them are words.
fn words<'t>(tokens: &[Token<'t>], count: usize) -> Option<Vec<&'t str>> {
    let tokens = tokens.get(..count)?;
    tokens.iter().map(|token| (token.kind == Kind::Word).then_some(token.text)).collect()
}

/// Whether these end in `quota 25 mbytes` or `quota over 25 mbytes`.
fn is_quota(tokens: &[Token<'_>]) -> bool {
    let from_end = |count: usize| tokens.len().checked_sub(count).and_then(|at| tokens.get(at));
    let unit = from_end(1).is_some_and(|token| token.text.ends_with("bytes"));
    unit && (from_end(3).is_some_and(|token| token.is("quota"))
        || (from_end(4).is_some_and(|token| token.is("quota"))
            && from_end(3).is_some_and(|token| token.is("over"))))
}

#[cfg(test)]
mod tests {
    use super::super::lexer;
    use super::*;

    #[test]
    fn texts_have_no_moving_numbers_and_one_line() {
        let cases = [
            ("counter packets 5 bytes 300 accept", "counter accept"),
            ("quota over 25 mbytes used 3 kbytes drop", "quota over 25 mbytes drop"),
            ("quota 1 bytes used 1 bytes", "quota 1 bytes"),
            ("last used 3s accept", "last accept"),
            ("log prefix \"counter packets 1 bytes 2\"", "log prefix \"counter packets 1 bytes 2\""),
            (
                "tcp dport 22 jump {\n\t\tcounter packets 1 bytes 2\n\t\taccept\n\t}",
                "tcp dport 22 jump { counter; accept }",
            ),
            ("ip saddr { 1.1.1.1,\n\t 2.2.2.2 } drop", "ip saddr { 1.1.1.1, 2.2.2.2 } drop"),
        ];
        for (listed, wanted) in cases {
            assert_eq!(text(&lexer::read(listed)), wanted);
        }
    }

    #[test]
    fn an_open_brace_ends_with_its_line() {
        let end = |text: &str| {
            let tokens = lexer::read(text);
            Braces::of(&tokens).clause_end(&tokens, 0)
        };
        assert_eq!(end("tcp dport 22 jump {\n\taccept\n\t} comment \"x\"\n"), 11);
        assert_eq!(end("ip saddr { 1.1.1.1,\n 1.1.1.2 } drop\n"), 9);
        assert_eq!(end("ip saddr { 1.1.1.1\n\tchain next { # handle 2\n\t}\n}\n"), 4);
        assert_eq!(end("ip saddr { 1.1.1.1 drop\n\tdrop\n\t}\n}\n"), 5);
        assert_eq!(end("elements = { 1.1.1.1,\n1.1.1.2,\n\tset next {\n\t}\n"), 9);
    }

    #[test]
    fn rules_of_a_chain_that_is_not_closed_are_not_its_callers() {
        let tokens = lexer::read("tcp dport 22 jump {\n\taccept\n\tdrop\n");
        assert_eq!(Braces::of(&tokens).clause_end(&tokens, 0), tokens.len());
    }
}
