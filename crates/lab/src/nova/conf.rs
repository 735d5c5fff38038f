//! nova.conf, with the options that make this cloud what it is (nova.conf(5), Queens).

use crate::layout::{BRIDGE, DHCP_DOMAIN, EXTERNAL, FLAT_LINK, Host, METADATA_PORT, UPLINK, VLAN_START};
use crate::place::Lab;
use crate::shape::Manager;

/// `dhcp_lease_time`, in seconds.
pub(crate) const LEASE_SECONDS: u64 = 86400;

/// The file's text on a host.
pub(crate) fn text(lab: &Lab, host: &Host) -> String {
    let state = lab.state.join(&host.name);
    let (state, address, dns) = (state.display(), host.public().addr(), EXTERNAL.addr());
    let shape = &lab.shape;
    let links = match shape.manager {
        Manager::FlatDhcp => format!("flat_network_bridge = {BRIDGE}\nflat_interface = {FLAT_LINK}"),
        Manager::Vlan => format!("vlan_interface = {FLAT_LINK}\nvlan_start = {VLAN_START}"),
    };
    let multi_host = if shape.multi_host { "True" } else { "False" };
    let share = if shape.share_address { "True" } else { "False" };
    format!(
        "[DEFAULT]
host = {host}
state_path = {state}
instances_path = $state_path/instances
networks_path = $state_path/networks
logdir = $state_path/log
use_neutron = False
my_ip = {address}
network_manager = {manager}
multi_host = {multi_host}
share_dhcp_address = {share}
{links}
public_interface = {UPLINK}
routing_source_ip = $my_ip
metadata_host = $my_ip
metadata_port = {METADATA_PORT}
dhcpbridge = $state_path/bin/nova-dhcpbridge
dhcpbridge_flagfile = $state_path/etc/nova/nova.conf
dhcp_domain = {DHCP_DOMAIN}
dhcp_lease_time = {LEASE_SECONDS}
dns_server = {dns}
force_dhcp_release = True
allow_same_net_traffic = True
firewall_driver = nova.virt.libvirt.firewall.IptablesFirewallDriver
compute_driver = libvirt.LibvirtDriver

[database]
connection = {connection}

[libvirt]
virt_type = qemu
",
        host = host.name,
        manager = shape.manager.class(),
        connection = connection(&lab.url()),
    )
}

/// SQLAlchemy wants three slashes before a path, of which the path's own is one.
fn connection(url: &str) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.starts_with("//") => format!("sqlite:///{path}"),
        _ => url.to_owned(),
    }
}
