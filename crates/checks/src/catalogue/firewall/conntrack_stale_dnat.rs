//! # conntrack-stale-dnat
//!
//! A tracked connection leads a floating address to an instance that it no longer belongs to.
//!
//! ## What it means
//! NAT decides once for a connection, at its first packet. After the address was associated anew the rules lead to the
//! new instance, and whoever goes on sending from the same port still reaches the old one, for as long as packets keep
//! the entry alive.
//!
//! ## How hopline knows
//! The host tracks a connection to the floating address whose answers come from another fixed address than the one that
//! is recorded, and no rule that is there now leads the address to that one. It is past its opening; what was never
//! answered ends by itself within seconds, and echoes do.
//!
//! ## What it looks like
//! `conntrack -L --orig-dst FLOATING`: `src=` of the second half is the old fixed address. A new connection, from
//! another port, arrives where it should.
//!
//! ## Nearest look-alikes
//! * `dnat-wrong-fixed-ip`: the rule itself leads astray, for everybody.
//! * `float-on-two-hosts`: another host answers for the address.
//!
//! ## Fix
//! Forget the connections: `conntrack -D --orig-dst FLOATING`. Whoever uses them connects anew. No undo.
//!
//! ## References
//! conntrack(8); kubernetes/kubernetes#66651; nova `linux_net.py` `remove_floating_forward`.

use std::net::IpAddr;

use model::Netns;
use model::conntrack::CtEntry;
use model::finding::Confidence;
use model::intent::Floating;
use model::path::{Direction, Exchange, Stage};

use crate::evidence;
use crate::floats;
use crate::found::{Fault, Found, Reach, at};
use crate::view::{Seat, View};

/// As many connections are told.
const TOLD_MAX: usize = 3;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Looks for connections that are pinned to another instance: one finding a floating address.
pub fn check(view: &View) -> Vec<Found> {
    let all = floats::all(view).into_iter();
    all.filter_map(|(seat, floating, ns)| pinned(seat, floating, ns)).collect()
}

fn pinned(seat: Seat, floating: &Floating, ns: &Netns) -> Option<Found> {
    let (address, fixed) = (floating.address, floating.fixed);
    let stale: Vec<&CtEntry> = ns.conntrack.iter().filter(|entry| is_stale(ns, entry, floating)).collect();
    let first = stale.first()?;
    let name = &seat.instance.name;
    let carrier = ns.addresses.iter().find(|a| a.net.addr() == IpAddr::V4(address));
    let device = carrier.map_or_else(String::new, |a| ns.link_name(a.link));
    let list = format!("conntrack -L --orig-dst {address}");
    let told = stale.iter().take(TOLD_MAX).map(|entry| evidence::state(ns, &list, text(entry)));
    let fault = Fault {
        code: "conntrack-stale-dnat",
        hop: at(ns, &device, Stage::Nat),
        summary: format!(
            "{} connections to {address} of {name} still lead to {}",
            stale.len(),
            first.reply.source
        ),
        cause: format!("they were opened before {address} was {name}'s, whose fixed address is {fixed}"),
        confidence: Confidence::Proven,
        evidence: told.collect(),
        owner: "operator",
        remedy: vec![evidence::remedy(
            ns,
            &format!("conntrack -D --orig-dst {address}"),
            "",
            "whoever uses them connects anew",
        )],
        instances: vec![name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    let exchange = if first.protocol == TCP { Exchange::Tcp } else { Exchange::Udp };
    Some(fault.found().breaks_open_ones(exchange, Direction::Request).reaching(Reach::Nothing))
}

/// It is for this address and alive, and leads neither to the fixed address nor to the host itself, nor where a rule
/// that is there now leads some of what the address receives: an operator's port forward.
fn is_stale(ns: &Netns, entry: &CtEntry, floating: &Floating) -> bool {
    let (to, from) = (entry.original.destination, entry.reply.source);
    let is_alive = entry.assured && !entry.unreplied && matches!(entry.protocol, TCP | UDP);
    is_alive
        && to == IpAddr::V4(floating.address)
        && from != IpAddr::V4(floating.fixed)
        && from != IpAddr::V4(floating.address)
        && !floats::leads(ns, floating.address, from)
}

fn text(entry: &CtEntry) -> String {
    let protocol = if entry.protocol == TCP { "tcp" } else { "udp" };
    let left = entry.timeout_s.map(|left| format!(", {left} s left")).unwrap_or_default();
    let (asked, answers) = (&entry.original, &entry.reply);
    format!(
        "{protocol} {}:{} > {}:{}, answered by {}:{}{left}",
        asked.source,
        asked.source_port,
        asked.destination,
        asked.destination_port,
        answers.source,
        answers.source_port
    )
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Match, Test};

    use crate::fixture::{Cloud, broken, codes};

    fn stale() -> Cloud {
        broken("conntrack-stale-dnat")
    }

    #[test]
    fn fires_on_a_connection_to_another_instance() {
        let found = stale().diagnose("web1");
        assert_eq!(codes(&found), ["conntrack-stale-dnat compute1//eth0"]);
        let evidence = &found.findings[0].evidence[0].text;
        assert_eq!(evidence, "udp 1.2.3.4:40000 > 203.0.113.30:9000, answered by 10.0.2.25:9000, 600 s left");
    }

    #[test]
    fn stays_silent_where_a_rule_leads_a_part_of_it_there() {
        let mut cloud = stale();
        let mut floating = cloud.intent.instances[0].vifs[0].floating[0].clone();
        floating.fixed = [10, 0, 2, 25].into();
        let mut forward = crate::floats::dnat_rule(&floating);
        let tests = [Test::Protocol(17), Test::DestinationPort(vec![(9000, 9000)])];
        forward.matches.extend(tests.map(|test| Match { negated: false, test }));
        cloud.chain("compute1", "nat", "PREROUTING").rules.insert(0, forward);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_on_what_ends_by_itself_and_on_what_is_right() {
        let found = |change: fn(&mut model::conntrack::CtEntry)| {
            let mut cloud = stale();
            change(cloud.netns("compute1").conntrack.last_mut().unwrap());
            codes(&cloud.diagnose("web1"))
        };
        assert_eq!(found(|entry| entry.assured = false), [""; 0]);
        assert_eq!(found(|entry| entry.unreplied = true), [""; 0]);
        assert_eq!(found(|entry| entry.protocol = 1), [""; 0]);
        assert_eq!(found(|entry| entry.reply.source = [10, 0, 2, 24].into()), [""; 0]);
        assert_eq!(found(|entry| entry.reply.source = [203, 0, 113, 30].into()), [""; 0]);
    }
}
