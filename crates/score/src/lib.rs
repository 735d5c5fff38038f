//! How often hopline is right: a corpus of faults, each made for real in a lab, each diagnosed by the command line, and
//! what was said held to what was done.
//!
//! The corpus (`tables`, `shape`, `healthy`, `pair`, `order`), what is right (`said`, `case`) and what is told of it
//! (`figures`, `record`, `page`) look at nothing but what they are given. `program`, `bench`, `trial` and `run` do it.

mod bench;
mod case;
mod draw;
mod error;
mod figures;
mod healthy;
mod order;
mod page;
mod pair;
mod program;
mod record;
mod run;
mod said;
mod shape;
pub mod tables;
mod trial;

pub use case::{Case, Ended, Kind, Mode};
pub use error::ScoreError;
pub use figures::Figures;
pub use healthy::{Step, Variant};
pub use page::page;
pub use program::Hopline;
pub use record::{Record, write_whole};
pub use run::{Runner, Tried};
pub use shape::{Made, Shape};
pub use trial::{Means, Trial};
