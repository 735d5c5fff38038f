//! Connections that the calling thread's namespace tracks.
//!
//! procfs has them, but for kernels built without `NF_CONNTRACK_PROCFS`; there conntrack(8) is asked,
//! and only if anything is tracked.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use model::conntrack::CtEntry;
use model::snapshot::Gap;
use sys::programs;

use crate::gaps::{gap, unparsed};
use crate::kept::Kept;

/// Lines read at most: a busy gateway has millions, and the newest are as good as any.
const LINES_MAX: usize = 100_000;
/// Longest that a line is; the kernel's are under 400 bytes.
const LINE_MAX: u64 = 4096;

/// What is tracked, and what of it could not be read.
pub(crate) fn read(kept: Kept<'_>) -> (Vec<CtEntry>, Vec<Gap>) {
    let what = format!("tracked connections of {}", kept.machine);
    match lines() {
        Ok(Some((text, cut))) => {
            kept.of_netns("nf_conntrack.txt", &text);
            let parsed = parse::conntrack_list::parse(&text);
            let mut gaps = unparsed(&what, &parsed.problems);
            if cut {
                let why = format!("there are more than {LINES_MAX}");
                gaps.push(gap(format!("some {what}"), why, "conntrack -L"));
            }
            (parsed.value, gaps)
        }
        Ok(None) => (Vec::new(), Vec::new()),
        Err(error) => (Vec::new(), vec![gap(what, error, "root, and apt-get install conntrack")]),
    }
}

/// The lines, and whether there are more; `None` where nothing is tracked.
fn lines() -> io::Result<Option<(String, bool)>> {
    match File::open("/proc/thread-self/net/nf_conntrack") {
        Ok(file) => first_lines(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match tracked() {
            0 => Ok(None),
            _ => by_tool().map(Some),
        },
        Err(error) => Err(error),
    }
}

/// How many are tracked; 0 also where the kernel tracks none at all.
fn tracked() -> u64 {
    let count = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count");
    count.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn by_tool() -> io::Result<(String, bool)> {
    let mut command = Command::new(programs::path_of("conntrack"));
    command.args(["-L", "-o", "extended"]).env("LC_ALL", "C");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
    let read = first_lines(stdout);
    let ended = matches!(read, Ok((_, false)));
    if !ended {
        // It still prints what is not wanted.
        let _ = child.kill();
    }
    let status = child.wait()?;
    if ended && !status.success() {
        return Err(io::Error::other(format!("conntrack -L ended with {status}")));
    }
    read
}

fn first_lines(source: impl Read) -> io::Result<(String, bool)> {
    let mut source = BufReader::with_capacity(64 * 1024, source);
    let mut bytes = Vec::new();
    for _ in 0..LINES_MAX {
        if source.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes)? == 0 {
            return Ok((into_text(bytes), false));
        }
    }
    let more = !source.fill_buf()?.is_empty();
    Ok((into_text(bytes), more))
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_table_is_cut() {
        let many = "x\n".repeat(LINES_MAX);
        assert_eq!(first_lines(many.as_bytes()).unwrap(), (many.clone(), false));
        let (text, cut) = first_lines(format!("{many}y\n").as_bytes()).unwrap();
        assert_eq!((text, cut), (many, true));
        assert_eq!(first_lines(&b""[..]).unwrap(), (String::new(), false));
    }
}
