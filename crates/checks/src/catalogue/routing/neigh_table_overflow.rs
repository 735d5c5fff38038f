//! # neigh-table-overflow
//!
//! The machine's table of neighbours is full, so whom it does not know yet it cannot learn of.
//!
//! ## What it means
//! Every address that a machine sends to on a link of its own takes an entry, in one table for all its namespaces. At
//! `gc_thresh3` entries, with none that may be given up, a packet for another neighbour is dropped where it was to
//! leave, and a stranger's ARP is not answered. Who is known already goes on. Large flat networks, many routers' or
//! instances' namespaces on one machine, and scans of an address range fill it.
//!
//! ## How hopline knows
//! The kernel's own count (`ip -s ntable`, which tells of the whole machine in any namespace) has reached `thresh3`, or
//! as good as, permanent entries aside, and the kernel has refused entries. That it refused some, by itself, is a
//! counter of long ago.
//!
//! ## What it looks like
//! `dmesg`: `neighbour: arp_cache: neighbor table overflow!`; `ping: sendmsg: No buffer space available`; `table_fulls`
//! of /proc/net/stat/arp_cache rises; the kernel drops with NEIGH_CREATEFAIL. Pings to some neighbours work and to
//! others do not, and which changes.
//!
//! ## Nearest look-alikes
//! * `conntrack-full`: there connections are refused, also to neighbours that are known; `conntrack -S` counts drops.
//! * `arp-ignore`: there the entry is made, and nobody answers.
//!
//! ## Fix
//! Raise `net.ipv4.neigh.default.gc_thresh3`, and 1 and 2 with it, on the machine: the file is in its first namespace
//! only. Look who needs so many: `ip neigh` of each namespace. Undo: the old numbers.
//!
//! ## References
//! `neigh_alloc`, `neigh_forced_gc` in net/core/neighbour.c; arp(7); canonical/lxd#4799; e2b-dev/infra#3508.

use model::Netns;
use model::finding::{Confidence, Remedy};
use model::path::{Direction, Exchange, Stage};
use model::route::{NeighbourState, NeighbourTable};

use crate::evidence;
use crate::found::{Fault, Found, Reach, at};
use crate::view::View;

/// Of a hundred that may be, so many are where there is no room: what fails by itself leaves room for a moment.
const FULL_OF_100: u64 = 99;

/// Looks for machines that can learn of no neighbour: one finding a machine, of which several hosts may be namespaces.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<(bool, Found)> = Vec::new();
    for (_, ns) in view.hosts_at_both_ends() {
        let Some(table) = ns.neighbour_tables.iter().find(|table| is_full(view, ns, table)) else { continue };
        let is_namespace = ns.enter.is_some();
        if !(is_namespace && found.iter().any(|(known, _)| *known)) {
            found.push((is_namespace, finding(view, ns, table)));
        }
    }
    found.into_iter().map(|(_, found)| found).collect()
}

fn is_full(view: &View, ns: &Netns, table: &NeighbourTable) -> bool {
    // Wherever they are, they are counted with the others, and take no room.
    let of_its_kernel = view.snapshot().netns.iter().filter(|other| share_a_kernel(ns, other));
    let of_its_family =
        of_its_kernel.flat_map(|ns| &ns.neighbours).filter(|e| e.ip.is_ipv6() == is_v6(table));
    let permanent = of_its_family.filter(|e| e.state == NeighbourState::Permanent && !e.proxy).count();
    let entries = u64::from(table.entries).saturating_sub(u64::try_from(permanent).unwrap_or(u64::MAX));
    table.refused > 0 && entries * 100 >= u64::from(table.entries_max) * FULL_OF_100
}

/// One machine's namespaces: of one host, or hosts that are namespaces of the machine that hopline runs on.
fn share_a_kernel(one: &Netns, other: &Netns) -> bool {
    one.machine == other.machine || (one.enter.is_some() && other.enter.is_some())
}

fn is_v6(table: &NeighbourTable) -> bool {
    table.name == "ndisc_cache"
}

fn finding(view: &View, ns: &Netns, table: &NeighbourTable) -> Found {
    let NeighbourTable { name, entries_max, entries, refused } = table;
    let family = if is_v6(table) { "ipv6" } else { "ipv4" };
    let raise = |to: u32| format!("sysctl -w net.{family}.neigh.default.gc_thresh3={to}");
    let fault = Fault {
        code: "neigh-table-overflow",
        hop: at(ns, view.inner_link(ns), Stage::Neighbour),
        summary: format!(
            "{} knows {entries} neighbours, which is all it may: whom it does not know it cannot reach",
            ns.machine
        ),
        cause: format!(
            "the kernel's {name} is full, for all namespaces of the machine; it has refused entries {refused} times"
        ),
        confidence: Confidence::Likely,
        evidence: vec![evidence::state(
            ns,
            &format!("ip -s ntable show name {name}"),
            format!("thresh3 {entries_max}, entries {entries}, table_fulls {refused}"),
        )],
        owner: "operator",
        remedy: vec![
            Remedy {
                command: raise(entries_max.saturating_mul(4)),
                undo: raise(*entries_max),
                note: "on the machine itself; gc_thresh1 and gc_thresh2 want to be raised with it".to_owned(),
            },
            evidence::remedy(ns, "ip -s neigh", "", "mends nothing: shows who takes the room"),
        ],
        instances: view.instances_on(&ns.machine),
        stopped: None,
        mend: Vec::new(),
    };
    let found = fault.found().breaks(Exchange::Icmp, Direction::Both).reaching(Reach::Host);
    found.met_at(view.first_in(ns))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use model::route::{Neighbour, NeighbourState};

    use crate::fixture::{Cloud, Hosting, Manager, broken, codes, nova_cloud};

    const CODE: &str = "neigh-table-overflow";

    fn with(change: impl FnOnce(&mut Cloud)) -> Vec<String> {
        let mut cloud = broken(CODE);
        change(&mut cloud);
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn fires_on_a_full_table() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["neigh-table-overflow compute1//br100"]);
        let finding = &found.findings[0];
        assert!(finding.remedy[0].command.ends_with("gc_thresh3=4096"), "{finding:#?}");
        assert_eq!(finding.evidence[0].text, "thresh3 1024, entries 1030, table_fulls 12");
    }

    #[test]
    fn stays_silent_on_refusals_of_long_ago_and_on_a_table_that_refused_none() {
        assert_eq!(with(|cloud| cloud.netns("compute1").neighbour_tables[0].entries = 900), [""; 0]);
        assert_eq!(with(|cloud| cloud.netns("compute1").neighbour_tables[0].refused = 0), [""; 0]);
        assert_eq!(with(|cloud| cloud.netns("compute1").neighbour_tables.clear()), [""; 0]);
    }

    #[test]
    fn permanent_entries_of_its_kernel_and_family_take_no_room() {
        let with_permanent = |host: &str, of: fn(u16) -> IpAddr| {
            let mut cloud = nova_cloud(Manager::FlatDhcp, Hosting::Each);
            let tables = broken(CODE).netns("compute1").neighbour_tables.clone();
            cloud.netns("compute1").neighbour_tables = tables;
            let state = NeighbourState::Permanent;
            let entry = |nth| Neighbour { link: 1, ip: of(nth), mac: None, state, proxy: false };
            cloud.netns(host).neighbours.extend((1..30).map(entry));
            codes(&cloud.diagnose("web1"))
        };
        let v4 = |nth: u16| Ipv4Addr::from(0xc000_0200 + u32::from(nth)).into();
        let v6 = |nth: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, nth).into();
        assert_eq!(with_permanent("compute1", v4), [""; 0]);
        let full = ["neigh-table-overflow compute1//br100"];
        assert_eq!(with_permanent("compute1", v6), full, "another table's");
        assert_eq!(with_permanent("compute2", v4), full, "another machine's");
    }

    #[test]
    fn hosts_that_are_namespaces_of_one_machine_have_one_table() {
        let mut cloud = nova_cloud(Manager::FlatDhcp, Hosting::Each);
        let tables = broken(CODE).netns("compute1").neighbour_tables.clone();
        for host in ["compute1", "compute2"] {
            cloud.netns(host).neighbour_tables.clone_from(&tables);
        }
        assert_eq!(codes(&cloud.diagnose_all()).len(), 2, "two machines");
        ["compute1", "compute2"].iter().for_each(|host| cloud.netns(host).enter = Some((*host).to_owned()));
        assert_eq!(codes(&cloud.diagnose_all()), ["neigh-table-overflow compute1//br100"]);
    }
}
