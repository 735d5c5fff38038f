//! Every finding, one file each. The list below is the only registry.
//!
//! A check is knowledge: its file's doc comment is its page (what it means, how hopline knows, what
//! it looks like, nearest look-alikes, fix, references), and below it one pure function.

use crate::found::Found;
use crate::view::View;

/// One entry of the catalogue.
pub struct Check {
    /// Kebab-case, stable for ever.
    pub code: &'static str,
    /// The file's text; its leading doc comment is the page.
    source: &'static str,
    /// Looks for the fault.
    pub(crate) run: fn(&View) -> Vec<Found>,
}

/// Inside the instance: addresses, routes, neighbours, its own firewall.
pub mod guest {
    pub mod guest_arp_poisoned;
    pub mod guest_driver_absent;
    pub mod guest_firewall;
    pub mod guest_no_default_route;
    pub mod guest_paused_tap_full;
    pub mod guest_powered_off;
    pub mod guest_wrong_gateway;
    pub mod guest_wrong_ip;
}

/// Links, bridges, taps.
pub mod links {
    pub mod bond_half_dead;
    pub mod bridge_down;
    pub mod bridge_mac_flap;
    pub mod duplicate_ip_foreign;
    pub mod duplicate_mac;
    pub mod fdb_static_stale;
    pub mod flatif_down;
    pub mod flatif_mtu_small;
    pub mod flatif_not_enslaved;
    pub mod flood_off_unknown_unicast;
    pub mod guest_nic_down;
    pub mod hairpin_ipv6_dad;
    pub mod hairpin_off;
    pub mod l2_loop;
    pub mod link_queue_drops;
    pub mod mtu_tap_small;
    pub mod port_isolated;
    pub mod random_loss;
    pub mod stp_forward_delay;
    pub mod tap_down;
    pub mod tap_missing;
    pub mod tap_not_enslaved;
    pub mod tap_tx_queue_drops;
    pub mod tap_wrong_bridge;
    pub mod tc_bpf_drop;
    pub mod uplink_down;
    pub mod uplink_no_carrier;
    pub mod vlan_device_down;
    pub mod vlan_device_missing;
    pub mod vlan_double_tag_or_mtu;
    pub mod vlan_tag_wrong;
    pub mod vxlan_missing_fdb;
    pub mod vxlan_mtu_1500_inside;
    pub mod vxlan_udp_blocked;
    pub mod vxlan_wrong_vni;
    pub mod xdp_drop;
}

/// Routes, forwarding, reverse path.
pub mod routing {
    pub mod arp_ignore;
    pub mod blackhole_route;
    pub mod default_route_missing;
    pub mod default_route_wrong_gw;
    pub mod fixed_ip_led_astray;
    pub mod gateway_address_missing;
    pub mod host_neigh_wrong;
    pub mod host_subnet_overlap;
    pub mod ip_forward_0;
    pub mod neigh_table_overflow;
    pub mod policy_route_wrong;
    pub mod rp_filter_asymmetric;
}

/// Netfilter: filters, NAT, floating addresses.
pub mod firewall {
    pub mod antispoof_mac;
    pub mod br_netfilter_docker_drop;
    pub mod bridge_mac_change_unnat;
    pub mod conntrack_full;
    pub mod conntrack_stale_dnat;
    pub mod dnat_wrong_fixed_ip;
    pub mod ebtables_drop;
    pub mod float_address_missing;
    pub mod float_dnat_missing;
    pub mod float_on_two_hosts;
    pub mod float_snat_missing;
    pub mod foreign_rule_bends;
    pub mod foreign_rule_drop;
    pub mod forward_policy_drop_no_accept;
    pub mod iptables_legacy_hidden;
    pub mod nft_other_priority;
    pub mod nova_rules_drift;
    pub mod rule_order_wrong;
    pub mod rules_flushed;
    pub mod sg_missing_icmp;
    pub mod sg_missing_ssh;
    pub mod snat_missing;
    pub mod snat_wrong_address;
}

/// Addresses: dnsmasq.
pub mod dhcp {
    pub mod dhcp_bad_udp_checksum;
    pub mod dhcp_nak;
    pub mod dhcp_not_asked;
    pub mod dhcp_not_authoritative;
    pub mod dhcp_offer_refused;
    pub mod dhcp_offer_wrong;
    pub mod dhcp_reply_lost;
    pub mod dnsmasq_hosts_not_reloaded;
    pub mod dnsmasq_hung;
    pub mod dnsmasq_lease_max;
    pub mod dnsmasq_not_running;
    pub mod dnsmasq_pool_exhausted;
    pub mod dnsmasq_stale_hosts_file;
    pub mod dnsmasq_twice;
    pub mod dnsmasq_wrong_interface;
    pub mod dnsmasq_wrong_subnet;
    pub mod input_blocks_dhcp;
    pub mod libvirt_dnsmasq_steals_port;
    pub mod rogue_dhcp;
}

/// Names: whom an instance asks, and whom that one asks.
pub mod dns {
    pub mod dns_answer_wrong;
    pub mod dns_lookup_fails;
    pub mod dns_name_withheld;
    pub mod dns_port53_blocked;
    pub mod dns_upstream_dead;
    pub mod dns_upstream_wrong;
    pub mod guest_resolv_conf_wrong;
    pub mod ssh_slow_reverse_dns;
}

/// Metadata: 169.254.169.254.
pub mod metadata {
    pub mod metadata_dnat_missing;
    pub mod metadata_service_down;
    pub mod metadata_service_fails;
    pub mod metadata_zeroconf_route;
}

/// Beyond the hosts.
pub mod external {
    pub mod ext_gateway_down;
    pub mod ext_gateway_not_forwarding;
    pub mod ext_no_return_route;
    pub mod ext_server_down;
    pub mod pmtu_blackhole;
    pub mod stale_arp_after_float_move;
}

/// What the cloud's database records, and nobody has.
pub mod database {
    pub mod db_host_mismatch;
    pub mod fixed_ip_leaked;
    pub mod fixed_ip_none_left;
    pub mod fixed_ip_without_vif;
    pub mod float_host_mismatch;
    pub mod float_tied_to_deleted_instance;
    pub mod instance_without_address;
}

/// The last resort.
pub mod general {
    pub mod dropped_by_unmodelled;
    pub mod lost_at_hop;
}

/// The list, from `module => code` by folder.
macro_rules! catalogue {
    ($($area:ident { $($module:ident => $code:literal),* $(,)? })*) => {
        /// Every check, in the order in which a packet leaving an instance meets what they look at.
        pub const CATALOGUE: &[Check] = &[
            $($(
                Check {
                    code: $code,
                    source: include_str!(
                        concat!("catalogue/", stringify!($area), "/", stringify!($module), ".rs")
                    ),
                    run: $area::$module::check,
                },
            )*)*
        ];
    };
}

catalogue! {
    guest {
        guest_powered_off => "guest-powered-off",
        guest_paused_tap_full => "guest-paused-tap-full",
        guest_driver_absent => "guest-driver-absent",
        guest_no_default_route => "guest-no-default-route",
        guest_wrong_gateway => "guest-wrong-gateway",
        guest_arp_poisoned => "guest-arp-poisoned",
        guest_firewall => "guest-firewall",
        guest_wrong_ip => "guest-wrong-ip",
    }
    links {
        fdb_static_stale => "fdb-static-stale",
        duplicate_mac => "duplicate-mac",
        guest_nic_down => "guest-nic-down",
        tap_missing => "tap-missing",
        tap_down => "tap-down",
        tap_not_enslaved => "tap-not-enslaved",
        tap_wrong_bridge => "tap-wrong-bridge",
        mtu_tap_small => "mtu-tap-small",
        tap_tx_queue_drops => "tap-tx-queue-drops",
        stp_forward_delay => "stp-forward-delay",
        port_isolated => "port-isolated",
        flood_off_unknown_unicast => "flood-off-unknown-unicast",
        hairpin_off => "hairpin-off",
        hairpin_ipv6_dad => "hairpin-ipv6-dad",
        duplicate_ip_foreign => "duplicate-ip-foreign",
        bridge_down => "bridge-down",
        l2_loop => "l2-loop",
        bridge_mac_flap => "bridge-mac-flap",
        vlan_device_missing => "vlan-device-missing",
        vlan_device_down => "vlan-device-down",
        vlan_tag_wrong => "vlan-tag-wrong",
        vlan_double_tag_or_mtu => "vlan-double-tag-or-mtu",
        vxlan_missing_fdb => "vxlan-missing-fdb",
        vxlan_wrong_vni => "vxlan-wrong-vni",
        vxlan_udp_blocked => "vxlan-udp-blocked",
        vxlan_mtu_1500_inside => "vxlan-mtu-1500-inside",
        flatif_down => "flatif-down",
        flatif_not_enslaved => "flatif-not-enslaved",
        flatif_mtu_small => "flatif-mtu-small",
        bond_half_dead => "bond-half-dead",
        uplink_down => "uplink-down",
        uplink_no_carrier => "uplink-no-carrier",
        xdp_drop => "xdp-drop",
        tc_bpf_drop => "tc-bpf-drop",
        link_queue_drops => "link-queue-drops",
        random_loss => "random-loss",
    }
    routing {
        arp_ignore => "arp-ignore",
        neigh_table_overflow => "neigh-table-overflow",
        fixed_ip_led_astray => "fixed-ip-led-astray",
        gateway_address_missing => "gateway-address-missing",
        host_neigh_wrong => "host-neigh-wrong",
        ip_forward_0 => "ip-forward-0",
        default_route_missing => "default-route-missing",
        default_route_wrong_gw => "default-route-wrong-gw",
        blackhole_route => "blackhole-route",
        policy_route_wrong => "policy-route-wrong",
        host_subnet_overlap => "host-subnet-overlap",
        rp_filter_asymmetric => "rp-filter-asymmetric",
    }
    firewall {
        conntrack_full => "conntrack-full",
        antispoof_mac => "antispoof-mac",
        ebtables_drop => "ebtables-drop",
        rule_order_wrong => "rule-order-wrong",
        nft_other_priority => "nft-other-priority",
        iptables_legacy_hidden => "iptables-legacy-hidden",
        foreign_rule_drop => "foreign-rule-drop",
        foreign_rule_bends => "foreign-rule-bends",
        forward_policy_drop_no_accept => "forward-policy-drop-no-accept",
        br_netfilter_docker_drop => "br-netfilter-docker-drop",
        sg_missing_icmp => "sg-missing-icmp",
        sg_missing_ssh => "sg-missing-ssh",
        rules_flushed => "rules-flushed",
        snat_missing => "snat-missing",
        snat_wrong_address => "snat-wrong-address",
        dnat_wrong_fixed_ip => "dnat-wrong-fixed-ip",
        float_dnat_missing => "float-dnat-missing",
        float_snat_missing => "float-snat-missing",
        conntrack_stale_dnat => "conntrack-stale-dnat",
        bridge_mac_change_unnat => "bridge-mac-change-unnat",
        float_on_two_hosts => "float-on-two-hosts",
        float_address_missing => "float-address-missing",
        nova_rules_drift => "nova-rules-drift",
    }
    dhcp {
        dnsmasq_wrong_interface => "dnsmasq-wrong-interface",
        libvirt_dnsmasq_steals_port => "libvirt-dnsmasq-steals-port",
        input_blocks_dhcp => "input-blocks-dhcp",
        dnsmasq_not_running => "dnsmasq-not-running",
        dnsmasq_hung => "dnsmasq-hung",
        dnsmasq_wrong_subnet => "dnsmasq-wrong-subnet",
        dnsmasq_pool_exhausted => "dnsmasq-pool-exhausted",
        dnsmasq_stale_hosts_file => "dnsmasq-stale-hosts-file",
        dnsmasq_hosts_not_reloaded => "dnsmasq-hosts-not-reloaded",
        dnsmasq_lease_max => "dnsmasq-lease-max",
        dhcp_not_asked => "dhcp-not-asked",
        dhcp_nak => "dhcp-nak",
        dhcp_not_authoritative => "dhcp-not-authoritative",
        dhcp_reply_lost => "dhcp-reply-lost",
        dhcp_bad_udp_checksum => "dhcp-bad-udp-checksum",
        dhcp_offer_wrong => "dhcp-offer-wrong",
        dhcp_offer_refused => "dhcp-offer-refused",
        dnsmasq_twice => "dnsmasq-twice",
        rogue_dhcp => "rogue-dhcp",
    }
    dns {
        guest_resolv_conf_wrong => "guest-resolv-conf-wrong",
        dns_port53_blocked => "dns-port53-blocked",
        dns_upstream_wrong => "dns-upstream-wrong",
        dns_upstream_dead => "dns-upstream-dead",
        dns_lookup_fails => "dns-lookup-fails",
        dns_answer_wrong => "dns-answer-wrong",
        dns_name_withheld => "dns-name-withheld",
        ssh_slow_reverse_dns => "ssh-slow-reverse-dns",
    }
    metadata {
        metadata_zeroconf_route => "metadata-zeroconf-route",
        metadata_dnat_missing => "metadata-dnat-missing",
        metadata_service_down => "metadata-service-down",
        metadata_service_fails => "metadata-service-fails",
    }
    external {
        ext_gateway_down => "ext-gateway-down",
        ext_gateway_not_forwarding => "ext-gateway-not-forwarding",
        ext_no_return_route => "ext-no-return-route",
        ext_server_down => "ext-server-down",
        stale_arp_after_float_move => "stale-arp-after-float-move",
        pmtu_blackhole => "pmtu-blackhole",
    }
    database {
        float_tied_to_deleted_instance => "float-tied-to-deleted-instance",
        float_host_mismatch => "float-host-mismatch",
        fixed_ip_leaked => "fixed-ip-leaked",
        fixed_ip_none_left => "fixed-ip-none-left",
        fixed_ip_without_vif => "fixed-ip-without-vif",
        instance_without_address => "instance-without-address",
        db_host_mismatch => "db-host-mismatch",
    }
    general {
        dropped_by_unmodelled => "dropped-by-unmodelled",
        lost_at_hop => "lost-at-hop",
    }
}

impl Check {
    /// The page: the file's leading doc comment, as Markdown.
    pub fn page(&self) -> String {
        let lines = self.source.lines().map_while(|l| l.strip_prefix("//!"));
        let mut page = String::new();
        for line in lines {
            page.push_str(line.strip_prefix(' ').unwrap_or(line));
            page.push('\n');
        }
        page
    }

    /// The page's first sentence, without its heading.
    pub fn summary(&self) -> String {
        let page = self.page();
        let mut lines = page.lines().skip_while(|l| l.starts_with('#') || l.is_empty());
        lines.next().unwrap_or_default().to_owned()
    }
}

/// The page of a code.
pub fn explain(code: &str) -> Option<String> {
    CATALOGUE.iter().find(|c| c.code == code).map(Check::page)
}
