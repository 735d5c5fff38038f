//! Mending in the model: what a remedy would change, so that the walk can go on behind a fault and
//! the fix is tried before it is offered. Nothing real is touched.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use model::link::{Link, LinkKind, OperState, PortState};
use model::netfilter::{Action, Chain, Dialect, Family, NfRule, Policy, Table};
use model::netns::Socket;
use model::path::RuleRef;
use model::route::{Address, NeighbourState, Nexthop, Route, RouteKind, TABLE_LOCAL, TABLE_MAIN};
use model::service::Dnsmasq;
use model::{Mac, Netns, Snapshot};

pub(crate) use entry::{Entry, Setting};

use crate::vlans;
pub(crate) use overlay::OverlayMend;

mod entry;
mod made;
mod mtu;
mod overlay;

/// One change to a machine's main namespace.
#[derive(Debug, Clone)]
pub enum Mend {
    /// Sets a link up: carrier with it where its far end is up, and the routes of its addresses.
    LinkUp {
        /// Host or instance.
        machine: String,
        /// Link.
        device: String,
    },
    /// Gives a link its carrier back, its far end set up.
    Carrier {
        /// Host or instance.
        machine: String,
        /// Link.
        device: String,
    },
    /// Gives a link another MTU, and its bridge the least of its ports'.
    Mtu {
        /// Host.
        machine: String,
        /// Link.
        device: String,
        /// In bytes.
        mtu: u32,
    },
    /// Makes a link a port of a bridge.
    Enslave {
        /// Host.
        machine: String,
        /// Link.
        device: String,
        /// Bridge.
        bridge: String,
    },
    /// Makes a VLAN device on a link, up, as a port of a bridge.
    VlanDevice {
        /// Host.
        machine: String,
        /// Device to be made.
        device: String,
        /// Link below it.
        lower: String,
        /// VLAN id.
        id: u16,
        /// Bridge it belongs in.
        bridge: String,
    },
    /// Gives a VLAN device another id.
    VlanTag {
        /// Host.
        machine: String,
        /// Device.
        device: String,
        /// VLAN id.
        id: u16,
    },
    /// Changes a VXLAN device.
    Overlay(OverlayMend),
    /// Has a bridge's port leave the tag on what it hands on of a VLAN, and of those that are told with it.
    KeepTag {
        /// Machine.
        machine: String,
        /// Port.
        device: String,
        /// VLAN id.
        id: u16,
    },
    /// Plugs an instance's NIC in again, as a tap whose inside is taken to be in order.
    Replug {
        /// Host.
        machine: String,
        /// Link to be made.
        device: String,
        /// Bridge it belongs in.
        bridge: String,
        /// Name of the instance.
        instance: String,
        /// MAC of the NIC, where known.
        mac: Option<Mac>,
    },
    /// Replaces the default route of the main table.
    DefaultRoute {
        /// Host.
        machine: String,
        /// Gateway.
        via: Ipv4Addr,
        /// Link.
        device: String,
    },
    /// Adds a host address (/32) to a link.
    Address {
        /// Host.
        machine: String,
        /// Address.
        ip: Ipv4Addr,
        /// Link.
        device: String,
    },
    /// Sets a sysctl (name without `net.`), and the per-link settings that follow it.
    Sysctl {
        /// Host.
        machine: String,
        /// Name.
        name: String,
        /// Value.
        value: String,
    },
    /// Takes a rule out. The rules behind it keep their numbers: its place stays, without a text.
    RemoveRule {
        /// Host.
        machine: String,
        /// The rule.
        rule: RuleRef,
    },
    /// Sets a base chain's policy to accept.
    AcceptPolicy {
        /// Host.
        machine: String,
        /// The policy.
        rule: RuleRef,
    },
    /// Puts a rule at the head of a chain of the IPv4 table of this name, where it does not stand in it.
    InsertRule {
        /// Host.
        machine: String,
        /// Table.
        table: String,
        /// Chain.
        chain: String,
        /// The rule, boxed for its size.
        rule: Box<NfRule>,
    },
    /// Gives a chain of an IPv4 table other rules, and makes the chain where it is not there.
    RewriteChain {
        /// Host.
        machine: String,
        /// Back end.
        dialect: Dialect,
        /// Table.
        table: String,
        /// Chain.
        chain: String,
        /// Its rules.
        rules: Vec<NfRule>,
    },
    /// Runs a dnsmasq, in place of those that listen on the same addresses.
    Dnsmasq {
        /// Host.
        machine: String,
        /// The server, boxed for its size.
        server: Box<Dnsmasq>,
    },
    /// Lets a service listen.
    Listen {
        /// Host.
        machine: String,
        /// Its socket.
        socket: Socket,
    },
    /// Names other servers in a resolv.conf.
    Resolver {
        /// Host or instance.
        machine: String,
        /// The servers.
        servers: Vec<IpAddr>,
    },
    /// Takes an entry out of a table.
    Forget {
        /// Host or instance.
        machine: String,
        /// The entry.
        entry: Entry,
    },
    /// Sets what a link is known by, or does as a port.
    Set {
        /// Host or instance.
        machine: String,
        /// Link.
        device: String,
        /// What is set.
        setting: Setting,
    },
}

/// Applies one change. A change whose subject is not there does nothing.
pub(crate) fn apply(snapshot: &mut Snapshot, mend: &Mend) {
    match mend {
        Mend::LinkUp { machine, device } => on_link(snapshot, machine, device, |link| link.admin_up = true),
        Mend::Carrier { machine, device } => {
            set_far_end_up(snapshot, machine, device);
            on_link(snapshot, machine, device, |link| link.carrier = true);
        }
        Mend::Mtu { machine, device, mtu } => {
            if let Some(ns) = main_of(snapshot, machine) {
                mtu::set(ns, device, *mtu);
            }
        }
        Mend::Enslave { machine, device, bridge } => {
            let Some(ns) = main_of(snapshot, machine) else { return };
            let Some(master) = ns.link_named(bridge).map(|b| b.index) else { return };
            if let Some(link) = ns.links.iter_mut().find(|l| l.name == *device) {
                link.master = Some(master);
                link.master_name = Some(bridge.clone());
                link.port = Some(model::link::BridgePort { hairpin: true, ..Default::default() });
            }
            forget_learned(snapshot, machine, device);
        }
        Mend::VlanDevice { machine, device, lower, id, bridge } => {
            if let Some(ns) = main_of(snapshot, machine) {
                made::stack_vlan(ns, device, lower, *id, bridge);
            }
        }
        Mend::VlanTag { machine, device, id } => {
            let ns = main_of(snapshot, machine);
            let link = ns.and_then(|ns| ns.links.iter_mut().find(|l| l.name == *device));
            if let Some(vlan) = link.and_then(|link| link.vlan.as_mut()) {
                vlan.id = *id;
            }
        }
        Mend::Overlay(change) => overlay::apply(snapshot, change),
        Mend::KeepTag { machine, device, id } => {
            on_link(snapshot, machine, device, |link| {
                let of_it =
                    link.bridge_vlans.iter_mut().filter(|vlans| (vlans.low..=vlans.high).contains(id));
                of_it.for_each(|vlans| vlans.untagged = false);
            });
        }
        Mend::Replug { machine, device, bridge, instance, mac } => {
            snapshot.netns.retain(|n| !(n.instance && n.machine == *instance));
            if let Some(ns) = main_of(snapshot, machine) {
                made::plug(ns, device, bridge, *mac);
            }
        }
        Mend::DefaultRoute { machine, via, device } => {
            let Some(ns) = main_of(snapshot, machine) else { return };
            let Some(link) = ns.link_named(device).map(|l| l.index) else { return };
            ns.routes
                .retain(|r| !(r.table == TABLE_MAIN && r.is_default() && r.destination.addr().is_ipv4()));
            let nexthop = Nexthop { via: Some(IpAddr::V4(*via)), ..nexthop(link) };
            ns.routes.push(route(TABLE_MAIN, IpNet::V4(Ipv4Net::default()), RouteKind::Unicast, nexthop));
        }
        Mend::Address { machine, ip, device } => {
            let Some(ns) = main_of(snapshot, machine) else { return };
            let Some(link) = ns.link_named(device).map(|l| l.index) else { return };
            let net = IpNet::from(IpAddr::V4(*ip));
            ns.addresses.push(Address::global(link, net));
            ns.routes.push(route(TABLE_LOCAL, net, RouteKind::Local, nexthop(link)));
        }
        Mend::Sysctl { machine, name, value } => set_sysctl(snapshot, machine, name, value),
        Mend::RemoveRule { machine, rule } => {
            if let Some(found) = main_of(snapshot, machine).and_then(|ns| rule_of(ns, rule)) {
                found.text.clear();
                found.matches.clear();
                found.action = Action::Continue;
            }
        }
        Mend::AcceptPolicy { machine, rule } => {
            let chain = main_of(snapshot, machine).and_then(|ns| chain_of(ns, rule));
            if let Some(base) = chain.and_then(|c| c.base.as_mut()) {
                base.policy = Policy::Accept;
            }
        }
        Mend::InsertRule { machine, table, chain, rule } => {
            let Some(ns) = main_of(snapshot, machine) else { return };
            let mut tables = ns.ruleset.tables.iter_mut();
            let found = tables
                .find(|t| t.family == Family::Ip && t.name == *table && t.chain(chain).is_some())
                .and_then(|t| t.chains.iter_mut().find(|c| c.name == *chain));
            if let Some(found) = found.filter(|chain| chain.rules.iter().all(|r| r.text != rule.text)) {
                found.rules.insert(0, (**rule).clone());
            }
        }
        Mend::RewriteChain { machine, dialect, table, chain, rules } => {
            let Some(ns) = main_of(snapshot, machine) else { return };
            let mut tables = ns.ruleset.tables.iter_mut();
            let is_it = |t: &Table| t.dialect == *dialect && t.family == Family::Ip && t.name == *table;
            let Some(table) = tables.find(|t| is_it(t)) else { return };
            match table.chains.iter_mut().find(|c| c.name == *chain) {
                Some(found) => found.rules.clone_from(rules),
                None => table.chains.push(Chain { name: chain.clone(), base: None, rules: rules.clone() }),
            }
        }
        Mend::Dnsmasq { machine, server } => {
            if let Some(host) = snapshot.hosts.iter_mut().find(|h| h.name == *machine) {
                host.dnsmasq.retain(|d| d.listen != server.listen);
                host.dnsmasq.push((**server).clone());
            }
            // Without any, sockets were not read, and one alone would say that nothing else listens.
            if let Some(ns) = main_of(snapshot, machine).filter(|ns| !ns.sockets.is_empty()) {
                let socket = |address: &IpAddr, protocol| Socket {
                    protocol,
                    address: *address,
                    port: 53,
                    device: None,
                    receive_queue: 0,
                };
                let listens = |address| [socket(address, 17), socket(address, 6)];
                ns.sockets.extend(server.listen.iter().flat_map(listens));
            }
        }
        Mend::Listen { machine, socket } => {
            if let Some(ns) = main_of(snapshot, machine) {
                ns.sockets.push(socket.clone());
            }
        }
        Mend::Resolver { machine, servers } => {
            if let Some(conf) = main_of(snapshot, machine).and_then(|ns| ns.resolver.as_mut()) {
                conf.servers.clone_from(servers);
            }
        }
        Mend::Forget { machine, entry } => {
            if let Some(ns) = main_of(snapshot, machine) {
                entry::forget(ns, entry);
            }
        }
        Mend::Set { machine, device, setting } => {
            if let Some(ns) = main_of(snapshot, machine) {
                entry::set(ns, device, setting);
            }
        }
    }
}

fn main_of<'s>(snapshot: &'s mut Snapshot, machine: &str) -> Option<&'s mut Netns> {
    snapshot.netns.iter_mut().find(|n| n.machine == machine && n.name.is_empty())
}

/// Changes a link, then makes what hangs on it consistent: carrier, operational state, port state,
/// connected routes.
fn on_link(snapshot: &mut Snapshot, machine: &str, device: &str, change: impl FnOnce(&mut Link)) {
    let far_up = far_end(snapshot, machine, device)
        .and_then(|(ns, index)| snapshot.netns.get(ns)?.link(index).map(|l| l.admin_up))
        .or_else(|| Some(lower_of(snapshot, machine, device)?.is_running()));
    let Some(ns) = main_of(snapshot, machine) else { return };
    let Some(link) = ns.links.iter_mut().find(|l| l.name == device) else { return };
    change(link);
    link.carrier = link.admin_up && (link.carrier || far_up.unwrap_or(true));
    settle(link);
    let (index, carrier) = (link.index, link.carrier);
    // A bridge that comes up enables its ports (`br_stp_enable_bridge`).
    if link.kind == LinkKind::Bridge {
        ns.links.iter_mut().filter(|l| l.master == Some(index)).for_each(settle);
    }
    connect(ns, index);
    raise_vlans(ns, index, carrier);
    if !carrier {
        return;
    }
    if let Some((far_ns, far_index)) = far_end(snapshot, machine, device)
        && let Some(far) = snapshot.netns.get_mut(far_ns)
        && let Some(link) = far.links.iter_mut().find(|l| l.index == far_index && l.admin_up)
    {
        link.carrier = true;
        settle(link);
    }
}

fn settle(link: &mut Link) {
    if link.is_running() {
        link.operstate = OperState::Up;
        if let Some(port) = &mut link.port {
            port.state = PortState::Forwarding;
        }
    }
}

fn set_far_end_up(snapshot: &mut Snapshot, machine: &str, device: &str) {
    let Some((ns, index)) = far_end(snapshot, machine, device) else { return };
    let Some(far) = snapshot.netns.get_mut(ns) else { return };
    if let Some(link) = far.links.iter_mut().find(|l| l.index == index) {
        link.admin_up = true;
        link.carrier = true;
        settle(link);
    }
    connect(far, index);
}

/// The link below a VLAN device, in the same namespace.
fn lower_of<'s>(snapshot: &'s Snapshot, machine: &str, device: &str) -> Option<&'s Link> {
    let ns = snapshot.main_netns(machine)?;
    vlans::below(ns, ns.link_named(device)?)
}

/// A link that comes up brings its VLAN devices up, but for those that are bound loosely, and they have its
/// carrier (`vlan_device_event`, `vlan_transfer_features`).
fn raise_vlans(ns: &mut Netns, lower: u32, carrier: bool) {
    let inode = ns.inode;
    let on_it = |l: &Link| l.vlan.is_some() && l.peer.is_some_and(|p| p.index == lower && p.netns == inode);
    let mut raised = Vec::new();
    for link in ns.links.iter_mut().filter(|l| on_it(l)) {
        link.admin_up |= link.vlan.is_some_and(|vlan| !vlan.loose_binding);
        link.carrier = link.admin_up && carrier;
        settle(link);
        raised.push(link.index);
    }
    raised.into_iter().for_each(|index| connect(ns, index));
}

/// What the far end knows of its neighbours is of the segment that it was on. It forgets by itself, within seconds,
/// when nobody answers its probes (`neigh_timer_handler`, net/core/neighbour.c).
fn forget_learned(snapshot: &mut Snapshot, machine: &str, device: &str) {
    let Some((ns, index)) = far_end(snapshot, machine, device) else { return };
    let Some(far) = snapshot.netns.get_mut(ns) else { return };
    far.neighbours.retain(|n| n.link != index || n.state == NeighbourState::Permanent);
}

/// Index of the namespace, and ifindex, of a veth's other end.
fn far_end(snapshot: &Snapshot, machine: &str, device: &str) -> Option<(usize, u32)> {
    let link = snapshot.main_netns(machine)?.link_named(device)?;
    let peer = link.peer.filter(|_| link.kind == LinkKind::Veth)?;
    let inode = peer.netns?;
    let ns = snapshot.netns.iter().position(|n| n.inode == Some(inode))?;
    Some((ns, peer.index))
}

/// The routes that the kernel makes for the addresses of a link when it comes up (`fib_add_ifaddr`).
fn connect(ns: &mut Netns, link: u32) {
    let nets: Vec<IpNet> = ns.addresses_of(link).map(|a| a.net).filter(|n| n.addr().is_ipv4()).collect();
    for net in nets {
        let host = IpNet::from(net.addr());
        let mut wanted = vec![route(TABLE_LOCAL, host, RouteKind::Local, nexthop(link))];
        if net.prefix_len() < 32 {
            wanted.push(route(TABLE_MAIN, net.trunc(), RouteKind::Unicast, nexthop(link)));
        }
        for new in wanted {
            let known =
                |r: &Route| r.table == new.table && r.destination == new.destination && r.kind == new.kind;
            match ns.routes.iter_mut().find(|r| known(r) && r.nexthops.iter().any(|n| n.link == link)) {
                Some(old) => old.nexthops.iter_mut().for_each(|n| (n.dead, n.linkdown) = (false, false)),
                None => ns.routes.push(new),
            }
        }
    }
    for nexthop in ns.routes.iter_mut().flat_map(|r| &mut r.nexthops).filter(|n| n.link == link) {
        (nexthop.dead, nexthop.linkdown) = (false, false);
    }
}

fn set_sysctl(snapshot: &mut Snapshot, machine: &str, name: &str, value: &str) {
    let Some(ns) = main_of(snapshot, machine) else { return };
    ns.sysctls.insert(name.to_owned(), value.to_owned());
    // Writing ip_forward writes every link's forwarding (`devinet_sysctl_forward`).
    if name == "ipv4.ip_forward" {
        for (key, old) in &mut ns.sysctls {
            if key.starts_with("ipv4.conf.") && key.ends_with(".forwarding") {
                value.clone_into(old);
            }
        }
    }
}

fn chain_of<'n>(ns: &'n mut Netns, rule: &RuleRef) -> Option<&'n mut model::netfilter::Chain> {
    let mut tables = ns.ruleset.tables.iter_mut();
    let table =
        tables.find(|t| t.dialect == rule.dialect && t.family == rule.family && t.name == rule.table)?;
    table.chains.iter_mut().find(|c| c.name == rule.chain())
}

fn rule_of<'n>(ns: &'n mut Netns, rule: &RuleRef) -> Option<&'n mut NfRule> {
    let at = usize::try_from(rule.number).ok()?.checked_sub(1)?;
    chain_of(ns, rule)?.rules.get_mut(at)
}

fn nexthop(link: u32) -> Nexthop {
    Nexthop { via: None, link, weight: 1, onlink: false, dead: false, linkdown: false }
}

fn route(table: u32, destination: IpNet, kind: RouteKind, nexthop: Nexthop) -> Route {
    Route { nexthops: vec![nexthop], ..Route::new(table, destination, kind) }
}
