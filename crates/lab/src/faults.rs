//! Every fault that can be injected: one file each, and the one list.
//!
//! A fault acts on web1. `heal` makes the parts healthy that `inject` may have touched, whatever state
//! they are in, so that a fault half injected is healed like a whole one.

use crate::error::LabError;
use crate::kernel;
use crate::place::Lab;
use crate::scene::Scene;
use crate::shape::{GuestKind, Manager, Shape};

mod antispoof_mac;
mod arp_ignore;
mod blackhole_route;
mod bond_half_dead;
mod br_netfilter_docker_drop;
mod bridge_down;
mod bridge_mac_change_unnat;
mod bridge_mac_flap;
mod conntrack_full;
mod conntrack_stale_dnat;
mod db_host_mismatch;
mod default_route_missing;
mod default_route_wrong_gw;
mod dhcp_bad_udp_checksum;
mod dhcp_nak;
mod dhcp_not_asked;
mod dhcp_not_authoritative;
mod dhcp_offer_refused;
mod dhcp_offer_wrong;
mod dhcp_reply_lost;
mod dnat_wrong_fixed_ip;
mod dns_answer_wrong;
mod dns_lookup_fails;
mod dns_name_withheld;
mod dns_port53_blocked;
mod dns_upstream_dead;
mod dns_upstream_wrong;
mod dnsmasq_hosts_not_reloaded;
mod dnsmasq_hung;
mod dnsmasq_lease_max;
mod dnsmasq_not_running;
mod dnsmasq_pool_exhausted;
mod dnsmasq_stale_hosts_file;
mod dnsmasq_twice;
mod dnsmasq_wrong_interface;
mod dnsmasq_wrong_subnet;
mod dropped_by_unmodelled;
mod duplicate_ip_foreign;
mod duplicate_mac;
mod ebtables_drop;
mod ext_gateway_down;
mod ext_gateway_not_forwarding;
mod ext_no_return_route;
mod ext_server_down;
mod fdb_static_stale;
mod fixed_ip_leaked;
mod flatif_down;
mod flatif_mtu_small;
mod flatif_not_enslaved;
mod float_address_missing;
mod float_dnat_missing;
mod float_host_mismatch;
mod float_on_two_hosts;
mod float_snat_missing;
mod float_tied_to_deleted_instance;
mod flood_off_unknown_unicast;
mod foreign_rule_bends;
mod foreign_rule_drop;
mod forward_policy_drop_no_accept;
mod gateway_address_missing;
mod guest_arp_poisoned;
mod guest_driver_absent;
mod guest_firewall;
mod guest_nic_down;
mod guest_no_default_route;
mod guest_paused_tap_full;
mod guest_powered_off;
mod guest_resolv_conf_wrong;
mod guest_wrong_gateway;
mod guest_wrong_ip;
mod hairpin_ipv6_dad;
mod hairpin_off;
mod host_neigh_wrong;
mod host_subnet_overlap;
mod input_blocks_dhcp;
mod ip_forward_0;
mod iptables_legacy_hidden;
mod l2_loop;
mod libvirt_dnsmasq_steals_port;
mod link_queue_drops;
mod metadata_dnat_missing;
mod metadata_service_down;
mod metadata_service_fails;
mod metadata_zeroconf_route;
mod mtu_tap_small;
mod neigh_table_overflow;
mod nft_other_priority;
mod nova_rules_drift;
mod pmtu_blackhole;
mod policy_route_wrong;
mod port_isolated;
mod random_loss;
mod rogue_dhcp;
mod rp_filter_asymmetric;
mod rule_order_wrong;
mod rules_flushed;
mod sg_missing_icmp;
mod sg_missing_ssh;
mod snat_missing;
mod snat_wrong_address;
mod ssh_slow_reverse_dns;
mod stale_arp_after_float_move;
mod stp_forward_delay;
mod tap_down;
mod tap_missing;
mod tap_not_enslaved;
mod tap_tx_queue_drops;
mod tap_wrong_bridge;
mod tc_bpf_drop;
mod uplink_down;
mod uplink_no_carrier;
mod vlan_device_down;
mod vlan_device_missing;
mod vlan_double_tag_or_mtu;
mod vlan_tag_wrong;
mod vxlan_missing_fdb;
mod vxlan_mtu_1500_inside;
mod vxlan_udp_blocked;
mod vxlan_wrong_vni;
mod xdp_drop;

/// A fault that can be injected and healed.
#[derive(Debug)]
pub struct Fault {
    /// Its name, the same as in the catalogue of findings.
    pub code: &'static str,
    /// What is wrong while it is in.
    pub summary: &'static str,
    pub(crate) inject: fn(&Lab, &mut Scene) -> Result<(), LabError>,
    pub(crate) heal: fn(&Lab, &mut Scene) -> Result<(), LabError>,
}

/// Those that every lab can have first.
const ALL: [Fault; OF_ALL + OF_VLANS + OF_MACHINES + OF_KERNELS + OF_PEERS] = [
    uplink_down::FAULT,
    uplink_no_carrier::FAULT,
    flatif_down::FAULT,
    flatif_not_enslaved::FAULT,
    flatif_mtu_small::FAULT,
    bridge_down::FAULT,
    tap_down::FAULT,
    tap_missing::FAULT,
    tap_not_enslaved::FAULT,
    tap_wrong_bridge::FAULT,
    duplicate_ip_foreign::FAULT,
    mtu_tap_small::FAULT,
    guest_nic_down::FAULT,
    ip_forward_0::FAULT,
    default_route_missing::FAULT,
    default_route_wrong_gw::FAULT,
    rp_filter_asymmetric::FAULT,
    forward_policy_drop_no_accept::FAULT,
    sg_missing_icmp::FAULT,
    sg_missing_ssh::FAULT,
    float_dnat_missing::FAULT,
    float_snat_missing::FAULT,
    float_address_missing::FAULT,
    rules_flushed::FAULT,
    dnsmasq_not_running::FAULT,
    dnsmasq_pool_exhausted::FAULT,
    dnsmasq_hosts_not_reloaded::FAULT,
    dnsmasq_stale_hosts_file::FAULT,
    dnsmasq_hung::FAULT,
    dnsmasq_wrong_interface::FAULT,
    dnsmasq_wrong_subnet::FAULT,
    dnsmasq_lease_max::FAULT,
    libvirt_dnsmasq_steals_port::FAULT,
    input_blocks_dhcp::FAULT,
    dhcp_reply_lost::FAULT,
    stp_forward_delay::FAULT,
    dhcp_bad_udp_checksum::FAULT,
    dhcp_offer_wrong::FAULT,
    rogue_dhcp::FAULT,
    ext_gateway_down::FAULT,
    pmtu_blackhole::FAULT,
    foreign_rule_drop::FAULT,
    foreign_rule_bends::FAULT,
    antispoof_mac::FAULT,
    ebtables_drop::FAULT,
    nft_other_priority::FAULT,
    iptables_legacy_hidden::FAULT,
    rule_order_wrong::FAULT,
    snat_missing::FAULT,
    snat_wrong_address::FAULT,
    dnat_wrong_fixed_ip::FAULT,
    br_netfilter_docker_drop::FAULT,
    conntrack_stale_dnat::FAULT,
    conntrack_full::FAULT,
    nova_rules_drift::FAULT,
    metadata_dnat_missing::FAULT,
    metadata_service_down::FAULT,
    metadata_zeroconf_route::FAULT,
    guest_resolv_conf_wrong::FAULT,
    dns_port53_blocked::FAULT,
    dns_upstream_wrong::FAULT,
    dns_upstream_dead::FAULT,
    dns_lookup_fails::FAULT,
    ssh_slow_reverse_dns::FAULT,
    blackhole_route::FAULT,
    policy_route_wrong::FAULT,
    host_subnet_overlap::FAULT,
    arp_ignore::FAULT,
    hairpin_off::FAULT,
    port_isolated::FAULT,
    fdb_static_stale::FAULT,
    flood_off_unknown_unicast::FAULT,
    duplicate_mac::FAULT,
    guest_wrong_ip::FAULT,
    guest_no_default_route::FAULT,
    guest_wrong_gateway::FAULT,
    guest_arp_poisoned::FAULT,
    guest_firewall::FAULT,
    ext_gateway_not_forwarding::FAULT,
    ext_no_return_route::FAULT,
    ext_server_down::FAULT,
    stale_arp_after_float_move::FAULT,
    bridge_mac_flap::FAULT,
    xdp_drop::FAULT,
    guest_powered_off::FAULT,
    float_tied_to_deleted_instance::FAULT,
    fixed_ip_leaked::FAULT,
    float_host_mismatch::FAULT,
    db_host_mismatch::FAULT,
    dropped_by_unmodelled::FAULT,
    tc_bpf_drop::FAULT,
    tap_tx_queue_drops::FAULT,
    link_queue_drops::FAULT,
    random_loss::FAULT,
    bridge_mac_change_unnat::FAULT,
    dhcp_not_authoritative::FAULT,
    l2_loop::FAULT,
    hairpin_ipv6_dad::FAULT,
    dhcp_offer_refused::FAULT,
    dhcp_nak::FAULT,
    dnsmasq_twice::FAULT,
    dhcp_not_asked::FAULT,
    dns_answer_wrong::FAULT,
    dns_name_withheld::FAULT,
    metadata_service_fails::FAULT,
    host_neigh_wrong::FAULT,
    gateway_address_missing::FAULT,
    vlan_device_missing::FAULT,
    vlan_device_down::FAULT,
    vlan_tag_wrong::FAULT,
    vlan_double_tag_or_mtu::FAULT,
    guest_paused_tap_full::FAULT,
    guest_driver_absent::FAULT,
    neigh_table_overflow::FAULT,
    bond_half_dead::FAULT,
    vxlan_missing_fdb::FAULT,
    vxlan_wrong_vni::FAULT,
    vxlan_udp_blocked::FAULT,
    vxlan_mtu_1500_inside::FAULT,
    float_on_two_hosts::FAULT,
];

const OF_ALL: usize = 107;
const OF_VLANS: usize = 4;
/// Those of instances that are virtual machines.
const OF_MACHINES: usize = 2;
/// Those of what all namespaces of a kernel share, or that leave their mark on its first one.
const OF_KERNELS: usize = 2;
/// Those that take two hosts: an overlay in the flat link's place, and an address on both.
const OF_PEERS: usize = 5;

/// Every fault.
pub fn faults() -> &'static [Fault] {
    const { &ALL }
}

/// Every fault, by what a lab needs to have it: nothing, VLANs, machines, a kernel of its own, other
/// hosts on one flat network.
fn by_need() -> [&'static [Fault]; 5] {
    let (of_all, rest) = faults().split_at(OF_ALL);
    let (of_vlans, rest) = rest.split_at(OF_VLANS);
    let (of_machines, rest) = rest.split_at(OF_MACHINES);
    let (of_kernels, of_peers) = rest.split_at(OF_KERNELS);
    [of_all, of_vlans, of_machines, of_kernels, of_peers]
}

/// Those that a lab of this shape can have here.
pub fn faults_of(shape: &Shape) -> impl Iterator<Item = &'static Fault> {
    let [of_all, of_vlans, of_machines, of_kernels, of_peers] = by_need();
    let vlans = of_vlans.iter().filter(|_| shape.manager == Manager::Vlan);
    let machines = of_machines.iter().filter(|_| shape.guest == GuestKind::Qemu);
    let kernels = of_kernels.iter().filter(|_| kernel::is_ours_alone());
    let is_joined = shape.manager == Manager::FlatDhcp && shape.guest == GuestKind::Netns;
    let peers = of_peers.iter().filter(move |_| is_joined && shape.multi_host && shape.hosts > 1);
    of_all.iter().chain(vlans).chain(machines).chain(kernels).chain(peers)
}

/// Why a lab of another shape cannot have it.
pub(crate) fn refusal(fault: &Fault) -> LabError {
    let Fault { code, .. } = *fault;
    let [_, _, of_machines, of_kernels, of_peers] = by_need();
    let is_of = |list: &[Fault]| list.iter().any(|listed| listed.code == code);
    if is_of(of_machines) {
        return LabError::NoMachineToBreak { code };
    }
    if is_of(of_kernels) {
        return LabError::KernelOfOthers { code };
    }
    if is_of(of_peers) {
        return LabError::NoHostsToJoin { code };
    }
    LabError::NoVlanToBreak { code }
}

/// The fault of this code.
pub(crate) fn find(code: &str) -> Result<&'static Fault, LabError> {
    let known = faults().iter().find(|fault| fault.code == code);
    known.ok_or_else(|| LabError::UnknownFault { code: code.to_owned(), nearest: nearest(code) })
}

/// The code that was probably meant: it shares the longest beginning, or contains what was typed.
fn nearest(typed: &str) -> Option<String> {
    let shared = |code: &str| code.bytes().zip(typed.bytes()).take_while(|(a, b)| a == b).count();
    let containing = faults().iter().find(|fault| typed.len() >= 3 && fault.code.contains(typed));
    let similar = faults().iter().max_by_key(|fault| shared(fault.code));
    containing.or(similar.filter(|fault| shared(fault.code) >= 3)).map(|fault| fault.code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        let mut codes: Vec<_> = faults().iter().map(|fault| fault.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), faults().len());
        assert!(
            codes
                .iter()
                .all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        );
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_code() {
        assert_eq!(nearest("uplink-dwn").as_deref(), Some("uplink-down"));
        assert_eq!(nearest("missing-icmp").as_deref(), Some("sg-missing-icmp"));
        assert_eq!(nearest("xyz"), None);
    }
}
