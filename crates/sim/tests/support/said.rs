//! What the walk says of a ping, and how it tells it.

use std::net::IpAddr;

use model::path::Disposition;
use model::{Intent, Snapshot};
use sim::{Endpoint, Protocol, Question, World};

pub(crate) struct Said {
    /// `None` where it does not know.
    pub(crate) answered: Option<bool>,
    pub(crate) told: String,
}

pub(crate) fn ask(snapshot: &Snapshot, from: &str, to: &str, protocol: Protocol) -> Said {
    let intent = Intent::default();
    let world = World::new(snapshot, &intent);
    let from = Endpoint::Machine(world.main_ns(from).expect("it was read"));
    let to: IpAddr = to.parse().unwrap();
    let answer = sim::ask(&world, &Question { from, to, protocol, reply: true });
    let unknown = answer.paths.iter().any(|path| match path.disposition {
        Disposition::Unknown { .. } => true,
        Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite => false,
    });
    let hop = |hop: &model::path::Hop| format!("  {} {:?}: {}", hop.at, hop.at.stage, hop.detail);
    let told = answer.paths.iter().flat_map(|path| {
        let title = format!(" {:?} {:?}: {:?}", path.exchange, path.direction, path.disposition);
        std::iter::once(title).chain(path.hops.iter().map(hop))
    });
    let told = told.collect::<Vec<_>>().join("\n");
    Said { answered: (!unknown).then_some(answer.answered), told }
}
