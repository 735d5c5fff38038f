//! `ps aux` (and `ps auxww`), also with long command lines wrapped by hand or by a mailer.

use model::service::Process;

use crate::{Parsed, Problem};

/// Columns before the command: USER PID %CPU %MEM VSZ RSS TTY STAT START TIME.
const COLUMNS_BEFORE_COMMAND: usize = 10;

/// Reads a whole listing. A line that begins with white space continues the command line above it.
///
/// `ps` prints arguments with single spaces between them, so an argument that holds a space comes
/// out as two, and an empty one not at all.
pub fn parse(text: &str) -> Parsed<Vec<Process>> {
    let mut out = Parsed::<Vec<Process>>::default();
    let mut in_process = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || is_heading(line) {
            continue;
        }
        let continues = line.starts_with(char::is_whitespace);
        match out.value.last_mut() {
            Some(process) if continues && in_process => {
                process.argv.extend(line.split_whitespace().map(str::to_owned));
                continue;
            }
            Some(_) | None => {}
        }
        let process = process(line).filter(|_| !continues);
        in_process = process.is_some();
        if process.is_none() {
            let what = "expected a process as `ps aux` prints it: USER PID %CPU %MEM VSZ RSS TTY STAT ...";
            out.problems.push(Problem::at(index, line, line.trim_start(), what));
        }
        out.value.extend(process);
    }
    out
}

fn is_heading(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("USER") && words.next() == Some("PID")
}

fn process(line: &str) -> Option<Process> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (columns, command) = words.split_at_checked(COLUMNS_BEFORE_COMMAND)?;
    let [user, pid, _cpu, _mem, _vsz, _rss, _tty, state, ..] = columns else { return None };
    if command.is_empty() {
        return None;
    }
    Some(Process {
        pid: pid.parse().ok()?,
        user: (*user).to_owned(),
        // The letters after the first (`Ss`, `S<l+`) tell of sessions and priorities.
        state: state.chars().take(1).collect(),
        argv: command.iter().map(|word| (*word).to_owned()).collect(),
        ..Process::default()
    })
}
