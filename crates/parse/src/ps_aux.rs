//! `ps aux` (and `ps auxww`), also with long command lines wrapped by hand or by a mailer, and with a line for each
//! thread below its process (`ps auxm`).

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
        if let Some(state) = thread(line).filter(|_| in_process && !continues) {
            // The first thread's state is the process's, which has none of its own then.
            let process = out.value.last_mut().filter(|process| process.state == "-");
            process.into_iter().for_each(|process| state.clone_into(&mut process.state));
            continue;
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

/// The state in a thread's line, which has neither a number nor a command of its own: `root - 0.6 - - - - S<Ll - -`.
fn thread(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "-", _, _, _, _, _, state, ..] = words.as_slice() else { return None };
    Some(state.chars().take(1).collect())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn threads_stand_below_their_process() {
        let text = "\
USER       PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND
nobody   17608  0.0  0.0  11640  2072 ?        -    03:21   0:00 /usr/sbin/dnsmasq --strict-order
nobody       -  0.0    -      -     - -        Tl   03:21   0:00 -
root         9  0.0  0.0  11640  1860 ?        -    03:21   0:00 /usr/bin/python3 /usr/bin/nova-compute
root         -  0.0    -      -     - -        S<   03:21   0:00 -
root         -  0.0    -      -     - -        Rl   03:21   0:00 -
";
        let read = parse(text);
        assert_eq!(read.problems, []);
        let told: Vec<(u32, &str, usize)> =
            read.value.iter().map(|p| (p.pid, p.state.as_str(), p.argv.len())).collect();
        assert_eq!(told, [(17_608, "T", 2), (9, "S", 2)]);
    }

    proptest! {
        #[test]
        fn any_words_are_answered(words in prop::collection::vec("root|-|7|S|a|\\PC{0,4}|\n", 0..60)) {
            parse(&words.join(" "));
        }
    }
}
