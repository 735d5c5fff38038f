//! `nft -j -a list ruleset` (libnftables-json(5)).
//!
//! Objects are read one by one, so that neither a cut-off dump nor an object of a newer nft costs
//! more than itself, and what of a rule is not modelled, or cannot be told, becomes a test or an action
//! that says so. All texts are rendered as `nft list ruleset` prints them, but for counters' numbers;
//! JSON has none.

use model::netfilter::{Family, Table};

use crate::Parsed;
use assembly::Assembly;

mod action;
pub(crate) mod assembly;
mod bits;
mod condition;
mod constant;
mod field;
mod lookup;
mod names;
mod nat;
pub(crate) mod objects;
mod plain;
mod rule;
pub(crate) mod set;
mod text;

/// Reads a ruleset, except for the tables that `skip` names: those of iptables-nft and ebtables-nft,
/// which their own save commands show in full where JSON hides what an `xt` expression says.
pub fn parse(text: &str, skip: &dyn Fn(Family, &str) -> bool) -> Parsed<Vec<Table>> {
    let mut assembly = Assembly::new(skip);
    let mut problems = objects::read(text, &mut |object| assembly.add(object));
    let tables = assembly.finish(&mut problems);
    Parsed { value: tables, problems }
}
