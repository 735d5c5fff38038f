//! hopline: the command line.
//!
//! Two steps, then one call: [`cli`] is what was typed, [`plan`] what it means, [`commands`] has a
//! file for each thing that can be asked. The answer goes to stdout, everything else to stderr.

mod asking;
mod bundled;
mod cli;
mod cli_db;
mod cli_lab;
mod commands;
mod conclude;
mod dropping;
mod failure;
mod gather;
mod holders;
mod inconsistent;
mod nearest;
mod output;
mod plan;
mod probes;
mod progress;
mod proof;
mod queues;
mod realm;
mod recorded;
mod sheets;
mod sightings;
mod site_file;
mod targets;
mod tree;
mod vantages;
mod watching;
mod who;
mod widening;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::failure::{EXIT_FAILURE, Failure};

fn main() -> ExitCode {
    let typed = match cli::Cli::try_parse() {
        Ok(typed) => typed,
        // Nothing was typed: what could have been is help, not an error message.
        Err(help) if help.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = help.print();
            return ExitCode::from(EXIT_FAILURE);
        }
        Err(error) if error.use_stderr() => return fail(&usage(&error)),
        // Help and version go to stdout; a reader that has gone away has read enough.
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    match plan::of(typed).and_then(|plan| commands::run(&plan)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => fail(&failure),
    }
}

/// clap's own message, with what was typed in it made safe to print.
fn usage(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    Failure::new(text.strip_prefix("error: ").unwrap_or(&text))
}

fn fail(failure: &Failure) -> ExitCode {
    // Without a stderr there is nobody left to tell.
    let _ = failure.print(&mut io::stderr().lock());
    ExitCode::from(failure.exit_code())
}
