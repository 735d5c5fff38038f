//! A place among tokens, and how reading stops at one that does not fit.

use super::lexer::{Kind, Token};

/// Deepest nesting of sets and parentheses that is followed; nft itself never prints as much.
const DEPTH_MAX: usize = 32;

/// Reading stopped: at this token, because of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stuck {
    /// Place in the cursor's tokens; their number where the end came too early.
    pub(super) at: usize,
    /// What was expected.
    pub(super) what: String,
}

pub(super) type Reading<T> = Result<T, Stuck>;

/// Tokens, read one after the other.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'c, 't> {
    tokens: &'c [Token<'t>],
    at: usize,
    /// What is left of the present token, where part of it was taken.
    left_over: Option<&'t str>,
    depth: usize,
}

impl<'c, 't> Cursor<'c, 't> {
    pub(super) fn new(tokens: &'c [Token<'t>]) -> Cursor<'c, 't> {
        Cursor { tokens, at: 0, left_over: None, depth: 0 }
    }

    /// Number of the next token.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Everything from token `from` on.
    pub(super) fn rest_from(&self, from: usize) -> &'c [Token<'t>] {
        self.tokens.get(from..).unwrap_or_default()
    }

    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
        self.left_over = None;
    }

    pub(super) fn peek(&self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.at)?;
        Some(Token { text: self.left_over.unwrap_or(token.text), ..*token })
    }

    pub(super) fn peek_second(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at + 1).copied()
    }

    pub(super) fn peek_kind(&self) -> Option<Kind> {
        self.peek().map(|token| token.kind)
    }

    /// The next word, not taken; empty where something else comes.
    pub(super) fn peek_word(&self) -> &'t str {
        self.peek().filter(|token| token.kind == Kind::Word).map_or("", |token| token.text)
    }

    pub(super) fn next(&mut self) -> Option<Token<'t>> {
        let token = self.peek()?;
        self.at += 1;
        self.left_over = None;
        Some(token)
    }

    /// Takes the first `bytes` of the next word and leaves the rest of it.
    pub(super) fn take_part(&mut self, bytes: usize) -> &'t str {
        let word = self.peek_word();
        match word.split_at_checked(bytes) {
            Some((part, rest)) if !rest.is_empty() => {
                self.left_over = Some(rest);
                part
            }
            Some(_) | None => {
                self.next();
                word
            }
        }
    }

    /// Takes the next token where it is this word.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(word));
        if found {
            self.next();
        }
        found
    }

    /// Takes the next token where it is of this kind.
    pub(super) fn take(&mut self, kind: Kind) -> bool {
        let found = self.peek_kind() == Some(kind);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn stuck<T>(&self, what: impl Into<String>) -> Reading<T> {
        Err(Stuck { at: self.at, what: what.into() })
    }

    pub(super) fn expect(&mut self, kind: Kind, what: &str) -> Reading<()> {
        if self.take(kind) { Ok(()) } else { self.stuck(format!("expected {what}")) }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Reading<()> {
        if self.take_word(word) { Ok(()) } else { self.stuck(format!("expected `{word}`")) }
    }

    /// Any word.
    pub(super) fn word(&mut self, what: &str) -> Reading<&'t str> {
        match self.peek_kind() {
            Some(Kind::Word) => Ok(self.next().map_or("", |token| token.text)),
            Some(_) | None => self.stuck(format!("expected {what}")),
        }
    }

    /// A word, or what a string says.
    pub(super) fn name(&mut self, what: &str) -> Reading<&'t str> {
        match self.peek() {
            Some(token) if matches!(token.kind, Kind::Word | Kind::Quoted) => {
                self.next();
                Ok(token.inner())
            }
            Some(_) | None => self.stuck(format!("expected {what}")),
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, what: &str) -> Reading<u64> {
        match self.peek_word().parse() {
            Ok(number) => {
                self.next();
                Ok(number)
            }
            Err(_) => self.stuck(format!("expected {what}, a number")),
        }
    }

    pub(super) fn skip_lines(&mut self) {
        while matches!(self.peek_kind(), Some(Kind::NewLine | Kind::Comment)) {
            self.next();
        }
    }

    /// One level further down while `read` reads.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Reading<T>) -> Reading<T> {
        if self.depth >= DEPTH_MAX {
            return self.stuck("nested deeper than nft nests");
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }
}
