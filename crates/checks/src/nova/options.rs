//! The options of nova.conf that decide nova's rules (`nova/conf/network.py`, `nova/conf/netconf.py`,
//! `nova/conf/virt.py`), with nova's defaults. What no file tells, or what nova finds out for itself, is
//! unknown.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use model::Netns;
use model::service::NovaOptions;
use model::snapshot::Host;

use super::line::Then;

/// The link that floating addresses and the network's own SNAT leave by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicLink {
    /// `public_interface` is not known, or empty: then each floating address has its own.
    Unknown,
    /// `*`.
    Any,
    Is(String),
}

/// The address that instances without a floating one leave with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceAddress {
    Unknown,
    /// `routing_source_ip` is empty: no SNAT.
    None,
    Is(Ipv4Addr),
}

/// Which way a bridge may forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Forwarding {
    Unknown,
    Anywhere,
    /// `forward_bridge_interface` names links; which ones, a single value of the option does not tell.
    Named,
}

/// What decides nova's rules beside the database.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// A nova.conf was read.
    pub(crate) known: bool,
    /// The network manager gives addresses by DHCP.
    pub(crate) dhcp: Option<bool>,
    pub(crate) public_link: PublicLink,
    pub(crate) source: SourceAddress,
    pub(crate) metadata_host: Option<Ipv4Addr>,
    pub(crate) metadata_port: u16,
    pub(crate) dmz: Vec<IpNet>,
    pub(crate) same_network: Option<bool>,
    pub(crate) forwarding: Forwarding,
    /// `fixed_range`, which stood in for the networks' prefixes up to Grizzly.
    pub(crate) fixed_range: Option<IpNet>,
    pub(crate) drop: Then,
    /// `firewall_driver` makes rules of security groups.
    pub(crate) filters: bool,
}

impl Options {
    /// The options of a host.
    pub(crate) fn of(host: &Host, ns: &Netns) -> Options {
        let Some(nova) = &host.nova else { return Options::unknown() };
        let own = address(nova, "my_ip");
        Options {
            known: true,
            dhcp: Some(nova.get("network_manager").is_none_or(|name| !name.ends_with(".FlatManager"))),
            public_link: public_link(nova, ns),
            source: match nova.values.get("routing_source_ip").map(String::as_str) {
                Some("") => SourceAddress::None,
                Some(_) => {
                    address(nova, "routing_source_ip").map_or(SourceAddress::Unknown, SourceAddress::Is)
                }
                None => own.map_or(SourceAddress::Unknown, SourceAddress::Is),
            },
            metadata_host: match nova.get("metadata_host") {
                Some(_) => address(nova, "metadata_host"),
                None => own,
            },
            metadata_port: nova
                .get("metadata_port")
                .and_then(|port| port.parse().ok())
                .unwrap_or(METADATA_PORT),
            dmz: nova.get("dmz_cidr").map(nets).unwrap_or_default(),
            same_network: Some(flag(nova, "allow_same_net_traffic").unwrap_or(true)),
            forwarding: match nova.get("forward_bridge_interface") {
                None | Some("all") => Forwarding::Anywhere,
                Some(_) => Forwarding::Named,
            },
            fixed_range: nova.get("fixed_range").and_then(|range| nets(range).first().copied()),
            drop: match nova.get("iptables_drop_action") {
                None | Some("DROP") => Then::Drop,
                Some(chain) => Then::Call(chain.to_owned()),
            },
            filters: nova
                .get("firewall_driver")
                .is_some_and(|driver| driver.contains("IptablesFirewallDriver")),
        }
    }

    /// Where metadata_forward leads instances that ask for metadata.
    pub(crate) fn metadata_target(&self) -> Option<Then> {
        let (host, port) = (self.metadata_host?, self.metadata_port);
        Some(if host == Ipv4Addr::LOCALHOST { Then::Redirect(port) } else { Then::Dnat(host, Some(port)) })
    }

    fn unknown() -> Options {
        Options {
            known: false,
            dhcp: None,
            public_link: PublicLink::Unknown,
            source: SourceAddress::Unknown,
            metadata_host: None,
            metadata_port: METADATA_PORT,
            dmz: Vec::new(),
            same_network: None,
            forwarding: Forwarding::Unknown,
            fixed_range: None,
            drop: Then::Drop,
            filters: false,
        }
    }
}

/// nova's default.
const METADATA_PORT: u16 = 8775;

/// A link that the host has not got is not what nova's rules were written for.
fn public_link(nova: &NovaOptions, ns: &Netns) -> PublicLink {
    match nova.values.get("public_interface").map_or("eth0", String::as_str) {
        "" => PublicLink::Unknown,
        "*" => PublicLink::Any,
        name if ns.link_named(name).is_some() => PublicLink::Is(name.to_owned()),
        _ => PublicLink::Unknown,
    }
}

fn address(nova: &NovaOptions, option: &str) -> Option<Ipv4Addr> {
    nova.get(option)?.parse().ok()
}

/// oslo.config's words for true and false.
fn flag(nova: &NovaOptions, option: &str) -> Option<bool> {
    match nova.get(option)?.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn nets(list: &str) -> Vec<IpNet> {
    let net = |text: &str| {
        let text = text.trim();
        let net = text.parse::<Ipv4Net>().ok().or_else(|| text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from));
        net.map(|net| IpNet::V4(net.trunc()))
    };
    list.split([',', '\n']).filter_map(net).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{healthy, minicloud};

    fn options(set: &[(&str, &str)]) -> Options {
        let mut cloud = healthy();
        let values = &mut cloud.host("compute1").nova.as_mut().unwrap().values;
        values.extend(set.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned())));
        let snapshot = &cloud.snapshot;
        Options::of(snapshot.host("compute1").unwrap(), snapshot.main_netns("compute1").unwrap())
    }

    #[test]
    fn the_labs_nova_conf_tells_all_of_them() {
        let options = options(&[]);
        let host = Ipv4Addr::new(203, 0, 113, 34);
        assert_eq!(options.public_link, PublicLink::Is("eth0".to_owned()));
        assert_eq!((options.source, options.metadata_host), (SourceAddress::Is(host), Some(host)));
        assert_eq!((options.dhcp, options.same_network), (Some(true), Some(true)));
        assert!(options.filters && options.dmz.is_empty());
    }

    #[test]
    fn an_empty_option_is_not_an_absent_one() {
        let options = options(&[("routing_source_ip", ""), ("public_interface", ""), ("dmz_cidr", "")]);
        assert_eq!((options.source, options.public_link), (SourceAddress::None, PublicLink::Unknown));
        assert!(options.dmz.is_empty());
    }

    #[test]
    fn lists_take_commas_and_a_link_that_is_not_there_is_not_believed() {
        let options = options(&[("dmz_cidr", "10.9.0.1/16, 10.8.0.1"), ("public_interface", "bond7")]);
        assert_eq!(options.dmz, nets("10.9.0.0/16,10.8.0.1/32"));
        assert_eq!(options.public_link, PublicLink::Unknown);
    }

    #[test]
    fn without_nova_conf_nothing_is_known() {
        let cloud = minicloud();
        let snapshot = &cloud.snapshot;
        let options = Options::of(snapshot.host("host").unwrap(), snapshot.main_netns("host").unwrap());
        assert!(!options.known && options.dhcp.is_none() && options.metadata_host.is_none());
        assert_eq!(options.source, SourceAddress::Unknown);
    }
}
