//! A filter's text as words with their places.

use super::FilterError;

/// More is no filter that a person wrote, and hardly one that the kernel takes.
pub(super) const TOKENS_MAX: usize = 2000;

/// One word or sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    Open,
    Close,
    And,
    Or,
    Not,
}

/// A token and the column where it starts, 1-based, in characters.
pub(super) type Placed<'t> = (Token<'t>, usize);

/// Of these a word is made: names, numbers, addresses, prefixes, ranges, `instance:` and `flow:`.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | ':' | '/' | '-' | '_' | ',')
}

pub(super) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, FilterError> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut column = 1;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            _ if first.is_whitespace() => (None, first.len_utf8()),
            '(' => (Some(Token::Open), 1),
            ')' => (Some(Token::Close), 1),
            '!' if !rest.starts_with("!=") => (Some(Token::Not), 1),
            '&' if rest.starts_with("&&") => (Some(Token::And), 2),
            '|' if rest.starts_with("||") => (Some(Token::Or), 2),
            _ if is_of_word(first) => {
                let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                let (word, _) = rest.split_at(end);
                (Some(word_or_operator(word)), end)
            }
            _ => {
                let what =
                    format!("`{first}` is not of the language of filters that hopline compiles itself");
                return Err(FilterError { column, what, beyond: true });
            }
        };
        if let Some(token) = token {
            found.push((token, column));
        }
        if found.len() > TOKENS_MAX {
            let what = format!("a filter has {TOKENS_MAX} words at most");
            return Err(FilterError { column, what, beyond: false });
        }
        let (passed, after) = rest.split_at(length);
        column += passed.chars().count();
        rest = after;
    }
    Ok(found)
}

fn word_or_operator(word: &str) -> Token<'_> {
    match word {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        word => Token::Word(word),
    }
}
