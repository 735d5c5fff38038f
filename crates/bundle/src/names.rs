//! Names that can stand as a file's, whatever strangers called their things.

use sha2::{Digest, Sha256};

/// Longest name that is kept: tar's first field takes 100 bytes, and a path has a few parts.
const LENGTH_MAX: usize = 60;

/// A name as a part of a path: letters, digits and a few marks. What had to be changed gets a piece of its hash, so
/// that two names never become one.
pub(crate) fn part(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+' | '=' | ':');
    let mut safe: String = name.chars().map(|c| if plain(c) { c } else { '_' }).take(LENGTH_MAX).collect();
    if safe.starts_with('.') || safe.is_empty() {
        safe.insert(0, '_');
    }
    if safe == name {
        return safe;
    }
    let hash = hex(&Sha256::digest(name.as_bytes()));
    format!("{safe}-{}", hash.get(..8).unwrap_or_default())
}

/// Longest path: of a longer one, tar's two fields cannot always hold the halves.
const PATH_MAX: usize = 160;

/// A file of a machine as a path in the archive.
pub(crate) fn path(machine: &str, file: &str) -> String {
    let parts: Vec<String> =
        [machine].into_iter().chain(file.split('/')).filter(|p| !p.is_empty()).map(part).collect();
    let path = parts.join("/");
    if path.len() <= PATH_MAX {
        return path;
    }
    format!("{}/deep/{}", part(machine), part(file))
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_paths() {
        assert_eq!(part("compute1.example.org"), "compute1.example.org");
        let odd = ["..", ".", "", "a/b", "a_b/", "../../etc/passwd", "ü", "\u{1b}[31m", &"x".repeat(300)];
        let parts: Vec<String> = odd.iter().map(|name| part(name)).collect();
        for part in &parts {
            assert!(!part.contains('/') && !part.starts_with('.') && part.len() <= LENGTH_MAX + 10, "{part}");
        }
        assert_ne!(part("a/b"), part("a_b"));
        assert_ne!(part("a/b"), part("a:b"));
    }
}
