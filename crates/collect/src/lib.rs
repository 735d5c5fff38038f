//! One host, or a whole site, read into a [`model::Snapshot`].
//!
//! Live facts come by netlink, netfilter's rules by their own `-save` tools, the rest from procfs and
//! files. A namespace belongs to a thread; everything is read, nothing is changed. What cannot be
//! read becomes a [`model::snapshot::Gap`], it never costs the rest.

pub mod machine;
pub mod netlink;

mod connections;
mod consoles;
mod facts;
mod files;
mod gaps;
mod kept;
mod netfilter;
mod nova_version;
mod processes;
mod sockets;
mod sysctls;
mod tool;
mod versions;

pub use kept::{Keep, NOTHING};
pub use machine::{
    At, CollectError, Collected, Machine, MachinePlan, add, machines, namespace, now, queues, ruleset, site,
};
pub use versions::versions;
