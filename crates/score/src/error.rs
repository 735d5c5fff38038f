//! What can go wrong with the score itself; what goes wrong with a diagnosis is a case of it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why there is no score.
#[derive(Debug, Error)]
pub enum ScoreError {
    /// A program could not be started.
    #[error("{program} could not be started")]
    Start {
        /// Which.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// `hopline lab` did not do what it was asked.
    #[error("`{command}` failed: {said}")]
    Lab {
        /// What was asked.
        command: String,
        /// Its words.
        said: String,
    },
    /// A file could not be read or written.
    #[error("could not {operation} {path}")]
    File {
        /// Read, write.
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A record is none of ours.
    #[error("{path} is no record of a score: {why}")]
    Record {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The virtual machine with another kernel did not do its part.
    #[error("the virtual machine: {said}")]
    Machine {
        /// Its words.
        said: String,
    },
}
