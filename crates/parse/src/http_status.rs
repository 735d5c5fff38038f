//! The first line of a web server's answer (RFC 9112, 4), and the beginning of the page behind it.

use model::http::StatusLine;

/// Octets of a line that are looked at: one that has not ended by then is none.
pub const LINE_BYTES_MAX: usize = 1024;

/// Octets of a page that are looked at: what is asked for is shorter.
pub const BODY_BYTES_MAX: usize = 256;

/// The beginning of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// What is no UTF-8 is replaced.
    pub text: String,
    /// No more of it is to come, or to be looked at.
    pub is_whole: bool,
}

/// What the beginning of an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// Its first line.
    Line(StatusLine),
    /// The line is not whole yet.
    Unfinished,
    /// It is no HTTP: the beginning of what came.
    Other(String),
}

/// Reads what has come of an answer so far.
pub fn parse(bytes: &[u8]) -> Beginning {
    let looked_at = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes);
    let end = looked_at.iter().position(|byte| *byte == b'\n');
    let line = looked_at.get(..end.unwrap_or(looked_at.len())).unwrap_or_default();
    let text = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
    match (end, code(&text)) {
        (Some(_), Some(code)) => Beginning::Line(StatusLine { code, text }),
        (None, _) if looked_at.len() < LINE_BYTES_MAX => Beginning::Unfinished,
        (Some(_) | None, _) => Beginning::Other(text),
    }
}

/// What came where no more is to come, and that is no beginning of a status line; `None` where it is, or nothing came.
pub fn ended(bytes: &[u8]) -> Option<String> {
    let looked_at = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes);
    let is_beginning = looked_at.starts_with(b"HTTP/") || b"HTTP/".starts_with(looked_at);
    let line = looked_at.split(|byte| *byte == b'\n').next().unwrap_or_default();
    (!is_beginning).then(|| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned())
}

/// What has come of the page so far; `None` while the head of the answer is not whole.
pub fn body(bytes: &[u8]) -> Option<Body> {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"].into_iter().filter_map(|end| {
        let at = bytes.windows(end.len()).position(|window| window == end)?;
        Some((at, at + end.len()))
    });
    let (head_end, begin) = ends.min()?;
    let came = bytes.get(begin..).unwrap_or_default();
    let head = String::from_utf8_lossy(bytes.get(..head_end).unwrap_or_default());
    let length = head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        value.trim().parse::<usize>().ok().filter(|_| is_it)
    });
    let most = length.map_or(BODY_BYTES_MAX, |length| length.min(BODY_BYTES_MAX));
    let seen = came.get(..most).unwrap_or(came);
    Some(Body { text: String::from_utf8_lossy(seen).into_owned(), is_whole: seen.len() == most })
}

/// `HTTP/1.1 200 OK`, with any text or none behind the code.
fn code(line: &str) -> Option<u16> {
    let mut words = line.strip_prefix("HTTP/")?.split(' ');
    let (version, code) = (words.next()?, words.next()?);
    let is_version = version.starts_with(|c: char| c.is_ascii_digit());
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let code = code.parse().ok().filter(|code| *code >= 100);
    code.filter(|_| is_version && is_code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Beginning {
        parse(text.as_bytes())
    }

    #[test]
    fn status_lines_of_every_age_are_read() {
        let line = |code, text: &str| Beginning::Line(StatusLine { code, text: text.to_owned() });
        assert_eq!(read("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n"), line(200, "HTTP/1.0 200 OK"));
        assert_eq!(read("HTTP/1.1 500 \r\n"), line(500, "HTTP/1.1 500 "));
        assert_eq!(read("HTTP/1.1 404\n"), line(404, "HTTP/1.1 404"));
    }

    #[test]
    fn what_is_not_whole_is_waited_for_and_what_is_no_http_is_told() {
        for unfinished in ["", "HTTP/1.1 200 O", "SSH-2.0"] {
            assert_eq!(read(unfinished), Beginning::Unfinished, "{unfinished}");
        }
        for other in
            ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 2000 OK\n", "HTTP/1.1 +20 OK\n", "HTTP/1.1 099 x\n"]
        {
            assert_eq!(read(other), Beginning::Other(other.trim_end().to_owned()));
        }
        let endless = "a".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(read(&endless), Beginning::Other("a".repeat(LINE_BYTES_MAX)));
    }

    #[test]
    fn a_page_is_read_as_far_as_its_length_or_what_came() {
        let body = |text: &str| body(text.as_bytes()).map(|body| (body.text, body.is_whole));
        let of = |text: &str, is_whole| Some((text.to_owned(), is_whole));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"), None);
        assert_eq!(body("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ni-"), of("i-", false));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ni-1\n\n"), of("i-1", true));
        assert_eq!(body("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), of("", true));
        assert_eq!(body("HTTP/1.0 200 OK\r\n\r\ni-00000001"), of("i-00000001", false));
        let long = "x".repeat(BODY_BYTES_MAX + 1);
        assert_eq!(body(&format!("HTTP/1.0 200 OK\r\n\r\n{long}")), of(&long[1..], true));
    }

    #[test]
    fn what_ends_before_its_line_is_told_where_it_is_no_http() {
        let junk = "x".repeat(1000);
        for (came, other) in [("", None), ("HT", None), ("HTTP/1.1 200", None), (&*junk, Some(&*junk))] {
            assert_eq!(ended(came.as_bytes()).as_deref(), other, "{came}");
        }
        assert_eq!(ended(b"SSH-2.0-x\r\nmore").as_deref(), Some("SSH-2.0-x"));
    }

    proptest! {
        #[test]
        fn anybodys_bytes_are_read_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
            match parse(&bytes) {
                Beginning::Line(line) => {
                    prop_assert!((100..1000).contains(&line.code) && line.text.starts_with("HTTP/"));
                }
                Beginning::Unfinished => prop_assert!(bytes.len() < LINE_BYTES_MAX && !bytes.contains(&b'\n')),
                // A byte that is no text is three octets of it at most.
                Beginning::Other(text) => prop_assert!(text.len() <= 3 * LINE_BYTES_MAX),
            }
        }

        #[test]
        fn more_of_a_line_that_is_whole_changes_nothing(code in 100_u16..1000, more in ".{0,40}") {
            let line = format!("HTTP/1.1 {code} Word\r\n");
            prop_assert_eq!(read(&line), read(&format!("{line}{more}")));
        }
    }
}
