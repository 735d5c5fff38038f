//! The line by which an ssh server names its version (RFC 4253, 4.2). Others may stand before it.

/// Octets that are looked at: a server that has not named its version by then is none.
pub const GREETING_BYTES_MAX: usize = 1024;

/// What the beginning of a greeting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// The line that names the version.
    Version(String),
    /// That line has not come, or not all of it.
    Unfinished,
    /// It is no ssh: the beginning of what came.
    Other(String),
}

/// Reads what has come of a greeting so far.
pub fn parse(bytes: &[u8]) -> Beginning {
    let looked_at = bytes.get(..GREETING_BYTES_MAX).unwrap_or(bytes);
    let whole = looked_at.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    if let Some(version) = whole.map(text).find(|line| line.starts_with("SSH-")) {
        return Beginning::Version(version);
    }
    if looked_at.len() < GREETING_BYTES_MAX { Beginning::Unfinished } else { ended(bytes) }
}

/// The same where no more is to come: a line that names the version may lack its end.
pub fn ended(bytes: &[u8]) -> Beginning {
    let looked_at = bytes.get(..GREETING_BYTES_MAX).unwrap_or(bytes);
    let mut lines = looked_at.split(|byte| *byte == b'\n').map(text);
    match lines.find(|line| line.starts_with("SSH-")) {
        Some(version) => Beginning::Version(version),
        None if looked_at.is_empty() => Beginning::Unfinished,
        None => Beginning::Other(looked_at.split(|byte| *byte == b'\n').map(text).next().unwrap_or_default()),
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Beginning {
        Beginning::Version(text.to_owned())
    }

    #[test]
    fn a_version_is_read_wherever_it_stands() {
        assert_eq!(
            parse(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\0\0\x05"),
            version("SSH-2.0-OpenSSH_9.2p1 Debian-2")
        );
        assert_eq!(parse(b"Welcome.\r\nSSH-1.99-x\n"), version("SSH-1.99-x"));
        assert_eq!(ended(b"SSH-2.0-x"), version("SSH-2.0-x"));
    }

    #[test]
    fn what_is_not_whole_is_waited_for_and_what_is_no_ssh_is_told() {
        for unfinished in [&b""[..], b"SSH-2.0-x", b"HTTP/1.0 400 Bad Request\r\n"] {
            assert_eq!(parse(unfinished), Beginning::Unfinished);
        }
        let other = Beginning::Other("HTTP/1.0 400 Bad Request".to_owned());
        assert_eq!(ended(b"HTTP/1.0 400 Bad Request\r\n\r\n"), other);
        assert_eq!(ended(b""), Beginning::Unfinished);
        let endless = [b'a'; GREETING_BYTES_MAX + 1];
        assert_eq!(parse(&endless), Beginning::Other("a".repeat(GREETING_BYTES_MAX)));
    }

    proptest! {
        #[test]
        fn anybodys_bytes_are_read_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
            for read in [parse(&bytes), ended(&bytes)] {
                match read {
                    Beginning::Version(text) => prop_assert!(text.starts_with("SSH-")),
                    Beginning::Unfinished => prop_assert!(bytes.len() < GREETING_BYTES_MAX),
                    // A byte that is no text is three octets of it at most.
                    Beginning::Other(text) => prop_assert!(text.len() <= 3 * GREETING_BYTES_MAX),
                }
            }
        }

        #[test]
        fn more_behind_a_version_changes_nothing(more in prop::collection::vec(any::<u8>(), 0..64)) {
            let line = b"SSH-2.0-x\r\n";
            prop_assert_eq!(parse(line), parse(&[&line[..], &more].concat()));
        }
    }
}
