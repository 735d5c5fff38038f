//! Clouds to break in tests: two healthy ones as they were read from the kernel, what the kernel does
//! when something in them changes, and every fault of the catalogue made that way.

mod addressless;
mod answered;
mod bonded;
mod faults;
mod foreign;
mod forgotten;
mod frames;
mod kernel;
mod listening;
mod machines;
mod misled;
mod nova_clouds;
mod overlays;
mod probes;
mod queens;
mod queued;
mod recorded;
mod rules;
mod site;
mod tests_of_all;
mod tests_of_shapes;
mod translations;
mod written;

use std::net::IpAddr;

use ipnet::IpNet;
use model::journey::QuestionSeen;
use model::kernel_drop::KernelDrop;
use model::link::Link;
use model::netfilter::{Chain, Dialect, Family};
use model::probe::{DeviceWatch, Holders, ProbeResult, QueuesSeen};
use model::service::Dnsmasq;
use model::snapshot::Host;
use model::{Diagnosis, Intent, Netns, Snapshot};
use serde::Deserialize;

use crate::{Case, Request, Subject, Symptom, diagnose};

pub(crate) use addressless::{asked_at, lose_address, say};
pub(crate) use bonded::bond;
pub(crate) use faults::{CODES, broken, inject, refuse};
pub(crate) use frames::{answers_by, watch};
pub(crate) use kernel::reachable_route;
pub(crate) use nova_clouds::{FLOATING, Hosting, Manager, SHAPES, nova_cloud};
pub(crate) use overlays::{block_udp, overlay_cloud};
pub(crate) use probes::{
    asked_for_ipv6, asked_for_own_name, connected, cut_short, dropped_at, found, held, looked_up,
    metadata_asked, metadata_served, of_root, offer, offered, pinged, told_its_version,
};
pub(crate) use queens::queens;
pub(crate) use rules::{
    anti_spoofing, base_chain, drops, forwards_by, from, inside_firewall, perhaps_drops, to, udp_by,
};

/// Facts and intent of a cloud, free to be changed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Cloud {
    pub(crate) snapshot: Snapshot,
    pub(crate) intent: Intent,
    /// What comes of what is asked, where a test says so.
    #[serde(default)]
    pub(crate) probes: Vec<ProbeResult>,
    /// The queues afterwards, where a test says so.
    #[serde(default)]
    pub(crate) queues: Vec<QueuesSeen>,
    /// Where it is seen, where a test says so.
    #[serde(default)]
    pub(crate) watches: Vec<DeviceWatch>,
    /// The way of each packet, where a test says so.
    #[serde(default)]
    pub(crate) seen: Vec<QuestionSeen>,
    /// Who answers for which address, where a test says so.
    #[serde(default)]
    pub(crate) holders: Vec<Holders>,
    /// What the kernel says that it dropped, where a test says so.
    #[serde(default)]
    pub(crate) drops: Vec<KernelDrop>,
}

/// `hopline lab up`: one compute host, nova's database, two instances that can be entered.
pub(crate) fn healthy() -> Cloud {
    serde_json::from_str(include_str!("../fixtures/lab.json")).unwrap()
}

/// Two compute hosts, three instances that cannot be entered, no database, and a switch that cannot
/// be looked into.
pub(crate) fn minicloud() -> Cloud {
    serde_json::from_str(include_str!("../fixtures/minicloud.json")).unwrap()
}

/// A diagnosis as `--minimal` prints it: `CODE HOST/NETNS/DEVICE` a finding.
pub(crate) fn codes(diagnosis: &Diagnosis) -> Vec<String> {
    diagnosis.findings.iter().map(|f| format!("{} {}", f.code, f.hop)).collect()
}

/// Nothing was found under this code.
pub(crate) fn lacks(diagnosis: &Diagnosis, code: &str) -> bool {
    diagnosis.findings.iter().all(|f| f.code != code)
}

impl Cloud {
    /// What `hopline diagnose INSTANCE --passive` concludes.
    pub(crate) fn diagnose(&self, instance: &str) -> Diagnosis {
        self.diagnose_with(instance, &self.probes)
    }

    /// The same, with answers to what was really sent.
    pub(crate) fn diagnose_with(&self, instance: &str, probes: &[ProbeResult]) -> Diagnosis {
        let at = self.intent.instances.iter().position(|i| i.name == instance).unwrap();
        self.ask(Subject::Instance(at), probes, &[])
    }

    /// The same, with a destination that is complained of.
    pub(crate) fn diagnose_to(&self, instance: &str, to: &str) -> Diagnosis {
        let at = self.intent.instances.iter().position(|i| i.name == instance).unwrap();
        let (snapshot, intent, probes) = (&self.snapshot, &self.intent, &self.probes[..]);
        let case = Case {
            snapshot,
            intent,
            probes,
            rules: &[],
            queues: &self.queues,
            watches: &[],
            seen: &self.seen,
            drops: &self.drops,
            holders: &self.holders,
            traces: &[],
            sizes: &[],
            sides: &[],
        };
        let (subject, to) = (Subject::Instance(at), to.parse().ok());
        diagnose(&case, &Request { subject, to, symptom: Symptom::Auto })
    }

    /// The same, with something that is complained of.
    pub(crate) fn diagnose_for(&self, instance: &str, symptom: Symptom) -> Diagnosis {
        let at = self.intent.instances.iter().position(|i| i.name == instance).unwrap();
        diagnose(&self.case(), &Request { subject: Subject::Instance(at), to: None, symptom })
    }

    /// What is known of it, without what was seen at devices.
    pub(crate) fn case(&self) -> Case<'_> {
        Case {
            snapshot: &self.snapshot,
            intent: &self.intent,
            probes: &self.probes,
            rules: &[],
            queues: &self.queues,
            watches: &[],
            seen: &self.seen,
            drops: &self.drops,
            holders: &self.holders,
            traces: &[],
            sizes: &[],
            sides: &[],
        }
    }

    /// The same, with what was seen of it on its way.
    pub(crate) fn diagnose_watched(
        &self,
        instance: &str,
        probes: &[ProbeResult],
        watches: &[DeviceWatch],
    ) -> Diagnosis {
        let at = self.intent.instances.iter().position(|i| i.name == instance).unwrap();
        self.ask(Subject::Instance(at), probes, watches)
    }

    /// What `hopline check` concludes of a host.
    pub(crate) fn check(&self, host: &str) -> Diagnosis {
        self.ask(Subject::Hosts(vec![host.to_owned()]), &self.probes, &[])
    }

    /// What `hopline diagnose --all --passive` concludes.
    pub(crate) fn diagnose_all(&self) -> Diagnosis {
        self.ask(Subject::AllInstances, &self.probes, &[])
    }

    fn ask(&self, subject: Subject, probes: &[ProbeResult], watches: &[DeviceWatch]) -> Diagnosis {
        let (snapshot, intent, holders) = (&self.snapshot, &self.intent, &self.holders);
        let watches = if watches.is_empty() { &self.watches[..] } else { watches };
        let (queues, drops) = (&self.queues[..], &self.drops[..]);
        let case = Case {
            snapshot,
            intent,
            probes,
            rules: &[],
            queues,
            watches,
            seen: &self.seen,
            drops,
            holders,
            traces: &[],
            sizes: &[],
            sides: &[],
        };
        diagnose(&case, &Request { subject, to: None, symptom: Symptom::Auto })
    }

    /// Main namespace of a host or instance.
    pub(crate) fn netns(&mut self, machine: &str) -> &mut Netns {
        self.snapshot.netns.iter_mut().find(|n| n.machine == machine && n.name.is_empty()).unwrap()
    }

    /// A link of a machine.
    pub(crate) fn link(&mut self, machine: &str, device: &str) -> &mut Link {
        self.netns(machine).links.iter_mut().find(|l| l.name == device).unwrap()
    }

    /// What a host runs and keeps.
    pub(crate) fn host(&mut self, name: &str) -> &mut Host {
        self.snapshot.hosts.iter_mut().find(|h| h.name == name).unwrap()
    }

    /// nova's dnsmasq of a host.
    pub(crate) fn dnsmasq(&mut self, host: &str) -> &mut Dnsmasq {
        self.host(host).dnsmasq.iter_mut().find(|d| !d.is_libvirts()).unwrap()
    }

    /// A chain of one of iptables' IPv4 tables.
    pub(crate) fn chain(&mut self, machine: &str, table: &str, chain: &str) -> &mut Chain {
        let mut tables = self.netns(machine).ruleset.tables.iter_mut();
        let of_iptables = |d: Dialect| matches!(d, Dialect::IptablesLegacy | Dialect::IptablesNft);
        let table = tables.find(|t| t.family == Family::Ip && of_iptables(t.dialect) && t.name == table);
        table.unwrap().chains.iter_mut().find(|c| c.name == chain).unwrap()
    }

    /// `sysctl -w net.NAME=VALUE`.
    pub(crate) fn sysctl(&mut self, machine: &str, name: &str, value: &str) {
        let all = &mut self.netns(machine).sysctls;
        assert!(all.insert(name.to_owned(), value.to_owned()).is_some(), "{machine} has no net.{name}");
    }

    /// A machine has another address of the same subnet.
    pub(crate) fn readdress(&mut self, machine: &str, old: &str, new: &str) {
        let (old, new): (IpAddr, IpAddr) = (old.parse().unwrap(), new.parse().unwrap());
        let ns = self.netns(machine);
        for address in ns.addresses.iter_mut().filter(|a| a.net.addr() == old) {
            address.net = IpNet::new(new, address.net.prefix_len()).unwrap();
        }
        for route in ns.routes.iter_mut().filter(|r| r.destination == IpNet::from(old)) {
            route.destination = IpNet::from(new);
        }
    }

    /// Only these hosts are of the site, and what runs on them.
    pub(crate) fn leave_only(&mut self, hosts: &[&str]) {
        self.snapshot.hosts.retain(|host| hosts.contains(&host.name.as_str()));
        self.snapshot.netns.retain(|ns| ns.instance || hosts.contains(&ns.machine.as_str()));
    }

    /// The instance cannot be entered any more: nothing is known of its inside.
    pub(crate) fn close(&mut self, instance: &str) {
        self.snapshot.netns.retain(|n| !(n.instance && n.machine == instance));
        self.intent.instances.iter_mut().filter(|i| i.name == instance).for_each(|i| i.entered = false);
    }
}
