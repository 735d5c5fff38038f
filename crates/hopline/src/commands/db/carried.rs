//! What hosts still carry of a floating IP that the database has taken off them: nova-network rewrites its rules when
//! it restarts, and never takes an address off.

use std::net::{IpAddr, Ipv4Addr};

use cloud::Change;
use model::netfilter::{Dialect, NfRule, Table};
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
    if let Ok(facts) = facts {
        let hosts = facts.snapshot.hosts.iter();
        let mains = hosts.filter_map(|host| facts.snapshot.main_netns(&host.name));
        mains.for_each(|ns| on_host(ns, address, change.had.fixed, &mut carried.things));
    }
    carried.gaps = gaps(site, facts, change, not_seen);
    carried
}

/// Hosts that were not read, as `not_seen` says it of one.
pub(super) fn gaps(
    site: &Site,
    facts: Result<&Facts, &String>,
    change: &Change,
    not_seen: impl Fn(&str, &str) -> Gap,
) -> Vec<Gap> {
    let mut gaps = Vec::new();
    match facts {
        Ok(facts) => gaps.extend(facts.unreachable.iter().map(|(name, why)| not_seen(name, why))),
        Err(why) => {
            let live = site.machines.iter().filter(|machine| !machine.instance).map(|machine| &machine.name);
            let bundled = site.bundled.iter().filter(|machine| !machine.inside).map(|machine| &machine.name);
            gaps.extend(live.chain(bundled).map(|name| not_seen(name, why)));
        }
    }
    // The host that the row names may be none of the site file's.
    let named = change.before.get("host").cloned().flatten().filter(|host| !host.is_empty());
    let is_known = |name: &str| {
        let machines = site.machines.iter().map(|machine| &machine.name);
        machines.chain(site.bundled.iter().map(|machine| &machine.name)).any(|known| known == name)
    };
    let unknown = named.filter(|name| !is_known(name));
    gaps.extend(unknown.map(|name| not_seen(&name, "the site file does not name it")));
    gaps
}

fn on_host(ns: &Netns, address: Ipv4Addr, fixed: Option<Ipv4Addr>, things: &mut Vec<Thing>) {
    let known = things.len();
    let thing = |text: String, command: String| Thing { host: ns.machine.clone(), text, command };
    let within = |command: String| shell::within(ns.enter.as_deref(), &command);
    for table in ns.ruleset.tables.iter().filter(|table| table.name == "nat") {
        for chain in &table.chains {
            for rule in chain.rules.iter().filter(|rule| speaks_of(&rule.text, address)) {
                // What is not in nova-network's own chains survives its restart.
                let command = if chain.name.starts_with(NOVAS) {
                    "systemctl restart nova-network".to_owned()
                } else {
                    within(taken_out(table, &chain.name, rule))
                };
                things.push(thing(rule.text.clone(), command));
            }
        }
    }
    for own in ns.addresses.iter().filter(|own| own.net.addr() == IpAddr::V4(address)) {
        let Some(link) = ns.links.iter().find(|link| link.index == own.link) else { continue };
        let (prefix, device) = (own.net.prefix_len(), shell::word(&link.name));
        things.push(thing(
            format!("inet {address}/{prefix} dev {}", link.name),
            within(format!("ip addr del {address}/{prefix} dev {device}")),
        ));
    }
    // Flows are translated as they began, whatever became of the rules.
    if let Some(fixed) = fixed.filter(|_| things.len() > known) {
        things.push(thing(
            format!("flows that began while {address} led to {fixed}, where there are any"),
            within(format!("conntrack -D -r {fixed}")),
        ));
    }
}

/// What the chains begin with that nova-network writes anew.
const NOVAS: &str = "nova-network-";

/// The command that takes a rule of somebody's own out; where a shell would take some of its letters for its own, or it
/// is known by nothing but its text, the command that shows it.
fn taken_out(table: &Table, chain: &str, rule: &NfRule) -> String {
    let (tool, family, word) =
        (table.dialect.edit_command(table.family), table.family.name(), shell::operand(chain));
    if table.dialect == Dialect::Nft {
        return match rule.handle {
            Some(handle) => format!("{tool} delete rule {family} nat {word} handle {handle}"),
            None => format!("{tool} -a list chain {family} nat {word}"),
        };
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " -_./:,!=\"".contains(c);
    match rule.text.strip_prefix("-A ").filter(|rest| rest.chars().all(is_plain)) {
        Some(rest) => format!("{tool} -t nat -D {rest}"),
        None => format!("{tool} -t nat -L {word} -n --line-numbers"),
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
    use model::netfilter::Family;

    use super::*;

    #[test]
    fn what_is_told_is_typed() {
        let link = Link { index: 2, name: "$(x)".to_owned(), ..Link::default() };
        let own = model::route::Address::global(2, "203.0.113.9/32".parse().unwrap());
        let mut ns = Netns { enter: Some("a;b".to_owned()), ..Netns::default() };
        (ns.links, ns.addresses) = (vec![link], vec![own]);
        let told = |ns: &Netns| {
            let mut things = Vec::new();
            on_host(ns, Ipv4Addr::new(203, 0, 113, 9), None, &mut things);
            things.into_iter().map(|thing| thing.command).collect::<Vec<_>>()
        };
        assert_eq!(told(&ns), ["ip netns exec 'a;b' ip addr del 203.0.113.9/32 dev '$(x)'"]);
        ns.enter = None;
        assert_eq!(told(&ns), ["ip addr del 203.0.113.9/32 dev '$(x)'"]);
    }

    #[test]
    fn what_a_restart_leaves_is_taken_out_by_itself() {
        let saved = "*nat\n:PREROUTING ACCEPT [0:0]\n:shop - [0:0]\n:nova-network-PREROUTING - [0:0]\n\
                     -A PREROUTING -d 203.0.113.9/32 -j DNAT --to-destination 10.0.0.9\n\
                     -A shop -d 203.0.113.9/32 -m comment --comment \"$(x)\" -j ACCEPT\n\
                     -A nova-network-PREROUTING -d 203.0.113.9/32 -j DNAT --to-destination 10.0.0.9\nCOMMIT\n";
        let mut ns = Netns { enter: Some("a".to_owned()), ..Netns::default() };
        ns.ruleset.tables = parse::iptables_save::parse(saved, Dialect::IptablesNft, Family::Ip).value;
        let mut things = Vec::new();
        on_host(&ns, Ipv4Addr::new(203, 0, 113, 9), Some(Ipv4Addr::new(10, 0, 0, 9)), &mut things);
        assert_eq!(
            things.into_iter().map(|thing| thing.command).collect::<Vec<_>>(),
            [
                "ip netns exec a iptables -t nat -D PREROUTING -d 203.0.113.9/32 -j DNAT --to-destination 10.0.0.9",
                "ip netns exec a iptables -t nat -L shop -n --line-numbers",
                "systemctl restart nova-network",
                "ip netns exec a conntrack -D -r 10.0.0.9",
            ]
        );
        // Where nothing is carried, nothing was ever translated.
        let mut things = Vec::new();
        on_host(
            &Netns::default(),
            Ipv4Addr::new(203, 0, 113, 9),
            Some(Ipv4Addr::new(10, 0, 0, 9)),
            &mut things,
        );
        assert!(things.is_empty());
    }
}
