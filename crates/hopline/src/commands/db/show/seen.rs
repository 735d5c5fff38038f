//! What a host has of an instance. Nothing is said to lack that may only not have been read.

use std::net::{IpAddr, Ipv4Addr};

use model::intent::{Floating, Instance, Network, Vif};
use model::service::Dnsmasq;
use model::snapshot::Host;
use model::{Netns, Snapshot};
use report::{Has, OnHost};

/// The hosts that were read.
pub(super) struct Seen<'s> {
    pub(super) snapshot: &'s Snapshot,
    /// Those that were not, and why.
    pub(super) missing: &'s [(String, String)],
    /// Why any other was not.
    pub(super) why: &'s str,
}

/// One that was.
pub(super) struct Read<'s> {
    pub(super) host: &'s Host,
    pub(super) netns: &'s Netns,
    snapshot: &'s Snapshot,
}

impl<'s> Seen<'s> {
    /// What is to be said of a host: what `look` finds, or that it was not read.
    pub(super) fn on(&self, name: &str, look: impl FnOnce(&Read<'s>) -> Vec<OnHost>) -> Vec<OnHost> {
        if name.is_empty() {
            return Vec::new();
        }
        match (self.snapshot.host(name), self.snapshot.main_netns(name)) {
            (Some(host), Some(netns)) => look(&Read { host, netns, snapshot: self.snapshot }),
            (None, _) | (_, None) => {
                let why =
                    self.missing.iter().find(|(missing, _)| missing == name).map(|(_, why)| why.as_str());
                let text = format!("not seen: {}", why.unwrap_or(self.why));
                vec![OnHost { host: name.to_owned(), has: Has::Unknown, text }]
            }
        }
    }

    /// Its libvirt domain: on the host that is recorded, and beside that on the one that has it.
    pub(super) fn domain(&self, instance: &Instance) -> Vec<OnHost> {
        let at = |host: &str| self.on(host, |read| vec![read.domain(instance)]);
        let has_it = &instance.host;
        let Some(recorded) = instance.recorded_host.as_ref().filter(|recorded| *recorded != has_it) else {
            return at(has_it);
        };
        let (mut all, mut elsewhere) = (at(recorded), at(has_it));
        // It may rightly be on its way from the one to the other, and what is left of it elsewhere is not to run.
        let on_its_way = all.iter_mut().filter(|_| instance.task.is_some());
        for on in on_its_way.chain(&mut elsewhere).filter(|on| on.has == Has::No) {
            on.has = Has::NotMeant;
        }
        elsewhere.iter_mut().for_each(|on| on.text.push_str(&format!(", and {recorded} is recorded")));
        all.append(&mut elsewhere);
        all
    }

    /// A NIC's tap, and the bridge that it is in.
    pub(super) fn tap(&self, instance: &Instance, vif: &Vif) -> Vec<OnHost> {
        self.on(&instance.host, |read| {
            let Some(device) = &vif.device else {
                let why = "no record names its tap".to_owned();
                return vec![if instance.is_meant_off() { read.not_meant(why) } else { read.unknown(why) }];
            };
            let Some(link) = read.netns.link_named(device) else {
                let text = format!("no tap {device}");
                let has = if instance.is_meant_off() { Has::NotMeant } else { Has::No };
                return vec![read.unless_unread("links", has, text)];
            };
            let mut all = vec![read.has(format!("tap {device}"))];
            if let Some(bridge) = &vif.bridge {
                let master = link.master.map(|master| read.netns.link_name(master));
                all.push(match master {
                    Some(master) if master == *bridge => read.has(format!("in {bridge}")),
                    Some(master) => read.lacks(format!("in {master}, not {bridge}")),
                    None => read.lacks(format!("not in {bridge}")),
                });
            }
            all
        })
    }

    /// A network's bridge, where the instance runs.
    pub(super) fn bridge(&self, host: &str, bridge: &str) -> Vec<OnHost> {
        self.on(host, |read| {
            vec![match read.netns.link_named(bridge) {
                Some(_) => read.has(format!("link {bridge}")),
                None => read.unless_unread("links", Has::No, format!("no link {bridge}")),
            }]
        })
    }

    /// An address that the host itself is to have.
    pub(super) fn address(&self, host: &str, address: Ipv4Addr) -> Vec<OnHost> {
        self.on(host, |read| vec![read.address(address)])
    }

    /// The network's DHCP server.
    pub(super) fn dhcp_server(&self, host: &str, address: Ipv4Addr) -> Vec<OnHost> {
        self.on(host, |read| {
            vec![match read.servers_on(address).next() {
                Some(dnsmasq) => read.has(format!("dnsmasq, pid {}", dnsmasq.pid)),
                None if !read.host.sees_every_process => {
                    read.unknown("not all processes were seen".to_owned())
                }
                None => read.lacks(format!("no dnsmasq listens on {address}")),
            }]
        })
    }

    /// A fixed address in dnsmasq's hosts file and among its leases.
    pub(super) fn fixed(
        &self,
        network: &Network,
        instance: &Instance,
        vif: &Vif,
        (address, leased): (Ipv4Addr, bool),
    ) -> Vec<OnHost> {
        let server = network.server_for(&instance.host);
        let Some(listens) = network.gateway_on(&instance.host).or(network.dhcp_server) else {
            return Vec::new();
        };
        self.on(server, |read| {
            let Some(dnsmasq) = read.servers_on(listens).next() else {
                return vec![read.unknown(format!("no dnsmasq on {listens} to ask"))];
            };
            let mut all = vec![match &dnsmasq.hosts {
                None => read.unknown("dnsmasq's hosts file was not read".to_owned()),
                Some(lines) => {
                    let own = lines.iter().find(|line| line.ip == Some(address) && Some(line.mac) == vif.mac);
                    let file = dnsmasq.hosts_file.as_deref().unwrap_or("dnsmasq's hosts file");
                    match own {
                        Some(line) => read.has(format!("in {file}, line {}", line.line)),
                        None => read.lacks(format!("not in {file}")),
                    }
                }
            }];
            // Where the file is read-only the leases are nova's own rows, which the value tells.
            if let Some(leases) = dnsmasq.leases.as_ref().filter(|_| !dnsmasq.leasefile_ro) {
                let has = leases.iter().any(|lease| lease.ip == address && Some(lease.mac) == vif.mac);
                all.push(match (has, leased) {
                    (true, _) => read.has("lease".to_owned()),
                    (false, true) => read.lacks("no lease".to_owned()),
                    (false, false) => read.not_meant("no lease".to_owned()),
                });
            }
            all
        })
    }

    /// A floating address and its rules.
    pub(super) fn floating(&self, host: &str, floating: &Floating) -> Vec<OnHost> {
        self.on(host, |read| {
            let rule = |has: bool, name: &str| {
                if has {
                    return read.has(format!("{name} rule"));
                }
                read.unless_unread("rules", Has::No, format!("no {name} rule"))
            };
            vec![
                read.address(floating.address),
                rule(checks::has_dnat(read.netns, floating), "DNAT"),
                rule(checks::has_snat(read.netns, floating), "SNAT"),
            ]
        })
    }

    /// The chain that the instance's groups become.
    pub(super) fn chain(&self, instance: &Instance) -> Vec<OnHost> {
        let Some(id) = instance.id else { return Vec::new() };
        self.on(&instance.host, |read| {
            let wanted = format!("-inst-{id}");
            let mut chains = read.netns.ruleset.tables.iter().flat_map(|table| &table.chains);
            let driver = read.host.nova.as_ref().and_then(|nova| nova.get("firewall_driver"));
            vec![match chains.find(|chain| chain.name.ends_with(&wanted)) {
                Some(chain) => read.has(format!("chain {}", chain.name)),
                None if driver.is_some_and(|driver| driver.contains("Noop")) => {
                    read.not_meant("no chain: nova's firewall is switched off".to_owned())
                }
                None if instance.is_meant_off() => read.not_meant(format!("no chain nova-compute{wanted}")),
                None => read.unless_unread("rules", Has::No, format!("no chain nova-compute{wanted}")),
            }]
        })
    }
}

impl<'s> Read<'s> {
    fn said(&self, has: Has, text: String) -> OnHost {
        OnHost { host: self.host.name.clone(), has, text }
    }

    pub(super) fn has(&self, text: String) -> OnHost {
        self.said(Has::Yes, text)
    }

    pub(super) fn lacks(&self, text: String) -> OnHost {
        self.said(Has::No, text)
    }

    pub(super) fn not_meant(&self, text: String) -> OnHost {
        self.said(Has::NotMeant, text)
    }

    pub(super) fn unknown(&self, text: String) -> OnHost {
        self.said(Has::Unknown, text)
    }

    fn domain(&self, instance: &Instance) -> OnHost {
        let name = instance.libvirt_name.as_deref().unwrap_or(&instance.name);
        let domain = self.host.domains.iter().find(|domain| domain.name == name);
        let not_running = format!("domain {name} does not run");
        match domain {
            Some(domain) if domain.live => match &domain.state {
                Some(state) => self.has(format!("domain {name} is {state}")),
                None => self.has(format!("domain {name} is there")),
            },
            None if self.host.running_domains.is_none() => {
                self.unknown("libvirt's running domains were not read".to_owned())
            }
            Some(_) | None if instance.is_meant_off() => self.not_meant(not_running),
            Some(_) => self.lacks(not_running),
            None => self.lacks(format!("no domain {name}")),
        }
    }

    /// What is said, unless a gap tells that such things of this host were not read, or not all.
    pub(super) fn unless_unread(&self, things: &str, has: Has, text: String) -> OnHost {
        let of_host = format!(" of {}", self.host.name);
        let is_it = |what: &str| what.contains(things) && what.ends_with(&of_host);
        match self.snapshot.gaps.iter().find(|gap| is_it(&gap.what)) {
            None => self.said(has, text),
            Some(gap) => self.unknown(format!("{} not read", gap.what)),
        }
    }

    fn address(&self, address: Ipv4Addr) -> OnHost {
        match self.netns.addresses.iter().find(|own| own.net.addr() == IpAddr::V4(address)) {
            Some(own) => self.has(format!("{address} on {}", self.netns.link_name(own.link))),
            None => self.unless_unread("addresses", Has::No, format!("no address {address}")),
        }
    }

    /// nova's servers that answer at an address of the host.
    pub(super) fn servers_on(&self, address: Ipv4Addr) -> impl Iterator<Item = &'s Dnsmasq> {
        let host: &'s Host = self.host;
        host.dnsmasq.iter().filter(move |own| !own.is_libvirts() && own.listen.contains(&IpAddr::V4(address)))
    }
}

#[cfg(test)]
mod tests {
    use model::service::Domain;

    use super::*;

    const NAME: &str = "instance-00000001";

    /// compute1 has the domain, as it is given, and compute2 has none.
    fn domain_of(instance: &Instance, live: bool) -> Vec<(String, Has, String)> {
        let domain = Domain { name: NAME.to_owned(), live, ..Domain::default() };
        let host = |name: &str, domains| Host {
            name: name.to_owned(),
            domains,
            running_domains: Some("/run/libvirt/qemu".to_owned()),
            ..Host::default()
        };
        let netns = |name: &str| Netns { machine: name.to_owned(), ..Netns::default() };
        let snapshot = Snapshot {
            hosts: vec![host("compute1", vec![domain]), host("compute2", Vec::new())],
            netns: vec![netns("compute1"), netns("compute2")],
            ..Snapshot::default()
        };
        let seen = Seen { snapshot: &snapshot, missing: &[], why: "" };
        seen.domain(instance).into_iter().map(|on| (on.host, on.has, on.text)).collect()
    }

    fn instance(recorded: &str, task: Option<&str>) -> Instance {
        Instance {
            libvirt_name: Some(NAME.to_owned()),
            host: "compute1".to_owned(),
            recorded_host: Some(recorded.to_owned()),
            vm_state: Some("active".to_owned()),
            task: task.map(str::to_owned),
            ..Instance::default()
        }
    }

    #[test]
    fn the_host_that_is_recorded_is_held_to_it() {
        let said = |host: &str, has, text: &str| (host.to_owned(), has, text.to_owned());
        let is_there = "domain instance-00000001 is there";
        assert_eq!(domain_of(&instance("compute1", None), true), [said("compute1", Has::Yes, is_there)]);
        let elsewhere = said("compute1", Has::Yes, &format!("{is_there}, and compute2 is recorded"));
        let none = |has| said("compute2", has, "no domain instance-00000001");
        assert_eq!(domain_of(&instance("compute2", None), true), [none(Has::No), elsewhere.clone()]);
        // It is being moved.
        let moving = instance("compute2", Some("migrating"));
        assert_eq!(domain_of(&moving, true), [none(Has::NotMeant), elsewhere]);
        // A definition that a move has left behind is not to run.
        let left = "domain instance-00000001 does not run, and compute2 is recorded";
        let left = said("compute1", Has::NotMeant, left);
        assert_eq!(domain_of(&instance("compute2", None), false), [none(Has::No), left]);
    }

    #[test]
    fn a_host_that_was_not_read_lacks_nothing() {
        let [unseen, elsewhere] = domain_of(&instance("compute9", None), true).try_into().unwrap();
        assert_eq!((unseen.0.as_str(), unseen.1), ("compute9", Has::Unknown));
        assert_eq!((elsewhere.0.as_str(), elsewhere.1), ("compute1", Has::Yes));
    }
}
