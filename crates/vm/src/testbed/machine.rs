//! A machine that runs what it is told, one after another: a process whose standard input and output are a line
//! to its first process, and whose standard error is its console.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What its first process says when it listens.
const READY: &[u8] = b"ready\n";
/// From QEMU's start until then. Four seconds on an idle machine, with software emulation.
const BOOT_PATIENCE: Duration = Duration::from_secs(90);
/// For one test: ten times what the longest takes on an idle machine, with software emulation.
pub(super) const TEST_PATIENCE: Duration = Duration::from_mins(15);
/// Of what a program prints, the end is kept.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Of the console, the last lines are told where the machine is lost.
const CONSOLE_LINES_MAX: usize = 60;

/// From a machine's end to that of its console.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(2);

/// What became of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// As a shell tells it.
    pub(super) status: u8,
    /// All that it printed.
    pub(super) output: String,
}

/// A machine that listens.
pub(super) struct Machine {
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    console: Console,
    /// Dropping it ends the machine.
    _life: Sender<()>,
    orders: u32,
}

impl Machine {
    /// Starts it and waits until it listens. It ends with the `Machine`, and with this process, however that
    /// ends. `Err` says why there is none.
    pub(super) fn start(command: Command) -> Result<Machine, String> {
        let (life, end) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || keep(command, &tell, &end));
        let started = told.recv().map_err(|_| "the thread that keeps the machine is gone".to_owned())?;
        let Pipes { input, output, console } =
            started.map_err(|e| format!("QEMU could not be started: {e}"))?;
        let mut machine = Machine { input, output, console, _life: life, orders: 0 };
        machine.read_until(BOOT_PATIENCE, "boot", |text| text.ends_with(READY).then_some(()))?;
        Ok(machine)
    }

    /// Runs a program there. `Err` where it did not end, or the machine did: with what was printed until then.
    pub(super) fn run(&mut self, words: &[&str], patience: Duration) -> Result<Ended, String> {
        self.order(&format!("run {}", words.join(" ")), patience)
    }

    /// Has the content of a device put where a program is looked for.
    pub(super) fn place(&mut self, device: &str, path: &str) -> Result<(), String> {
        let ended = self.order(&format!("place {device} {path}"), BOOT_PATIENCE)?;
        if ended.status == 0 {
            Ok(())
        } else {
            Err(format!("{path} could not be put there: {}", ended.output))
        }
    }

    fn order(&mut self, order: &str, patience: Duration) -> Result<Ended, String> {
        self.orders += 1;
        // Its answer's first word, which nothing else that is printed there begins a line with.
        let token = format!("hopline-{}-{}", std::process::id(), self.orders);
        let written =
            self.input.write_all(format!("{token} {order}\n").as_bytes()).and_then(|()| self.input.flush());
        if let Err(e) = written {
            return Err(self.lost(order, &format!("it does not listen ({e})"), &[]));
        }
        self.read_until(patience, order, |text| answer(text, &token))
    }

    /// Collects what is printed until it is what was waited for.
    fn read_until<T>(
        &mut self,
        patience: Duration,
        doing: &str,
        found: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, String> {
        let give_up = Instant::now() + patience;
        let mut text = Vec::new();
        loop {
            if let Some(found) = found(&text) {
                return Ok(found);
            }
            let left = give_up.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(more) => text.extend(more),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.lost(doing, &format!("no end after {patience:?}"), &text));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    // Its last words may still be on their way.
                    let _ = self.console.end.recv_timeout(LAST_WORDS_PATIENCE);
                    return Err(self.lost(doing, "the machine ended", &text));
                }
            }
            let too_much = text.len().saturating_sub(OUTPUT_BYTES_MAX);
            text.drain(..too_much);
        }
    }

    /// Where a machine stood that is of no more use.
    fn lost(&self, doing: &str, why: &str, text: &[u8]) -> String {
        let console = self.console.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let console: String = console.iter().map(String::as_str).collect();
        let text = String::from_utf8_lossy(text);
        format!(
            "the virtual machine was lost at `{doing}`: {why}; until then:\n{text}\nits console's end:\n{console}"
        )
    }
}

/// `TOKEN STATUS` on the last line, and what was printed before.
fn answer(text: &[u8], token: &str) -> Option<Ended> {
    let text = text.strip_suffix(b"\n")?;
    let (output, last) = text.split_at(text.iter().rposition(|byte| *byte == b'\n')?);
    let last = str::from_utf8(last.strip_prefix(b"\n")?).ok()?;
    let status = last.strip_prefix(token)?.strip_prefix(' ')?.parse().ok()?;
    Some(Ended { status, output: String::from_utf8_lossy(output).into_owned() })
}

/// The host's ends of a machine's lines.
struct Pipes {
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    console: Console,
}

/// The last lines of a machine's console, as they come.
struct Console {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// Hung up at the console's end; nothing is ever sent.
    end: Receiver<()>,
}

/// Starts a machine, tells its pipes, and ends it when nobody wants it any more. The machine dies with the thread
/// that this runs on, which therefore does nothing else.
fn keep(mut command: Command, tell: &Sender<io::Result<Pipes>>, end: &Receiver<()>) {
    sys::programs::die_with_starter(&mut command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            // If nobody listens, nobody wants to know.
            let _ = tell.send(Err(e));
            return;
        }
    };
    if let Some(pipes) = pipes(&mut child)
        && tell.send(Ok(pipes)).is_ok()
    {
        // Nothing is ever sent: it returns when the other end is dropped.
        let _ = end.recv();
    }
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

fn pipes(child: &mut Child) -> Option<Pipes> {
    let (input, mut from_output, errors) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
    let (tell, output) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = from_output.read(&mut buffer) {
            let read = buffer.get(..length).unwrap_or_default().to_vec();
            if read.is_empty() || tell.send(read).is_err() {
                return;
            }
        }
    });
    Some(Pipes { input, output, console: console(errors) })
}

fn console(errors: ChildStderr) -> Console {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let lines = Arc::clone(&kept);
    let (hang_up, end) = mpsc::channel();
    thread::spawn(move || {
        let _hung_up_at_the_end: Sender<()> = hang_up;
        for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == CONSOLE_LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned() + "\n");
        }
    });
    Console { lines: kept, end }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that is a shell.
    fn shell(script: &str) -> Result<Machine, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Machine::start(command)
    }

    /// The machine's first process, without the machine.
    const LISTENS: &str = "echo ready; while read -r token verb rest; do $rest 2>&1 </dev/null; \
                           printf '\\n%s %s\\n' $token $?; done";
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_run_tells_its_output_and_status() {
        let mut machine = shell(LISTENS).unwrap();
        let ended = |status, output: &str| Ok(Ended { status, output: output.to_owned() });
        assert_eq!(machine.run(&["echo", "a", "b"], PATIENCE), ended(0, "a b\n"));
        assert_eq!(machine.run(&["printf", "hopline-1-1"], PATIENCE), ended(0, "hopline-1-1"));
        assert_eq!(machine.run(&["false"], PATIENCE), ended(1, ""));
        let much = machine.run(&["head", "-c", "3000000", "/dev/zero"], PATIENCE).unwrap();
        assert!(much.status == 0 && much.output.len() <= OUTPUT_BYTES_MAX, "{}", much.output.len());
    }

    #[test]
    fn a_machine_that_hangs_or_ends_says_where_it_stood() {
        let mut deaf =
            shell("echo a console >&2; echo ready; while read -r order; do echo begun; done").unwrap();
        let hung = deaf.run(&["test"], Duration::from_millis(500)).unwrap_err();
        for words in ["lost at `run test`", "no end after", "begun", "a console"] {
            assert!(hung.contains(words), "{hung}");
        }
        let mut machine = shell(&format!("echo a console >&2; {LISTENS}")).unwrap();
        let ended = machine.run(&["exit"], PATIENCE).unwrap_err();
        for words in ["lost at `run exit`", "the machine ended", "a console"] {
            assert!(ended.contains(words), "{ended}");
        }
        assert!(machine.run(&["true"], PATIENCE).is_err());
    }

    #[test]
    fn a_machine_that_never_listens_is_told_with_its_console() {
        let Err(failure) = shell("echo no kernel >&2; exec >&-") else { panic!("it does not listen") };
        assert!(failure.contains("lost at `boot`") && failure.contains("no kernel"), "{failure}");
    }

    #[test]
    fn a_machine_ends_with_its_handle() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let machine = shell(&format!("echo $$ >{}; {LISTENS}", pid.display())).unwrap();
        let process = format!("/proc/{}", std::fs::read_to_string(pid).unwrap().trim());
        assert!(std::path::Path::new(&process).exists());
        drop(machine);
        let give_up = Instant::now() + PATIENCE;
        while std::path::Path::new(&process).exists() {
            assert!(Instant::now() < give_up, "{process} lives on");
            thread::yield_now();
        }
    }
}
