//! QEMU's monitor: a socket that takes one JSON object a line and answers likewise
//! (QEMU's "QEMU Machine Protocol Specification").

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::VmError;

/// QEMU answers at once; one that is stopped or hangs does not.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers are short; something else behind the socket may be not.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Presses the instance's power button. It then ends by itself, if it gets that far: wait for QEMU's end, and
/// kill it where it does not come.
pub fn press_power_button(monitor: &Path) -> Result<(), VmError> {
    say(monitor, "system_powerdown")
}

/// Ends QEMU at once, as pulling the plug.
pub fn power_off(monitor: &Path) -> Result<(), VmError> {
    say(monitor, "quit")
}

fn say(monitor: &Path, command: &str) -> Result<(), VmError> {
    converse(monitor, command)
        .map_err(|why| VmError::Monitor { path: monitor.to_owned(), why: why.to_string() })
}

/// Says one command, and waits until it was understood. A greeting comes first, and words without a question,
/// such as that the machine has stopped, come at any time.
fn converse(monitor: &Path, command: &str) -> io::Result<()> {
    let mut socket = UnixStream::connect(monitor)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(socket.try_clone()?.take(ANSWER_BYTES_MAX)).lines();
    for command in ["qmp_capabilities", command] {
        socket.write_all(format!("{{\"execute\":\"{command}\"}}\n").as_bytes())?;
        wait_for_answer(&mut answers)?;
    }
    Ok(())
}

fn wait_for_answer(answers: &mut impl Iterator<Item = io::Result<String>>) -> io::Result<()> {
    for line in answers {
        let answer: Value = serde_json::from_str(&line?)?;
        if let Some(complaint) = answer.get("error") {
            return Err(io::Error::other(complaint.to_string()));
        }
        if answer.get("return").is_some() {
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Shutdown;
    use std::os::unix::net::UnixListener;

    /// What becomes of a command that is answered so.
    fn answered(answers: &str) -> Result<(), VmError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitor");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut socket, _) = listener.accept().unwrap();
                socket.write_all(answers.as_bytes()).unwrap();
                socket.shutdown(Shutdown::Write).unwrap();
                // Read until the other side is done, lest its words come back to it as an error.
                io::copy(&mut socket, &mut io::sink()).unwrap();
            });
            power_off(&path)
        })
    }

    #[test]
    fn greetings_and_events_are_no_answers() {
        assert!(answered("{\"QMP\":{}}\n{\"return\":{}}\n{\"event\":\"STOP\"}\n{\"return\":{}}\n").is_ok());
    }

    #[test]
    fn a_refusal_and_nonsense_are_told() {
        let refused = answered("{\"QMP\":{}}\n{\"return\":{}}\n{\"error\":{\"desc\":\"no such thing\"}}\n");
        assert!(refused.unwrap_err().to_string().contains("no such thing"));
        assert!(answered("{\"QMP\":{}}\n{\"ret").is_err());
        assert!(answered("").is_err());
    }
}
