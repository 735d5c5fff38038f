//! Namespaces of the host: its own, and those that have a name under /run/netns.

use std::collections::{BTreeMap, HashSet};

use model::Netns;
use model::link::LinkKind;
use model::netfilter::{Family, Unread};
use model::route::{self, FibRule, RuleAction};
use model::snapshot::Gap;
use parse::ip_route::Listing;
use parse::ip_words::{Names, numbers, rt_tables};
use parse::{
    bridge_fdb, bridge_vlan, conntrack_list, ip_neigh, ip_route, ip_rule, proc_net_sockets, resolv_conf,
    sysctl,
};

use super::files::Files;
use super::links::{self, Others};
use super::{gap, iptables, missing, queues, told, unparsed};
use crate::assemble::Missing;

/// A namespace, and what of it could not be learned.
pub(super) type Read = (Netns, Vec<Gap>);

/// Numbers that stand for inodes of namespaces. The kernel's have 32 bits, and those of other kernels are renumbered
/// from 1 on.
const INODES_FROM: u64 = 1 << 40;

/// A namespace whose files are looked for.
pub(super) struct Place<'f> {
    pub(super) files: &'f Files,
    /// Its name; `None` for the host's own.
    pub(super) name: Option<&'f str>,
    /// What stands for its inode.
    pub(super) inode: u64,
}

impl Place<'_> {
    /// What the first of these commands that was asked in it printed, by the names that sos gives the files.
    pub(super) fn command(&self, names: &[&str]) -> Option<(&str, &str)> {
        let Some(netns) = self.name else { return self.files.command(names) };
        let within: Vec<String> =
            names.iter().map(|name| format!("ip_netns_exec_{}_{name}", mangled(netns))).collect();
        self.files.command(&within.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// As a gap calls it.
    pub(super) fn called(&self, host: &str) -> String {
        self.name.map_or_else(|| host.to_owned(), |name| format!("the namespace {name} of {host}"))
    }
}

/// A word of a command as sos writes it in a file's name (sos/utilities, `_mangle_command`).
fn mangled(word: &str) -> String {
    let is_kept = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut out = String::new();
    for c in word.chars() {
        match c {
            '/' => out.push('.'),
            c if is_kept(c) => out.push(c),
            _ if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    out
}

/// Namespaces that have a name: a host of a thousand instances has no more than a few for each of its networks.
const OTHERS_MAX: usize = 2_000;

/// Reads the host's own namespace and the others. Without links or routes of the first nothing can be said of the host.
pub(super) fn read(files: &Files, host: &str) -> Result<(Read, Vec<Read>), Missing> {
    let (others, beyond) = others(files, host);
    let tables = files.text("etc/iproute2/rt_tables").map(rt_tables).unwrap_or_default();
    let main = Place { files, name: None, inode: INODES_FROM };
    let mut own = one(&main, &others, &tables, host)?;
    own.1.extend(beyond);
    let mut further = Vec::new();
    for (name, (_, inode)) in &others {
        let place = Place { files, name: Some(name), inode: *inode };
        match one(&place, &others, &tables, host) {
            Ok(read) => further.push(read),
            // What sos found there is damaged, or too much.
            Err(Missing { why, would_need }) if links::are_listed(&place) => {
                own.1.push(gap(format!("the namespace {name} of {host}"), why, would_need));
            }
            Err(_) => {}
        }
    }
    Ok((own, further))
}

/// `qdhcp-7f3 (id: 2)`, a line each; and that there are more of them, where there are.
fn others(files: &Files, host: &str) -> (Others, Option<Gap>) {
    let listed = files.command(&["ip_netns", "ip_netns_list"]).map_or("", |(_, text)| text);
    let mut names = listed.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        if line.starts_with(char::is_whitespace) || name.ends_with(':') {
            return None;
        }
        let told = line.split_once("(id: ").and_then(|(_, rest)| rest.strip_suffix(')')?.parse().ok());
        Some((name.to_owned(), told))
    });
    let first = names.by_ref().take(OTHERS_MAX);
    let numbered = first.zip(INODES_FROM + 1..).map(|((name, id), inode)| (name, (id, inode)));
    let others = numbered.collect();
    let more = names.count();
    let beyond = (more > 0).then(|| {
        let why = format!("`ip netns` lists {more} more than the {OTHERS_MAX} that are read of a sosreport");
        gap(
            format!("the rest of the namespaces of {host}"),
            why,
            "a bundle of the host, by `hopline collect`",
        )
    });
    (others, beyond)
}

/// What a namespace's files do not tell: what, and what would.
type Lacks = Vec<(String, String)>;

fn one(
    place: &Place<'_>,
    others: &Others,
    tables: &BTreeMap<String, u32>,
    host: &str,
) -> Result<Read, Missing> {
    let links::Told { links, addresses, is_detailed, gaps } = links::read(place, others)?;
    let needs = "sos_commands/networking/ip_-d_address: the plugin `networking` writes it";
    let addresses = addresses.ok_or_else(|| missing("list of addresses", needs));
    let numbers = numbers(&links);
    let mut read = Reader { place, links: &numbers, tables, gaps, lacks: Vec::new() };
    let (routes, lost) = read.routes().ok_or_else(|| {
        missing(
            "routes",
            "sos_commands/networking/ip_route_show_table_all: the plugin `networking` writes it",
        )
    })?;
    let addresses = addresses?;
    // There is no kernel whose own addresses are not among its routes.
    if routes.is_empty() && place.name.is_none() && !addresses.is_empty() {
        return Err(missing("routes", "sos_commands/networking/ip_route_show_table_all, and not empty"));
    }
    if !is_detailed {
        read.lack("kinds of links, and settings of bridge ports", "ip -s -d link");
    }
    let mut netns = Netns {
        machine: host.to_owned(),
        name: place.name.unwrap_or_default().to_owned(),
        enter: place.name.map(str::to_owned),
        inode: Some(place.inode),
        addresses,
        routes,
        rules: read.rules(&["ip_-4_rule_list", "ip_-4_rule", "ip_rule"], "ip -4 rule", route::default_rules),
        rules6: read.rules(&["ip_-6_rule_list", "ip_-6_rule"], "ip -6 rule", route::default_rules_v6),
        neighbours: read.listing(
            &["ip_-s_-s_neigh_show", "ip_neigh_show"],
            "neighbours",
            "ip neigh",
            ip_neigh::parse,
        ),
        ..Netns::default()
    };
    for rule in lost {
        for (rules, is_v4) in [(&mut netns.rules, true), (&mut netns.rules6, false)] {
            if rule.destination.is_none_or(|net| net.addr().is_ipv4() == is_v4) {
                *rules = told::with(std::mem::take(rules), rule.clone());
            }
        }
    }
    let has_bridges = links.iter().any(|link| matches!(link.kind, LinkKind::Bridge | LinkKind::Vxlan));
    let mut vlans = BTreeMap::new();
    if has_bridges {
        let names = [
            "bridge_-s_-s_-d_-t_fdb_show",
            "bridge_-s_-s_-d_fdb_show",
            "bridge_-d_fdb_show",
            "bridge_fdb_show",
        ];
        netns.fdb = read.listing(&names, "FDB entries", "bridge fdb", bridge_fdb::parse);
        vlans = read.vlans();
    }
    netns.sockets = read.sockets();
    if place.name.is_none() {
        netns.conntrack = read.conntrack();
        netns.resolver = place
            .files
            .text("etc/resolv.conf")
            .map(|text| resolv_conf::parse("/etc/resolv.conf", text).value);
    }
    let settings = place
        .command(&["sysctl_-a"])
        .map(|(_, text)| sysctl::network(text))
        .filter(|found| !found.is_empty());
    let (ruleset, more) = iptables::read(place);
    netns.ruleset = ruleset;
    match settings {
        Some(settings) => netns.sysctls = settings,
        None => {
            for family in [Family::Ip, Family::Ip6] {
                let (what, would_need) = ("sysctls".to_owned(), "sysctl -a".to_owned());
                netns.ruleset.unread.push(Unread { family, what, would_need });
            }
            read.lack("sysctls", "sysctl -a");
        }
    }
    let Reader { mut gaps, mut lacks, .. } = read;
    lacks.extend(more);
    gaps.extend(lacking(place, host, lacks));
    netns.links = links;
    for link in &mut netns.links {
        link.bridge_vlans = vlans.remove(&link.index).unwrap_or_default();
    }
    if place.name.is_none() {
        gaps.extend(queues::add_to(&mut netns.links, place.files, host));
    }
    Ok((netns, gaps))
}

/// Of the host's own namespace each thing is a gap of its own; of another, of which sos asks little, all are one.
fn lacking(place: &Place<'_>, host: &str, lacks: Lacks) -> Vec<Gap> {
    let of = place.called(host);
    let why = "the sosreport does not hold them";
    match place.name {
        None => lacks.into_iter().map(|(what, need)| gap(format!("{what} of {of}"), why, need)).collect(),
        Some(_) if lacks.is_empty() => Vec::new(),
        Some(name) => {
            let (whats, needs): (Vec<String>, Vec<String>) = lacks.into_iter().unzip();
            let needs = format!("in `ip netns exec {name}`: {}", needs.join("; "));
            vec![gap(format!("{} of {of}", whats.join(", ")), why, needs)]
        }
    }
}

struct Reader<'r, 'f> {
    place: &'r Place<'f>,
    links: &'r BTreeMap<String, u32>,
    tables: &'r BTreeMap<String, u32>,
    gaps: Vec<Gap>,
    lacks: Lacks,
}

impl<'r> Reader<'r, '_> {
    fn names(&self) -> Names<'r> {
        Names { links: self.links, tables: self.tables }
    }

    fn lack(&mut self, what: &str, need: &str) {
        self.lacks.push((what.to_owned(), need.to_owned()));
    }

    fn listing<T>(
        &mut self,
        files: &[&str],
        what: &str,
        need: &str,
        parse: impl Fn(&str, Names<'_>) -> parse::Parsed<Vec<T>>,
    ) -> Vec<T> {
        let Some((path, text)) = self.place.command(files) else {
            self.lack(what, need);
            return Vec::new();
        };
        let parsed = parse(text, self.names());
        self.gaps.extend(unparsed(path, &parsed.problems));
        if told::nothing(&parsed) {
            self.lack(what, need);
        }
        parsed.value
    }

    /// Of both families; those that both listings have are told once. With them go rules that stand for those that
    /// could not be read.
    fn routes(&mut self) -> Option<(Vec<route::Route>, Vec<FibRule>)> {
        let all = self.place.command(&["ip_route_show_table_all"])?;
        let (mut routes, mut lost): (Vec<route::Route>, Vec<FibRule>) = (Vec::new(), Vec::new());
        let six = self.place.command(&["ip_-6_route_show_table_all"]);
        for (listing, (path, text)) in
            [(Listing::Any, all)].into_iter().chain(six.map(|six| (Listing::Ipv6, six)))
        {
            let parsed = ip_route::parse(text, listing, self.names());
            if listing == Listing::Any && told::nothing(&parsed) {
                return None;
            }
            self.gaps.extend(unparsed(path, &parsed.problems));
            lost.extend(told::lost_routes(path, text, &parsed.problems));
            let known: HashSet<&route::Route> = routes.iter().collect();
            let new: Vec<_> = parsed.value.into_iter().filter(|route| !known.contains(route)).collect();
            routes.extend(new);
        }
        Some((routes, lost))
    }

    /// Where they are not told, the usual ones, behind one of which nobody knows whom it is for.
    fn rules(&mut self, files: &[&str], need: &str, usual: fn() -> Vec<FibRule>) -> Vec<FibRule> {
        let parsed = self.place.command(files).map(|(path, text)| {
            let parsed = ip_rule::parse(text, self.names());
            self.gaps.extend(unparsed(path, &parsed.problems));
            parsed
        });
        let unknown = |what: &str| {
            let unmodelled = Some(format!("FIB rules that {what}"));
            FibRule { priority: 1, action: RuleAction::Nop, unmodelled, ..FibRule::default() }
        };
        match parsed {
            // No namespace is without any.
            Some(parsed) if !parsed.value.is_empty() && parsed.problems.is_empty() => parsed.value,
            Some(parsed) if !parsed.value.is_empty() => {
                told::with(parsed.value, unknown("could not be read"))
            }
            Some(_) | None => {
                self.lack("FIB rules", need);
                told::with(usual(), unknown("the sosreport does not hold"))
            }
        }
    }

    fn vlans(&mut self) -> BTreeMap<u32, Vec<model::vlan::BridgeVlans>> {
        let Some((path, text)) = self.place.command(&["bridge_-d_vlan_show", "bridge_vlan_show"]) else {
            self.lack("VLANs of bridges", "bridge vlan show");
            return BTreeMap::new();
        };
        // A kernel without VLANs of bridges refuses to list them.
        if text.contains("Operation not supported") {
            return BTreeMap::new();
        }
        let parsed = bridge_vlan::parse(text, self.names());
        self.gaps.extend(unparsed(path, &parsed.problems));
        if parsed.value.is_empty() && !parsed.problems.is_empty() {
            self.lack("VLANs of bridges", "bridge vlan show");
        }
        parsed.value
    }

    /// procfs tells of the namespace that sos ran in alone.
    fn sockets(&mut self) -> Vec<model::netns::Socket> {
        let files = self.place.files;
        let of = |(name, protocol): (&str, u8)| {
            let text = files.text(&format!("proc/net/{name}")).filter(|_| self.place.name.is_none())?;
            // The heading is always there.
            text.trim_start().strip_prefix("sl")?;
            Some(proc_net_sockets::parse(text, protocol))
        };
        let told: Vec<_> =
            [("tcp", 6), ("udp", 17), ("tcp6", 6), ("udp6", 17)].into_iter().filter_map(of).collect();
        if told.is_empty() {
            self.lack("listening sockets", "ss -lntu");
        }
        told.into_iter().flatten().collect()
    }

    fn conntrack(&mut self) -> Vec<model::conntrack::CtEntry> {
        let Some(text) = self.place.files.text("proc/net/nf_conntrack") else {
            self.lack("tracked connections", "conntrack -L");
            return Vec::new();
        };
        let parsed = conntrack_list::parse(text);
        self.gaps.extend(unparsed("proc/net/nf_conntrack", &parsed.problems));
        if told::nothing(&parsed) {
            self.lack("tracked connections", "conntrack -L");
        }
        parsed.value
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_folder;
    use super::super::tests::copy_of_sample;
    use super::*;

    /// The first of them are read as ever, and one gap tells of the rest.
    #[test]
    fn namespaces_without_number_are_cut_short_aloud() {
        let folder = tempfile::tempdir().unwrap();
        let copied = copy_of_sample(folder.path());
        let told = |more: usize| {
            let names: Vec<String> = (0..more).map(|nth| format!("n{nth}\n")).collect();
            let listed = format!("qdhcp-7 (id: 0)\n{}", names.concat());
            std::fs::write(copied.join("sos_commands/networking/ip_netns"), listed).unwrap();
            let mut members = read_folder(&copied, "x").unwrap().members;
            let count = members.len();
            let gaps = members.remove(0).outcome.unwrap().gaps;
            let rest = gaps.into_iter().find(|gap| gap.what == "the rest of the namespaces of node8");
            (count, rest.map(|gap| gap.why))
        };
        assert_eq!(told(OTHERS_MAX - 1), (2, None));
        let why = "`ip netns` lists 7 more than the 2000 that are read of a sosreport";
        assert_eq!(told(OTHERS_MAX + 6), (2, Some(why.to_owned())));
    }

    #[test]
    fn words_are_written_as_sos_writes_them() {
        assert_eq!(mangled("qdhcp-7f3e"), "qdhcp-7f3e");
        assert_eq!(mangled("a b:(c)/d"), "a_b_c_.d");
    }
}
