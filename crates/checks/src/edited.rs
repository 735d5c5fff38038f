//! One line of a file put right: the command, and what takes it back.

use crate::restart::typed;

/// What sed(1) reads otherwise than as it stands, in what it looks for.
const SPECIAL: &str = r".[]*^$/\";

/// In this line of a file, 1-based, one text in the place of another; where the line has changed since, nothing is.
pub(crate) fn line(file: &str, line: u32, old: &str, new: &str) -> (String, String) {
    let file = typed(file);
    let change = |from: &str, to: &str| {
        let script = format!("{line}s/{}/{}/", escaped(from, SPECIAL), escaped(to, r"/&\"));
        format!("sed -i {} {file}", typed(&script))
    };
    (change(old, new), change(new, old))
}

fn escaped(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if special.contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_is_changed_and_taken_back() {
        let (change, undo) = line("/n/nova-br100.opts", 1, "3,10.0.0.99", "3,10.0.0.42");
        assert_eq!(change, r"sed -i '1s/3,10\.0\.0\.99/3,10.0.0.42/' /n/nova-br100.opts");
        assert_eq!(undo, r"sed -i '1s/3,10\.0\.0\.42/3,10.0.0.99/' /n/nova-br100.opts");
    }

    #[test]
    fn what_sed_and_the_shell_obey_stays_text() {
        let (change, _) = line("/n/a b", 2, "15,a/b&'c", "#15,a/b&'c");
        assert_eq!(change, r"sed -i '2s/15,a\/b&'\''c/#15,a\/b\&'\''c/' '/n/a b'");
    }
}
