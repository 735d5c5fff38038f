//! The one way in which a command fails: a message that says what, where and why, and what to do.

use std::fmt;
use std::io::{self, Write};

use report::clean;

/// The command line, an input or the machine kept hopline from its work.
pub(crate) const EXIT_FAILURE: u8 = 2;
/// What matters could not be seen.
const EXIT_UNDETERMINED: u8 = 3;

/// Why a command could not do its work, or cannot tell whether it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    exit_code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), hint: None, exit_code: EXIT_FAILURE }
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// It may have been done all the same: the message says what settles it.
    pub(crate) fn undetermined(mut self) -> Failure {
        self.exit_code = EXIT_UNDETERMINED;
        self
    }

    /// 2, or 3 where nobody knows whether it was done.
    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// An error with its causes on one line.
    pub(crate) fn of(error: &dyn std::error::Error) -> Failure {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors already print their cause.
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Failure::new(message)
    }

    /// Prints message and hint; whatever strangers wrote in them cannot touch the terminal.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "hopline: error: ")?;
        print_lines(out, &self.message)?;
        if let Some(hint) = &self.hint {
            write!(out, "\nhint: ")?;
            print_lines(out, hint)?;
        }
        Ok(())
    }
}

fn print_lines(out: &mut dyn Write, text: &str) -> io::Result<()> {
    text.trim_end().split('\n').try_for_each(|line| writeln!(out, "{}", clean(line)))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
