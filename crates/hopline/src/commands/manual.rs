//! `hopline man` and `hopline completions`: what a package installs beside the program, from the very definition
//! that the command line is read by.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{Cli, EXIT_CODES};
use crate::failure::Failure;
use crate::nearest::meant;
use crate::output;

/// The manual page of a command, in roff; of the program, where no command is named.
pub(super) fn page(words: &[String]) -> Result<(), Failure> {
    let mut program = Cli::command();
    // Each command learns its full name, `hopline-lab-up`, and the flags that every command takes.
    program.build();
    let mut command = &program;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| unknown(command, word))?;
    }
    let man = Man::new(command.clone());
    output::print(|out| {
        man.render(out)?;
        // The program's own page has them with the rest of its help.
        if words.is_empty() {
            return Ok(());
        }
        write!(out, ".SH \"EXIT STATUS\"\n.nf\n{EXIT_CODES}.fi\n{OTHERS}\n")
    })
}

const OTHERS: &str =
    "A command that looks for no faults ends with 0 where it did its work, and with 2 where not.";

/// What a shell reads to complete hopline's commands and flags.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hopline", &mut script);
    output::print(|out| out.write_all(&script))
}

fn unknown(command: &Command, word: &str) -> Failure {
    let failure = Failure::new(format!("there is no command `{word}`"));
    match meant(word, command.get_subcommands().map(Command::get_name)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`hopline --help` lists all"),
    }
}
