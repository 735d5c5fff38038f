//! What faults act on: the lab's namespaces, and web1 with all that serves it.

use std::net::Ipv4Addr;

use novadb::rows::Cloud;
use plumbing::Namespace;

use crate::error::LabError;
use crate::layout::{Host, WEB1};
use crate::nova::wanted::{self, HostInstance, Nic, Served};
use crate::operations::instance_named;
use crate::place::Lab;
use crate::rig::{HostNamespace, Rig};
use crate::shape::GuestKind;
use crate::{libvirt, manager, namespace};

/// web1 and its surroundings.
pub(crate) struct Scene {
    pub rig: Rig,
    /// What nova-compute wants of web1.
    pub web1: HostInstance,
    /// Its first NIC.
    pub nic: Nic,
    /// The host's end of it; empty where web1 does not run.
    pub tap: String,
    /// The bridge of another network on its host, where there is one.
    pub bridge_of_others: Option<String>,
    /// Its network, as the host that is its gateway serves it.
    pub served: Served,
    /// Its floating address.
    pub floating: Option<Ipv4Addr>,
    /// Its inside, where that is a namespace.
    pub inside: Option<Namespace>,
    /// The host that web1 runs on.
    pub compute: HostNamespace,
    /// The host that is web1's gateway: the same in multi-host mode, else the network host.
    pub server: HostNamespace,
}

impl Scene {
    /// Refused where there is no web1: it has been deleted, or another of the lab's first instances is all there is.
    pub(crate) fn open(lab: &Lab) -> Result<Scene, LabError> {
        let cloud: Cloud = manager::read(lab)?;
        let (row, web1) = instance_named(&cloud, WEB1)?;
        // A fault may have it recorded elsewhere.
        let hosts = lab.shape.hosts();
        let host = libvirt::host_of(lab, &hosts, &web1.domain()).unwrap_or(&row.host);
        let server_name = lab.shape.server_of(host);
        let no_nic = || LabError::UnknownNetwork { name: format!("of {WEB1}"), known: String::new() };
        let nic = web1.nics.first().cloned().ok_or_else(no_nic)?;
        let service = wanted::network_service(&cloud, &server_name);
        let served = service.networks.into_iter().find(|served| served.bridge == nic.bridge);
        let mut taps = libvirt::taps(lab, host, &web1.domain())?;
        let mut floating = cloud.floating.iter();
        let floating = floating.find(|floating| floating.fixed.is_some_and(|ip| nic.fixed.contains(&ip)));
        let here = wanted::compute_service(&cloud, host);
        let mut bridges = here.instances.iter().flat_map(|instance| &instance.nics).map(|nic| &nic.bridge);
        let bridge_of_others =
            bridges.find(|bridge| **bridge != nic.bridge).map(|bridge| bridge.name.clone());
        let runs = !taps.is_empty() && lab.shape.guest == GuestKind::Netns;
        Ok(Scene {
            tap: if taps.is_empty() { String::new() } else { taps.swap_remove(0) },
            bridge_of_others,
            served: served.ok_or_else(no_nic)?,
            floating: floating.map(|floating| floating.address),
            inside: if runs { Some(namespace::open(lab, WEB1)?) } else { None },
            compute: open_host(lab, host)?,
            server: open_host(lab, &server_name)?,
            rig: Rig::open(lab)?,
            web1,
            nic,
        })
    }

    /// web1's first fixed address.
    pub(crate) fn fixed(&self) -> Ipv4Addr {
        self.nic.fixed.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Every rule on web1's hosts as nova would have them, and no others.
    pub(crate) fn rewrite_rules(&self, lab: &Lab) -> Result<(), LabError> {
        manager::rewrite_rules(lab, &self.server.host, &self.server.ns)?;
        if self.compute.host == self.server.host {
            return Ok(());
        }
        manager::rewrite_rules(lab, &self.compute.host, &self.compute.ns)
    }
}

fn open_host(lab: &Lab, name: &str) -> Result<HostNamespace, LabError> {
    let known = |hosts: &[Host]| hosts.iter().map(|host| host.name.clone()).collect::<Vec<_>>().join(", ");
    let hosts = lab.shape.hosts();
    let found = hosts.iter().find(|host| host.name == name).cloned();
    let host = found.ok_or_else(|| LabError::UnknownHost { name: name.to_owned(), known: known(&hosts) })?;
    Ok(HostNamespace { ns: namespace::open(lab, name)?, host })
}
