//! How wide text is, and where it wraps. Fonts differ, so this is counted in columns of a fixed-width font, with room
//! to spare.

/// Columns of a text: two for the wide characters of East Asia (Unicode Standard Annex 11) and for pictures.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

fn width(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' => 2,
        '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => 2,
        '\u{1f000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// The text in so many columns, at most; what does not fit is told by dots in the middle, since names of devices differ
/// at their ends.
pub(crate) fn cut(text: &str, columns_max: usize) -> String {
    if columns(text) <= columns_max {
        return text.to_owned();
    }
    let room = columns_max.saturating_sub(1);
    let tail = fitting(text.chars().rev(), room / 2);
    let head: String = text.chars().take(fitting(text.chars(), room - room / 2)).collect();
    let skipped = text.chars().count() - tail;
    head + "…" + &text.chars().skip(skipped).collect::<String>()
}

/// How many of the characters go into so many columns.
fn fitting(text: impl Iterator<Item = char>, columns_max: usize) -> usize {
    let mut used = 0;
    text.take_while(|c| {
        used += width(*c);
        used <= columns_max
    })
    .count()
}

/// Lines of so many columns, broken at spaces, and within words only where one is longer than a line. No more than
/// `lines_max`; the last then ends with dots.
pub(crate) fn wrapped(text: &str, columns_max: usize, lines_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word;
        if !line.is_empty() && columns(&line) + 1 + columns(word) > columns_max {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        while columns(word) > columns_max {
            let head = fitting(word.chars(), columns_max).max(1);
            let at = word.char_indices().nth(head).map_or(word.len(), |(at, _)| at);
            let (head, rest) = word.split_at(at);
            lines.push(head.to_owned());
            word = rest;
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > lines_max {
        lines.truncate(lines_max);
        if let Some(last) = lines.last_mut() {
            let head = fitting(last.chars(), columns_max.saturating_sub(1));
            *last = last.chars().take(head).collect::<String>() + "…";
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_keeps_its_end() {
        assert_eq!(cut("vnet0", 8), "vnet0");
        assert_eq!(cut("qvo12345678-ab", 8), "qvo1…-ab");
        assert_eq!(cut("インスタンス", 7), "イ…ス");
    }

    #[test]
    fn text_wraps_at_spaces_and_within_words_that_fit_no_line() {
        assert_eq!(wrapped("SNAT to 203.0.113.30", 12, 9), ["SNAT to", "203.0.113.30"]);
        assert_eq!(wrapped("abcdefgh ij", 3, 9), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("one two three", 5, 2), ["one", "two…"]);
        assert!(wrapped("", 5, 2).is_empty());
        assert_eq!(wrapped("ab", 0, 9), ["a", "b"]);
    }
}
