//! What hosts still carry of a floating IP that the database has taken off them: nova-network rewrites its rules when
//! it restarts, and never takes an address off.

use std::net::{IpAddr, Ipv4Addr};

use cloud::Change;
use model::snapshot::Gap;
use model::{Netns, shell};

use crate::gather::Facts;
use crate::site_file::Site;

/// What a host carries.
pub(super) struct Thing {
    pub(super) host: String,
    /// As the kernel's own tools print it.
    pub(super) text: String,
    /// What clears it.
    pub(super) command: String,
}

/// What all of them carry, and which could not be looked at.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) things: Vec<Thing>,
    pub(super) gaps: Vec<Gap>,
}

/// Looks on every host that was read.
pub(super) fn look(
    site: &Site,
    facts: Result<&Facts, &String>,
    address: Ipv4Addr,
    change: &Change,
) -> Carried {
    let mut carried = Carried::default();
    let not_seen = |host: &str, why: &str| Gap {
        what: format!("whether {host} carries {address}"),
        why: why.to_owned(),
        would_need: format!(
            "`ip addr show to {address}` and `iptables -t nat -S | grep -wF {address}` there"
        ),
    };
    match facts {
        Ok(facts) => {
            let hosts = facts.snapshot.hosts.iter();
            let mains = hosts.filter_map(|host| facts.snapshot.main_netns(&host.name));
            mains.for_each(|ns| on_host(ns, address, &mut carried.things));
            carried.gaps.extend(facts.unreachable.iter().map(|(name, why)| not_seen(name, why)));
        }
        Err(why) => {
            let live = site.machines.iter().filter(|machine| !machine.instance).map(|machine| &machine.name);
            let bundled = site.bundled.iter().filter(|machine| !machine.inside).map(|machine| &machine.name);
            carried.gaps.extend(live.chain(bundled).map(|name| not_seen(name, why)));
        }
    }
    // The host that the row names may be none of the site file's.
    let named = change.before.get("host").cloned().flatten().filter(|host| !host.is_empty());
    let is_known = |name: &str| {
        let machines = site.machines.iter().map(|machine| &machine.name);
        machines.chain(site.bundled.iter().map(|machine| &machine.name)).any(|known| known == name)
    };
    carried.gaps.extend(
        named.filter(|name| !is_known(name)).map(|name| not_seen(&name, "the site file does not name it")),
    );
    carried
}

fn on_host(ns: &Netns, address: Ipv4Addr, things: &mut Vec<Thing>) {
    let thing = |text: String, command: String| Thing { host: ns.machine.clone(), text, command };
    for table in ns.ruleset.tables.iter().filter(|table| table.name == "nat") {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        let of_it = rules.filter(|rule| speaks_of(&rule.text, address));
        things
            .extend(of_it.map(|rule| thing(rule.text.clone(), "systemctl restart nova-network".to_owned())));
    }
    for own in ns.addresses.iter().filter(|own| own.net.addr() == IpAddr::V4(address)) {
        let Some(link) = ns.links.iter().find(|link| link.index == own.link) else { continue };
        let (prefix, device) = (own.net.prefix_len(), shell::word(&link.name));
        things.push(thing(
            format!("inet {address}/{prefix} dev {}", link.name),
            shell::within(ns.enter.as_deref(), &format!("ip addr del {address}/{prefix} dev {device}")),
        ));
    }
}

/// The rule names the address, alone or as the only one of its prefix.
fn speaks_of(rule: &str, address: Ipv4Addr) -> bool {
    let words = rule.split(' ').map(|word| word.strip_suffix("/32").unwrap_or(word));
    words.filter_map(|word| word.parse::<Ipv4Addr>().ok()).any(|named| named == address)
}

#[cfg(test)]
mod tests {
    use model::link::Link;

    use super::*;

    #[test]
    fn what_is_told_is_typed() {
        let link = Link { index: 2, name: "$(x)".to_owned(), ..Link::default() };
        let own = model::route::Address::global(2, "203.0.113.9/32".parse().unwrap());
        let mut ns = Netns { enter: Some("a;b".to_owned()), ..Netns::default() };
        (ns.links, ns.addresses) = (vec![link], vec![own]);
        let told = |ns: &Netns| {
            let mut things = Vec::new();
            on_host(ns, Ipv4Addr::new(203, 0, 113, 9), &mut things);
            things.into_iter().map(|thing| thing.command).collect::<Vec<_>>()
        };
        assert_eq!(told(&ns), ["ip netns exec 'a;b' ip addr del 203.0.113.9/32 dev '$(x)'"]);
        ns.enter = None;
        assert_eq!(told(&ns), ["ip addr del 203.0.113.9/32 dev '$(x)'"]);
    }
}
