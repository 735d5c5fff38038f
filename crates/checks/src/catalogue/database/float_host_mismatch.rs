//! # float-host-mismatch
//!
//! A floating IP is recorded on a host that cannot carry it.
//!
//! ## What it means
//! In multi-host mode the host of the instance carries a floating IP, else the network's one host. Another is
//! recorded, or none. As long as nobody restarts anything the address works where it was; after its next restart
//! nova-network writes the rules where they are recorded, not where they belong, and the address leads nowhere.
//!
//! ## How hopline knows
//! The host differs from `instances.host`, or from `networks.host` where the network is not multi-host. Not while
//! nova is at work with the instance (`task_state`: a resize clears the host for a while), nor where it has no host
//! (shelved). Names that differ in capitals alone, or in blanks behind them, are one host: nova asks its database for
//! the floating IPs of a host, and MySQL's usual collation finds them by either. What the hosts have is told with it.
//!
//! ## What it looks like
//! The floating IP stopped after a migration, an evacuation or an UPDATE of `instances.host`; or it works still.
//!
//! ## Nearest look-alikes
//! * `db-host-mismatch`: it is the instance's host that is recorded wrongly. Where a host in reach runs the instance,
//!   this one is not told, nor its repair made, before that is put right.
//! * `float-on-two-hosts`, `float-address-missing`, `float-dnat-missing`: the record is right, and the hosts are not.
//!
//! ## Fix
//! Record the host that has the instance. Where nova-network has followed the wrong record already, restart it on both:
//! the old one drops its rules, the right one writes them. The address on the old host's public link must be taken off
//! by hand. Undo: the old host.
//!
//! ## References
//! nova `network/manager.py` `migrate_instance_finish`, `network/floating_ips.py` `init_host_floating_ips`.

use std::net::IpAddr;

use model::Netns;
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::intent::Floating;
use model::path::{Direction, Exchange, Place, Stage};

use crate::catalogue::firewall::float_on_two_hosts;
use crate::evidence;
use crate::floats;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::nova;
use crate::restart;
use crate::view::{Seat, View};

/// Looks for floating addresses that are recorded elsewhere than where nova would have them: one finding an address.
pub fn check(view: &View) -> Vec<Found> {
    let every = view.vifs().flat_map(|seat| seat.vif.floating.iter().map(move |floating| (seat, floating)));
    every
        .filter_map(|(seat, floating)| {
            let right = view.intent().misrecorded(seat.instance, seat.vif, floating)?;
            finding(view, &seat, floating, right)
        })
        .collect()
}

/// What hosts have of the address.
struct Carried<'v> {
    /// The right one's namespace, where it was read.
    right: Option<&'v Netns>,
    /// Others of the cloud that have the address, or a rule for it.
    others: Vec<&'v Netns>,
}

impl Carried<'_> {
    /// It is all where it belongs, and nowhere else.
    fn is_whole(&self, floating: &Floating) -> bool {
        self.others.is_empty() && self.right.is_none_or(|ns| lacks(ns, floating).is_empty())
    }
}

fn carried<'v>(view: &View<'v>, right: &str, floating: &Floating) -> Carried<'v> {
    let others = float_on_two_hosts::others(view, right).filter(|ns| {
        ns.has_address(IpAddr::V4(floating.address)) || floats::dnat_of(ns, floating.address).is_some()
    });
    Carried { right: view.snapshot().main_netns(right), others: others.collect() }
}

/// In words what the right host has not got.
fn lacks(ns: &Netns, floating: &Floating) -> Vec<&'static str> {
    [
        (ns.has_address(IpAddr::V4(floating.address)), "the address"),
        (floats::has_dnat(ns, floating), "its DNAT rule"),
        (floats::has_snat(ns, floating), "its SNAT rule"),
    ]
    .into_iter()
    .filter_map(|(is_there, what)| (!is_there).then_some(what))
    .collect()
}

fn finding(view: &View, seat: &Seat, floating: &Floating, right: &str) -> Option<Found> {
    let id = floating.id?;
    let (address, name) = (floating.address, &seat.instance.name);
    let recorded = floating.host.as_deref().unwrap_or("no host");
    let now = carried(view, right, floating);
    let hop = hop(view, right, floating, now.right);
    let is_inbound = |purpose: Purpose| purpose == Purpose::Inbound(address);
    // What walks die of where all is in its place is another's doing.
    let stopped = (!now.is_whole(floating)).then(|| {
        view.stop(|s| is_inbound(s.rung.purpose))
            .or_else(|| view.stop_of(seat.instance, |s| s.rung.purpose == Purpose::Outside))
    });
    let fault = Fault {
        code: "float-host-mismatch",
        hop,
        summary: format!(
            "floating IP {address} of {name} is recorded on {recorded}, and {right} must carry it"
        ),
        cause: format!(
            "nova-network writes at its restart what is recorded on its host: that of {right} leaves {address} out"
        ),
        confidence: Confidence::Proven,
        evidence: proof(view, seat, floating, right),
        owner: "nova-network",
        remedy: remedy(view, floating, right, id),
        instances: vec![name.clone()],
        stopped: stopped.flatten(),
        mend: mended(view, floating, &now),
    };
    let mut found = fault.found();
    let nth = view.rungs.iter().position(|rung| is_inbound(rung.purpose));
    let rung = nth.and_then(|nth| view.rungs.get(nth));
    let arrives = rung.is_some_and(|rung| rung.answer.received_by.as_deref() == Some(name.as_str()));
    let is_twice = now.others.iter().any(|ns| ns.has_address(IpAddr::V4(address)));
    // The packet goes astray, which no walk stops at.
    if let Some(nth) =
        nth.filter(|_| found.order.is_none() && !now.is_whole(floating) && (!arrives || is_twice))
    {
        found.order = Some((nth, 0, 0));
        (found.finding.exchange, found.finding.direction) = (Exchange::Icmp, Direction::Request);
    }
    Some(found)
}

/// The public link of the host that is to carry it.
fn hop(view: &View, right: &str, floating: &Floating, ns: Option<&Netns>) -> Place {
    let read = view.snapshot().host(right).zip(ns);
    match read {
        Some((host, ns)) => {
            let uplink = nova::uplink(host, ns, &[floating.address]);
            at(ns, uplink.map_or("", |link| link.name.as_str()), Stage::Nat)
        }
        None => {
            Place { host: right.to_owned(), netns: String::new(), device: String::new(), stage: Stage::Nat }
        }
    }
}

/// The rows, and what the hosts had when they were read.
fn proof(view: &View, seat: &Seat, floating: &Floating, right: &str) -> Vec<Evidence> {
    let Floating { id, address, fixed, host } = floating;
    let live = &view.intent().remains.words.live;
    let id = id.unwrap_or_default();
    let multi_host = seat.network.is_some_and(|network| network.multi_host);
    let whose = if multi_host { "instances.host" } else { "networks.host" };
    let mut proof = vec![evidence::record(
        EvidenceKind::Db,
        format!("SELECT id, address, fixed_ip_id, host FROM floating_ips WHERE id = {id} AND {live}"),
        format!(
            "floating_ips {id}: {address} on {fixed} of {}, host {}; {whose} is {right}",
            seat.instance.name,
            host.as_deref().unwrap_or("NULL")
        ),
    )];
    let shown = |ns: &Netns, text: String| {
        // Each by itself: what stands behind a semicolon is typed where one is.
        let commands = [&format!("ip -4 address show to {address}"), "iptables-save -t nat"];
        let source = commands.map(|command| evidence::within(ns, command)).join("; ");
        evidence::record(EvidenceKind::State, source, text)
    };
    if let Some(ns) = view.read.main_netns(right) {
        let lacking = lacks(ns, floating);
        let text = match lacking.as_slice() {
            [] => format!("{right} has {address} and its rules"),
            lacking => format!("{right} lacks {} for {address}", lacking.join(", ")),
        };
        proof.push(shown(ns, text));
    }
    proof.extend(
        strays(view, floating, right).map(|ns| shown(ns, format!("{} carries {address}", ns.machine))),
    );
    proof
}

/// Other hosts that had something of it when they were read.
fn strays<'v>(view: &View<'v>, floating: &Floating, right: &str) -> impl Iterator<Item = &'v Netns> {
    let read = view.read;
    let (address, machines) = (floating.address, float_on_two_hosts::others(view, right));
    let others: Vec<&Netns> = machines.filter_map(|ns| read.main_netns(&ns.machine)).collect();
    others
        .into_iter()
        .filter(move |ns| ns.has_address(IpAddr::V4(address)) || floats::dnat_of(ns, address).is_some())
}

/// The row, and then what nova-network has made of it.
fn remedy(view: &View, floating: &Floating, right: &str, id: u64) -> Vec<Remedy> {
    let address = floating.address;
    let mut remedy = vec![Remedy::by_hopline(
        &format!("repair float-host-mismatch {id}"),
        "one row, which no packet meets before nova-network is next restarted",
    )];
    let lacking = view.read.main_netns(right).is_some_and(|ns| !lacks(ns, floating).is_empty());
    for ns in strays(view, floating, right) {
        remedy.push(restart::network(
            view,
            &ns.machine,
            "writes its rules again, without those for this address",
        ));
        remedy.extend(ns.addresses.iter().filter(|own| own.net.addr() == IpAddr::V4(address)).map(|own| {
            let delete = format!("ip address del {} dev {}", own.net, ns.link_name(own.link));
            evidence::remedy(ns, &delete, &delete.replace(" del ", " add "), "once the row is put right")
        }));
    }
    if lacking {
        remedy.push(restart::network(
            view,
            right,
            "once the row is put right, puts on the address and writes its rules",
        ));
    }
    remedy
}

/// In the model, the address with its rules on the right host alone.
fn mended(view: &View, floating: &Floating, now: &Carried) -> Vec<Mend> {
    let mut mends: Vec<Mend> =
        now.others.iter().flat_map(|ns| float_on_two_hosts::mended(ns, floating)).collect();
    let Some((ns, host)) = now.right.and_then(|ns| Some((ns, view.snapshot().host(&ns.machine)?))) else {
        return mends;
    };
    let Some(uplink) = nova::uplink(host, ns, &[floating.address]) else { return mends };
    let rule = |chain: &str, rule| Mend::InsertRule {
        machine: ns.machine.clone(),
        table: "nat".to_owned(),
        chain: format!("nova-network-{chain}"),
        rule: Box::new(rule),
    };
    if !ns.has_address(IpAddr::V4(floating.address)) {
        let (ip, device) = (floating.address, uplink.name.clone());
        mends.push(Mend::Address { machine: ns.machine.clone(), ip, device });
    }
    if !floats::has_dnat(ns, floating) {
        mends.push(rule("PREROUTING", floats::dnat_rule(floating)));
    }
    if !floats::has_snat(ns, floating) {
        mends.push(rule("float-snat", floats::snat_rule(floating, &uplink.name)));
        mends.push(rule("float-snat", floats::own_snat_rule(floating)));
    }
    mends
}

#[cfg(test)]
mod tests {
    use model::finding::{Confidence, Outcome};
    use model::path::Exchange;

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    const CODE: &str = "float-host-mismatch";
    const FLOATING: &str = "203.0.113.30";

    /// As after a restart of nova-network where it works: it has nothing of the address any more but itself.
    fn restarted() -> Cloud {
        let mut cloud = broken(CODE);
        for table in &mut cloud.netns("compute1").ruleset.tables {
            for chain in table.chains.iter_mut().filter(|chain| chain.name.starts_with("nova-network-")) {
                chain.rules.retain(|rule| !rule.text.contains(FLOATING));
            }
        }
        cloud
    }

    #[test]
    fn names_the_record_where_the_address_works() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!((codes(&found), found.outcome), (vec![format!("{CODE} compute1//eth0")], Outcome::Fault));
        let finding = &found.findings[0];
        assert_eq!((finding.exchange, finding.confidence), (Exchange::None, Confidence::Proven));
        let typed: Vec<&str> = finding.remedy.iter().map(|remedy| remedy.command.as_str()).collect();
        assert_eq!(
            typed,
            ["hopline db repair float-host-mismatch 1 --apply"],
            "nothing else must be touched"
        );
        let told: Vec<&str> = finding.evidence.iter().map(|line| line.text.as_str()).collect();
        let row =
            "floating_ips 1: 203.0.113.30 on 10.0.2.24 of web1, host compute9; instances.host is compute1";
        assert_eq!(told, [row, "compute1 has 203.0.113.30 and its rules"]);
        assert_eq!(codes(&broken(CODE).check("compute1")), [format!("{CODE} compute1//eth0")]);
    }

    #[test]
    fn names_the_record_where_nova_network_has_followed_it() {
        let found = restarted().diagnose("web1");
        assert_eq!(codes(&found), [format!("{CODE} compute1//eth0")]);
        let finding = &found.findings[0];
        assert_eq!(finding.exchange, Exchange::Icmp);
        assert_eq!(finding.remedy[1].command, "systemctl restart nova-network");
        assert_eq!(finding.evidence[1].text, "compute1 lacks its DNAT rule, its SNAT rule for 203.0.113.30");
    }

    #[test]
    fn stays_silent_where_the_record_is_right_or_in_flux() {
        assert!(lacks(&healthy().diagnose("web1"), CODE));
        let mut moving = broken(CODE);
        moving.intent.instances[0].task = Some("resize_migrating".to_owned());
        assert!(lacks(&moving.diagnose("web1"), CODE));
        let mut elsewhere = broken(CODE);
        elsewhere.intent.instances[0].recorded_host = Some("compute9".to_owned());
        assert!(lacks(&elsewhere.diagnose("web1"), CODE), "db-host-mismatch tells of it");
    }
}
