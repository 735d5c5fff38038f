//! Passwords by lines of `user:password`, as cloud-init tells them and is told them.

use super::HIDDEN;

/// Lines after cloud-init's heading on a console that its users' new passwords may stand in, between others' messages.
const RANDOM_MAX: usize = 20;

/// What cloud-init prints where it made up passwords (`cc_set_passwords.py`): a heading, then `user:password`.
pub(super) fn random_passwords(text: &str) -> Option<String> {
    const HEADING: &str = "Set the following 'random' passwords";
    if !text.contains(HEADING) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut left = 0_usize;
    for line in text.split_inclusive('\n') {
        if line.contains(HEADING) {
            left = RANDOM_MAX;
            out.push_str(line);
            continue;
        }
        let written = line.trim_end();
        let word = written.rsplit([' ', '\t']).next().unwrap_or_default();
        match word.split_once(':') {
            Some((_, password)) if left > 0 && !password.is_empty() => {
                out.push_str(written.strip_suffix(password).unwrap_or_default());
                out.push_str(HIDDEN);
                out.push_str(line.strip_prefix(written).unwrap_or_default());
            }
            Some(_) | None => out.push_str(line),
        }
        left = left.saturating_sub(1);
    }
    (out != text).then_some(out)
}

/// What cloud-init is told (`chpasswd:` of its `#cloud-config`): under `list:`, `user:password` on each line.
pub(super) fn set_passwords(text: &str) -> Option<String> {
    const HEADING: &str = "chpasswd:";
    if !text.contains(HEADING) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    // How far the heading is indented, while we are below it.
    let mut below: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let written = line.trim_end();
        let end = line.strip_prefix(written).unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        if let Some((before, behind)) = written.split_once(HEADING) {
            below = Some(indent);
            // All in one line: `chpasswd: { list: [root:x], expire: false }`.
            match behind.split_once("list:") {
                Some((middle, list)) if !list.trim().is_empty() => {
                    out.push_str(&format!("{before}{HEADING}{middle}list: {HIDDEN}{end}"));
                }
                Some(_) | None => out.push_str(line),
            }
            continue;
        }
        if !written.is_empty() && below.is_some_and(|heading| indent <= heading) {
            below = None;
        }
        let entry = written.trim_start().trim_start_matches(['-', ' ', '"', '\'']);
        match entry.split_once(':') {
            // A blank follows the colon of a key.
            Some((user, password)) if below.is_some() && !user.contains(' ') && is_password(password) => {
                out.push_str(written.strip_suffix(password).unwrap_or_default());
                out.push_str(HIDDEN);
                out.push_str(end);
            }
            Some(_) | None => out.push_str(line),
        }
    }
    (out != text).then_some(out)
}

fn is_password(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(char::is_whitespace)
}
