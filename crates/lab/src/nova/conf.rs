//! nova.conf, with the options that make this cloud what it is (nova.conf(5), Queens).

use crate::layout::{BRIDGE, DHCP_DOMAIN, EXTERNAL, FLAT_LINK, HOST_PUBLIC, METADATA_PORT, UPLINK};
use crate::place::Lab;

/// `dhcp_lease_time`, in seconds.
pub(crate) const LEASE_SECONDS: u64 = 86400;

/// The file's text.
pub(crate) fn text(lab: &Lab) -> String {
    let state = lab.state.display();
    let (host, dns) = (HOST_PUBLIC.addr(), EXTERNAL.addr());
    format!(
        "[DEFAULT]
state_path = {state}
instances_path = $state_path/instances
networks_path = $state_path/networks
logdir = $state_path/log
use_neutron = False
my_ip = {host}
network_manager = nova.network.manager.FlatDHCPManager
multi_host = True
flat_network_bridge = {BRIDGE}
flat_interface = {FLAT_LINK}
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
connection = sqlite:///{database}

[libvirt]
virt_type = qemu
",
        database = lab.database().display(),
    )
}
