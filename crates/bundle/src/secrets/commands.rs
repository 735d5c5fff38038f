//! Commands that take a password as one of their words, which no name of an option tells: `sshpass -p x`,
//! `mysql -px`, `curl -u admin:x`.

use std::ops::Range;

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    programs: &'static [&'static str],
    option: char,
    /// The option's long names.
    long: &'static [&'static str],
    /// Options without a value, which may stand before it in the same word: `-su`.
    flags: &'static str,
    value: Value,
}

/// What stands behind the option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// `user:password`, in the same word or the next.
    Login,
    /// A password, in the same word or the next.
    Password,
    /// The same, and another command follows the options.
    Leading,
    /// A password in the same word: the next is something else.
    Joined,
}

/// Those that hosts and instances of a cloud run (curl(1), sshpass(1), mysql(1), ipmitool(1), ldapsearch(1)).
static COMMANDS: [Command; 6] = [
    Command {
        programs: &["curl"],
        option: 'u',
        long: &["--user", "--proxy-user"],
        flags: "0123456#afgGiIjJkLlMnNOpqRsSvVZ",
        value: Value::Login,
    },
    Command { programs: &["sshpass"], option: 'p', long: &[], flags: "v", value: Value::Leading },
    Command {
        programs: &["mysql", "mysqldump", "mysqladmin", "mysqlcheck", "mysqlshow", "mariadb", "mariadb-dump"],
        option: 'p',
        long: &[],
        flags: "ABCEfGHiNnqrsTtvX",
        value: Value::Joined,
    },
    Command { programs: &["ipmitool"], option: 'P', long: &[], flags: "v", value: Value::Password },
    Command { programs: &["redis-cli"], option: 'a', long: &[], flags: "", value: Value::Password },
    Command {
        programs: &["ldapsearch", "ldapmodify", "ldapadd", "ldapwhoami"],
        option: 'w',
        long: &[],
        flags: "vnxZ",
        value: Value::Password,
    },
];

/// A command line, read word by word.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    command: Option<&'static Command>,
    /// The next word is the option's value.
    awaits: bool,
}

impl Line {
    /// Where in its next word a secret lies.
    pub(super) fn next(&mut self, word: &str) -> Option<Range<usize>> {
        if let Some(command) = self.command.filter(|_| self.awaits) {
            self.awaits = false;
            return secret(command.value, word, 0);
        }
        if let Some(command) = called(word) {
            self.command = Some(command);
            return None;
        }
        let command = self.command?;
        let is_led = command.value == Value::Leading && !word.starts_with('-');
        if is_led || matches!(word, "|" | "||" | "&" | "&&" | ";") {
            self.command = None;
            return None;
        }
        let at = value_of(command, word)?;
        if at == word.len() {
            self.awaits = command.value != Value::Joined;
            return None;
        }
        secret(command.value, word, at)
    }
}

/// `/usr/bin/curl`, also as a shell's text has it: `$(curl`, `"curl`.
fn called(word: &str) -> Option<&'static Command> {
    let name = word.rsplit(['/', '(', '"', '\'', '`']).next().unwrap_or_default();
    COMMANDS.iter().find(|command| command.programs.contains(&name))
}

/// Where the value begins of the option that this word is; at the word's end where it is the next word.
fn value_of(command: &Command, word: &str) -> Option<usize> {
    let long = command.long.iter().find_map(|name| {
        let rest = word.strip_prefix(name)?;
        (rest.is_empty()).then_some(word.len()).or_else(|| rest.starts_with('=').then_some(name.len() + 1))
    });
    let short = || {
        let letters = word.strip_prefix('-')?;
        let at = letters.find(|c| !command.flags.contains(c))?;
        let rest = letters.get(at..)?.strip_prefix(command.option)?;
        Some(word.len() - rest.len())
    };
    long.or_else(short)
}

/// The secret in a value, without the quotes around it.
fn secret(value: Value, word: &str, from: usize) -> Option<Range<usize>> {
    let whole = word.get(from..)?;
    let inner = whole.trim_start_matches(['"', '\'']);
    let start = from + (whole.len() - inner.len());
    let end = start + inner.trim_end_matches(['"', '\'', ')', '`', ';']).len();
    let start = match value {
        Value::Login => start + inner.find(':')? + 1,
        Value::Password | Value::Leading | Value::Joined => start,
    };
    (start < end).then_some(start..end)
}

/// Where secrets lie in a text of command lines: one behind quotes goes on to the quote that ends it.
pub(super) fn commands(text: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut programs = COMMANDS.iter().flat_map(|command| command.programs);
    if !programs.any(|program| text.contains(program)) {
        return out;
    }
    let mut begin = 0;
    for text_line in text.split_inclusive('\n') {
        let mut line = Line::default();
        // Where the next word may begin.
        let mut at = 0;
        while let Some(start) = text_line.get(at..).and_then(|rest| rest.find(|c: char| !c.is_whitespace())) {
            let start = at + start;
            let rest = text_line.get(start..).unwrap_or_default();
            let length = if line.awaits { value_length(rest) } else { word_length(rest) };
            let word = rest.get(..length).unwrap_or_default();
            out.extend(line.next(word).map(|range| begin + start + range.start..begin + start + range.end));
            at = start + length;
        }
        begin += text_line.len();
    }
    out
}

fn word_length(rest: &str) -> usize {
    rest.find(char::is_whitespace).unwrap_or(rest.len())
}

/// A value in quotes may hold blanks.
fn value_length(rest: &str) -> usize {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let quoted = quote.and_then(|quote| rest.get(1..)?.find(quote)).map(|at| at + 2);
    quoted.unwrap_or_else(|| word_length(rest))
}
