//! # bridge-mac-change-unnat
//!
//! A connection leaves with the instance's fixed address, though new ones are translated.
//!
//! ## What it means
//! NAT decides once for a connection, at its first packet. When a bridge's MAC changes, its instances go on sending to
//! the old one for a moment: such a packet is bridged, past all routing, and `br_netfilter` has it tracked with no
//! translation. By the time the instance has asked again and is routed, the entry stands, and every packet of the
//! connection leaves under an address to which nobody outside knows the way. A rule that came too late does the same.
//!
//! ## How hopline knows
//! The instance's gateway tracks a connection of its fixed address to somewhere outside whose answers are expected at
//! that fixed address. It was never answered, and it is in use: its clock was wound up within the last second. A
//! new connection of the same kind to the same place is walked, and is translated. What sends more seldom than once
//! a second is not seen to be in use, and not told.
//!
//! ## What it looks like
//! One program fails and another on the same instance, or the same one started anew, works. `conntrack -L`: the entry
//! is `[UNREPLIED]`, and the `dst=` of its second half is the fixed address. Where the entry of a ping with large
//! packets is hit it passes for a fault of the MTU.
//!
//! ## Nearest look-alikes
//! * `snat-missing`: no new connection is translated either.
//! * `conntrack-stale-dnat`: what comes from outside is led to another instance.
//! * `bridge-mac-flap`: the instance still sends to the old MAC.
//!
//! ## Fix
//! Forget the connection: `conntrack -D -p PROTOCOL --orig-src FIXED --orig-dst OUTSIDE`; its next packet is
//! translated. No undo. A bridge whose MAC is set by hand keeps it whatever its ports do.
//!
//! ## References
//! conntrack(8); `nf_nat_core.c` `nf_nat_setup_info` (a confirmed entry is not translated any more);
//! `br_netfilter_hooks.c`; nova `linux_net.py` `ensure_bridge`, which sets the bridge's MAC.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::Netns;
use model::conntrack::CtEntry;
use model::finding::Confidence;
use model::link::Link;
use model::packet::{ICMP, TCP, UDP};
use model::path::{Direction, Path, Stage, Step};
use sim::{Endpoint, Protocol, Question};

use crate::evidence;
use crate::found::{Fault, Found, Reach, at};
use crate::uplinks;
use crate::view::{Seat, View};

/// As many connections of an instance are looked at and told: each is walked.
const TOLD_MAX: usize = 3;
/// Seconds since its last packet, at most, of a connection that is in use.
const IDLE_S_MAX: u32 = 1;

/// Looks for connections that leave untranslated where new ones do not: one finding an instance's NIC.
pub fn check(view: &View) -> Vec<Found> {
    let uplinks = uplinks::all(view);
    let of_seat = |seat: Seat| {
        let (ns, uplink) = *uplinks.iter().find(|(ns, _)| ns.machine == seat.server_ns.machine)?;
        pinned(view, seat, (ns, uplink))
    };
    view.vifs().filter_map(of_seat).collect()
}

fn pinned(view: &View, seat: Seat, (ns, uplink): (&Netns, &Link)) -> Option<Found> {
    let left: Vec<Left> = ns.conntrack.iter().filter_map(|entry| left_as_it_was(ns, seat, entry)).collect();
    let told: Vec<&Left> =
        left.iter().take(TOLD_MAX).filter(|left| would_be_translated(view, seat, left)).collect();
    let first = *told.first()?;
    let name = &seat.instance.name;
    let entries =
        |left: &&Left| evidence::state(ns, &format!("conntrack -L --orig-src {}", left.fixed), left.text());
    let by_new = format!("a new connection of {name} to {} is translated", first.to);
    let walk = evidence::state(ns, "iptables-save -t nat", by_new);
    let forgotten: BTreeSet<String> = told.iter().map(|left| left.forgotten()).collect();
    let note = "its next packet opens it anew, and that is translated";
    let fault = Fault {
        code: "bridge-mac-change-unnat",
        hop: at(ns, &uplink.name, Stage::Nat),
        summary: format!(
            "a connection of {name} to {} leaves {} with its fixed address {}, though new ones are translated",
            first.to, ns.machine, first.fixed
        ),
        cause: format!(
            "its first packet was not translated, as one that is bridged is not, because {name} still sends to an old \
             MAC of its gateway; NAT decides once for a connection"
        ),
        confidence: Confidence::Proven,
        evidence: told.iter().map(entries).chain([walk]).collect(),
        owner: "operator",
        remedy: forgotten.iter().map(|command| evidence::remedy(ns, command, "", note)).collect(),
        instances: vec![name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    let found = fault.found().breaks_open_ones(first.protocol.exchange(), Direction::Reply);
    Some(found.reaching(Reach::Nothing))
}

/// A connection that leaves as the instance sent it.
struct Left<'n> {
    entry: &'n CtEntry,
    fixed: Ipv4Addr,
    to: Ipv4Addr,
    protocol: Protocol,
    /// Its protocol as conntrack(8) spells it.
    name: &'static str,
}

/// It is the instance's own, to somewhere that is reached through its gateway, in use, and neither translated nor
/// answered.
fn left_as_it_was<'n>(ns: &Netns, seat: Seat, entry: &'n CtEntry) -> Option<Left<'n>> {
    let (IpAddr::V4(fixed), IpAddr::V4(to)) = (entry.original.source, entry.original.destination) else {
        return None;
    };
    let (protocol, name) = match entry.protocol {
        ICMP => (Protocol::Icmp, "icmp"),
        TCP => (Protocol::Tcp(entry.original.destination_port), "tcp"),
        UDP => (Protocol::Udp(entry.original.destination_port), "udp"),
        _ => return None,
    };
    let is_kept = entry.reply.source == IpAddr::V4(to) && entry.reply.destination == IpAddr::V4(fixed);
    let is_near = to.is_multicast() || to.is_broadcast() || to.is_link_local() || to.is_loopback();
    let is_its = seat.vif.fixed.contains(&fixed) && entry.zone == 0;
    (is_its && is_kept && !is_near && entry.unreplied && is_in_use(ns, entry)).then_some(Left {
        entry,
        fixed,
        to,
        protocol,
        name,
    })
}

/// Each packet winds the clock of its entry up to what the sysctl has (`__nf_ct_refresh_acct`); of what ended a
/// moment ago nobody has to be told.
fn is_in_use(ns: &Netns, entry: &CtEntry) -> bool {
    // The kernel's own values stand where it was not asked.
    let (name, usual) = match entry.protocol {
        ICMP => ("nf_conntrack_icmp_timeout", 30),
        UDP => ("nf_conntrack_udp_timeout", 30),
        _ => ("nf_conntrack_tcp_timeout_syn_sent", 120),
    };
    let set = ns.sysctls.get(&format!("netfilter.{name}")).and_then(|text| text.parse::<u32>().ok());
    let full = set.unwrap_or(usual);
    entry.timeout_s.is_some_and(|left| left <= full && left >= full.saturating_sub(IDLE_S_MAX))
}

/// The gateway gives another source to what is opened now.
fn would_be_translated(view: &View, seat: Seat, left: &Left) -> bool {
    let at = view.intent().instances.iter().position(|i| std::ptr::eq(i, seat.instance));
    let Some(at) = at else { return false };
    let from = Endpoint::instance(view.world, at);
    let question = Question { from, to: left.to.into(), protocol: left.protocol, reply: false };
    let answer = sim::ask(view.world, &question);
    let own = answer.paths.iter().filter(|path| path.direction == Direction::Request);
    own.into_iter().any(|path| is_translated(path, &seat.server_ns.machine, left.fixed))
}

fn is_translated(path: &Path, host: &str, fixed: Ipv4Addr) -> bool {
    let there = path.hops.iter().filter(|hop| hop.at.host == host && hop.at.netns.is_empty());
    let source = |packet: &str| packet.split([' ', ':']).next().and_then(|ip| ip.parse::<Ipv4Addr>().ok());
    there.flat_map(|hop| &hop.steps).any(|step| match step {
        Step::Rewritten(before, after) => source(before) == Some(fixed) && source(after) != Some(fixed),
        Step::Bridged(_) | Step::Rule(_) | Step::Routed(_) | Step::Resolved(_) | Step::Note(_) => false,
    })
}

impl Left<'_> {
    fn text(&self) -> String {
        let Left { entry, fixed, to, name, .. } = self;
        let (from, port) = (entry.original.source_port, entry.original.destination_port);
        let asked = match self.protocol {
            Protocol::Tcp(_) | Protocol::Udp(_) => format!("{fixed}:{from} > {to}:{port}"),
            Protocol::Icmp | Protocol::WholeIcmp(_) | Protocol::Traced { .. } | Protocol::Arp => {
                format!("{fixed} > {to} id {from}")
            }
        };
        let left = entry.timeout_s.map(|left| format!(", {left} s left")).unwrap_or_default();
        format!("{name} {asked}, answers expected at {fixed}, none came{left}")
    }

    fn forgotten(&self) -> String {
        format!("conntrack -D -p {} --orig-src {} --orig-dst {}", self.name, self.fixed, self.to)
    }
}

#[cfg(test)]
mod tests {
    use model::conntrack::CtEntry;

    use crate::fixture::{Cloud, broken, codes, inject};

    const CODE: &str = "bridge-mac-change-unnat";

    fn pinned() -> Cloud {
        broken(CODE)
    }

    #[test]
    fn fires_where_only_a_new_connection_is_translated() {
        let found = pinned().diagnose("web1");
        assert_eq!(codes(&found), ["bridge-mac-change-unnat compute1//eth0"]);
        let [first, walk] = found.findings[0].evidence.as_slice() else {
            panic!("{:?}", found.findings[0].evidence)
        };
        assert_eq!(
            first.text,
            "icmp 10.0.2.24 > 1.2.3.4 id 4711, answers expected at 10.0.2.24, none came, 29 s left"
        );
        assert_eq!(walk.text, "a new connection of web1 to 1.2.3.4 is translated");
        let [remedy] = found.findings[0].remedy.as_slice() else { panic!("{:?}", found.findings[0].remedy) };
        assert!(remedy.command.ends_with("conntrack -D -p icmp --orig-src 10.0.2.24 --orig-dst 1.2.3.4"));
    }

    #[test]
    fn stays_silent_on_what_is_right_answered_or_over() {
        let found = |change: fn(&mut CtEntry)| {
            let mut cloud = pinned();
            change(cloud.netns("compute1").conntrack.last_mut().unwrap());
            codes(&cloud.diagnose("web1"))
        };
        assert_eq!(found(|entry| entry.unreplied = false), [""; 0], "the outside knows the way back");
        assert_eq!(found(|entry| entry.timeout_s = Some(28)), [""; 0], "nobody has sent by it lately");
        assert_eq!(found(|entry| entry.timeout_s = None), [""; 0]);
        assert_eq!(
            found(|entry| entry.reply.destination = [203, 0, 113, 30].into()),
            [""; 0],
            "it is translated"
        );
        assert_eq!(found(|entry| entry.original.source = [10, 0, 2, 99].into()), [""; 0], "nobody's");
        let to = |entry: &mut CtEntry, to: [u8; 4]| {
            (entry.original.destination, entry.reply.source) = (to.into(), to.into());
        };
        let mut cloud = pinned();
        // A neighbour that does not answer, and what everybody hears.
        for address in [[10, 0, 2, 25], [224, 0, 0, 251], [169, 254, 169, 254], [10, 0, 0, 42]] {
            to(cloud.netns("compute1").conntrack.last_mut().unwrap(), address);
            assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "{address:?}");
        }
    }

    #[test]
    fn stays_silent_where_new_ones_are_not_translated_either() {
        let mut cloud = pinned();
        inject(&mut cloud, "snat-missing");
        assert_eq!(codes(&cloud.diagnose("web1"))[..1], ["snat-missing compute1//eth0"]);
        let mut meant = pinned();
        let rule = crate::fixture::to("1.2.0.0/16");
        let chain = meant.chain("compute1", "nat", "POSTROUTING");
        let mut accept = chain.rules[0].clone();
        accept.text = "-A POSTROUTING -d 1.2.0.0/16 -j ACCEPT".to_owned();
        (accept.matches, accept.action) = (vec![rule], model::netfilter::Action::Accept);
        chain.rules.insert(0, accept);
        // Once that rule is gone, what was tracked meanwhile is still pinned.
        assert_eq!(codes(&meant.diagnose("web1"))[..1], ["snat-missing compute1//eth0"]);
    }

    #[test]
    fn a_sysctl_tells_when_a_clock_is_full() {
        let mut cloud = pinned();
        let sysctls = &mut cloud.netns("compute1").sysctls;
        sysctls.insert("netfilter.nf_conntrack_icmp_timeout".to_owned(), "60".to_owned());
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        cloud.netns("compute1").conntrack.last_mut().unwrap().timeout_s = Some(60);
        assert_eq!(codes(&cloud.diagnose("web1")), ["bridge-mac-change-unnat compute1//eth0"]);
    }
}
