//! What a host has of an instance's network: its VLAN device, its range, and whom its names are asked of.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use model::intent::{Instance, Network};
use report::{Has, OnHost};

use super::seen::{Read, Seen};

impl Seen<'_> {
    /// The VLAN device, where the instance runs: its tag, the bridge that it is in, and the link below it.
    pub(super) fn vlan(&self, instance: &Instance, network: &Network, id: u16) -> Vec<OnHost> {
        self.on(&instance.host, |read| {
            let Some((device, below)) = checks::vlan_device(read.netns, network) else {
                let has = if instance.is_meant_off() { Has::NotMeant } else { Has::No };
                return vec![read.unless_unread("links", has, format!("no link vlan{id}"))];
            };
            let mut all = vec![match device.vlan.map(|vlan| vlan.id) {
                Some(tag) if tag == id => read.has(format!("{} with tag {tag}", device.name)),
                Some(tag) => read.lacks(format!("{} with tag {tag}, not {id}", device.name)),
                None => read.unknown(format!("{}, whose tag was not read", device.name)),
            }];
            if let Some(bridge) = &network.bridge {
                let master = device.master.map(|master| read.netns.link_name(master));
                all.push(match master {
                    Some(master) if master == *bridge => read.has(format!("in {bridge}")),
                    Some(master) => read.lacks(format!("in {master}, not {bridge}")),
                    None => read.lacks(format!("not in {bridge}")),
                });
            }
            // A host's own nova.conf has the last word.
            let own = read.host.nova.as_ref().and_then(|nova| nova.get("vlan_interface"));
            if let Some(below) = below {
                let name = &below.name;
                let is_it =
                    |wanted: &str| read.netns.link_named(wanted).is_some_and(|l| l.index == below.index);
                all.push(match own.or(network.bridge_interface.as_deref()) {
                    Some(wanted) if !is_it(wanted) => read.lacks(format!("over {name}, not {wanted}")),
                    Some(_) | None => read.has(format!("over {name}")),
                });
            }
            all
        })
    }

    /// How much of the range the host takes for its neighbours. Where it has no such address, the gateway's line tells.
    pub(super) fn prefix(&self, host: &str, gateway: Option<Ipv4Addr>, cidr: Option<Ipv4Net>) -> Vec<OnHost> {
        let Some((gateway, cidr)) = gateway.zip(cidr) else { return Vec::new() };
        self.on(host, |read| {
            let own = read.netns.addresses.iter().filter(|own| own.net.addr() == IpAddr::V4(gateway));
            let Some(widest) = own.map(|own| own.net.prefix_len()).min() else { return Vec::new() };
            vec![if widest <= cidr.prefix_len() {
                read.has(format!("{gateway}/{widest}"))
            } else {
                read.lacks(format!("{gateway}/{widest}, which is not all of {cidr}"))
            }]
        })
    }

    /// Whom the network's dnsmasq asks for names. nova has it ask those of the network only where nova.conf says so;
    /// else they are nova.conf's own.
    pub(super) fn dns(&self, host: &str, listens: Option<Ipv4Addr>, wanted: &[Ipv4Addr]) -> Vec<OnHost> {
        let Some(listens) = listens else { return Vec::new() };
        self.on(host, |read| read.asks(listens, wanted).into_iter().collect())
    }
}

impl Read<'_> {
    fn asks(&self, listens: Ipv4Addr, wanted: &[Ipv4Addr]) -> Option<OnHost> {
        let dnsmasq = self.servers_on(listens).next()?;
        // `8.8.4.4#53@eth0`, or of one domain alone: `/example.org/10.0.0.53`.
        let of_all = dnsmasq.servers.iter().filter(|server| !server.starts_with('/'));
        let asked: Vec<&str> =
            of_all.map(|server| server.split(['#', '@']).next().unwrap_or_default()).collect();
        let text = match (asked.as_slice(), dnsmasq.no_resolv) {
            ([], true) => "dnsmasq asks nobody".to_owned(),
            ([], false) => "dnsmasq asks whom its host asks".to_owned(),
            (asked, _) => format!("dnsmasq asks {}", asked.join(", ")),
        };
        let missing: Vec<String> =
            wanted.iter().map(Ipv4Addr::to_string).filter(|ip| !asked.contains(&ip.as_str())).collect();
        Some(match (missing.as_slice(), &self.host.nova) {
            ([], _) => self.has(text),
            (_, None) => self.unknown(format!("{text}; whether it should ask the network's was not read")),
            (missing, Some(nova)) if nova.is_on("use_network_dns_servers") => {
                self.lacks(format!("{text}, not {}", missing.join(", ")))
            }
            (_, Some(_)) => self.not_meant(format!("{text}, as nova.conf says")),
        })
    }
}

#[cfg(test)]
mod tests {
    use model::service::{Dnsmasq, NovaOptions};
    use model::snapshot::Host;
    use model::{Netns, Snapshot};

    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const ROWS: Ipv4Addr = Ipv4Addr::new(8, 8, 4, 4);

    /// What is said of a host whose dnsmasq asks these, with this word in nova.conf; none was read where there is none.
    fn said(asked: &[&str], option: Option<&str>, wanted: &[Ipv4Addr]) -> (Has, String) {
        let dnsmasq = Dnsmasq {
            listen: vec![IpAddr::V4(OWN)],
            servers: asked.iter().map(|&server| server.to_owned()).collect(),
            ..Dnsmasq::default()
        };
        let values = option.map(|word| ("use_network_dns_servers".to_owned(), word.to_owned()));
        let nova =
            option.map(|_| NovaOptions { values: values.into_iter().collect(), ..NovaOptions::default() });
        let host = Host { name: "c1".to_owned(), dnsmasq: vec![dnsmasq], nova, ..Host::default() };
        let netns = Netns { machine: "c1".to_owned(), ..Netns::default() };
        let snapshot = Snapshot { hosts: vec![host], netns: vec![netns], ..Snapshot::default() };
        let seen = Seen { snapshot: &snapshot, missing: &[], why: "" };
        let [on] = <[OnHost; 1]>::try_from(seen.dns("c1", Some(OWN), wanted)).unwrap();
        (on.has, on.text)
    }

    #[test]
    fn only_nova_conf_makes_the_networks_servers_its_own() {
        let says = |has, text: &str| (has, text.to_owned());
        assert_eq!(said(&["8.8.4.4#53"], None, &[ROWS]), says(Has::Yes, "dnsmasq asks 8.8.4.4"));
        assert_eq!(said(&["1.1.1.1"], Some("False"), &[]), says(Has::Yes, "dnsmasq asks 1.1.1.1"));
        assert_eq!(said(&[], Some("False"), &[]), says(Has::Yes, "dnsmasq asks whom its host asks"));
        let others = ["1.1.1.1", "/example.org/8.8.4.4"];
        assert_eq!(said(&others, Some("True"), &[ROWS]), says(Has::No, "dnsmasq asks 1.1.1.1, not 8.8.4.4"));
        assert_eq!(said(&others, Some("False"), &[ROWS]).0, Has::NotMeant);
        assert_eq!(said(&others, None, &[ROWS]).0, Has::Unknown);
    }
}
