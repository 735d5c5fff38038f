//! Words in braces, and what takes their place.

/// A template with each word in braces replaced, in one pass: what takes its place may itself have braces.
pub(crate) fn replaced(template: &str, mut word: impl FnMut(&str) -> String) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (inside, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(&word(inside));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// A word that compares, `COLUMN is NAME`: the table's column has what the finding's has, also where that is nothing.
pub(crate) fn compares(word: &str) -> Option<(&str, &str)> {
    word.split_once(" is ")
}
