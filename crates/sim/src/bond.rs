//! A bond: by which slave a frame leaves, and from which it is taken (`drivers/net/bonding/bond_main.c`).

use model::bond::BondMode;
use model::link::Link;
use model::path::{Place, Stage, Step, Stop};

use crate::trail::{Outcome, Skb, Trail, place};
use crate::wire;
use crate::world::{LinkId, World};

/// Sends a frame by a slave that may send. Where there are several, which one is a hash's choice: where all lead to the
/// same end the first stands for them, and where they do not, nobody can tell.
pub(crate) fn transmit(world: &World, mut trail: Trail, bond: LinkId, here: Place, skb: &Skb) -> Outcome {
    let Some(facts) = world.link(bond).and_then(|link| link.bond) else {
        let why = format!("which slaves {} has, and how it spreads what it sends", here.device);
        return trail.unknown(here, &skb.frame, why, "ip -d link of it and of its slaves");
    };
    let slaves: Vec<LinkId> =
        world.slaves(bond).filter(|slave| world.link(*slave).is_some_and(sends)).collect();
    let by = |slave: LinkId| format!("leaves by its slave {}", world.ns(slave.ns).link_name(slave.link));
    match slaves.as_slice() {
        // `bond_tx_drop`.
        [] => trail.drop(here, &skb.frame, Stop::NoCarrier, Vec::new()),
        [only] => {
            trail.pass(here, &skb.frame, by(*only), Vec::new());
            wire::transmit(world, trail, *only, skb)
        }
        [first, others @ ..] => {
            let names: Vec<String> =
                slaves.iter().map(|slave| world.ns(slave.ns).link_name(slave.link)).collect();
            let spread = format!("{} spreads over {}", facts.mode.name(), names.join(", "));
            let mut by_first = trail.clone();
            by_first.pass(here.clone(), &skb.frame, by(*first), vec![Step::Note(spread.clone())]);
            let stands_for_all = wire::transmit(world, by_first, *first, skb);
            for other in others {
                let outcome = wire::transmit(world, trail.clone(), *other, skb);
                if outcome.disposition != stands_for_all.disposition {
                    let why = format!("which slave of {} the packet leaves by: {spread}", here.device);
                    let need = format!("a capture on {}", names.join(" and on "));
                    return trail.unknown(here, &skb.frame, why, need);
                }
            }
            stands_for_all
        }
    }
}

/// `bond_slave_can_tx`.
fn sends(slave: &Link) -> bool {
    slave.is_running() && slave.bond_slave.is_some_and(|slave| slave.is_up && slave.is_active)
}

/// A frame that comes to a slave is the bond's (`bond_handle_frame`). A backup's is thrown away, but by `balance-alb`,
/// which takes some.
pub(crate) fn receive(world: &World, mut trail: Trail, slave: LinkId, bond: LinkId, skb: &Skb) -> Outcome {
    let here = place(world.ns(slave.ns), world.link(slave), Stage::Wire);
    let master = world.ns(bond.ns).link_name(bond.link);
    let mode = world.link(bond).and_then(|link| link.bond).map(|bond| bond.mode);
    let is_active = world.link(slave).and_then(|link| link.bond_slave).is_some_and(|slave| slave.is_active);
    if !is_active {
        let mode = mode.map_or("", BondMode::name);
        let why =
            format!("whether {master}, in mode {mode}, takes what comes to its idle slave {}", here.device);
        return trail.unknown(here, &skb.frame, why, format!("a capture on {master}"));
    }
    trail.pass(here, &skb.frame, format!("taken by the bond {master}"), Vec::new());
    wire::receive(world, trail, bond, skb)
}
