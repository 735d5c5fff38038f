//! `nft -j -a list ruleset` (libnftables-json(5)).
//!
//! Objects are read one by one, so that neither a cut-off dump nor an object of a newer nft costs
//! more than itself, and an expression that is not modelled becomes a test or an action that says so
//! with its own JSON. Rules' texts are rendered as `nft list ruleset` prints them, but for counters'
//! numbers; JSON has no text.

use model::netfilter::{Family, Table};

use crate::Parsed;
use assembly::Assembly;

pub(crate) mod assembly;
mod expression;
pub(crate) mod objects;
mod rule;
mod text;

/// Reads a ruleset, except for the tables that `skip` names: those of iptables-nft and ebtables-nft,
/// which their own save commands show in full where JSON hides what an `xt` expression says.
pub fn parse(text: &str, skip: &dyn Fn(Family, &str) -> bool) -> Parsed<Vec<Table>> {
    let mut assembly = Assembly::new(skip);
    let mut problems = objects::read(text, &mut |object| assembly.add(&object));
    let tables = assembly.finish(&mut problems);
    Parsed { value: tables, problems }
}
