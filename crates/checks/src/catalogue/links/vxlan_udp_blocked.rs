//! # vxlan-udp-blocked
//!
//! A rule of a host drops the packets that carry an overlay.
//!
//! ## What it means
//! Whatever instances of different hosts send each other travels inside UDP packets from host to host, usually to port
//! 4789. A rule that does not know of them cuts the hosts off from each other; each host's own instances reach each
//! other, and the hosts themselves, too.
//!
//! ## How hopline knows
//! By a walk that such a rule ends, while the frame is still inside its packet.
//!
//! ## What it looks like
//! `tcpdump -i eth0 udp port 4789` shows packets come in, and `tcpdump -i vxlan100` shows nothing. The rule's counter
//! rises.
//!
//! ## Nearest look-alikes
//! * `vxlan-wrong-vni`: no rule counts, and the VNI that comes in is not the device's.
//! * `foreign-rule-drop`: the rule drops what the instances send itself.
//!
//! ## Fix
//! Delete the rule, or accept the port above it: `iptables -I INPUT -p udp --dport 4789 -j ACCEPT`. Undo: put it back.
//!
//! ## References
//! RFC 7348, 5 (UDP port 4789); iptables(8); `vxlan_rcv`, drivers/net/vxlan/vxlan_core.c.

use crate::foreign_rules::{self, Guise};
use crate::found::Found;
use crate::view::View;

/// Looks for rules that drop an overlay's packets.
pub fn check(view: &View) -> Vec<Found> {
    foreign_rules::found(view, Guise::OnOverlay)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks, overlay_cloud};

    #[test]
    fn fires_at_the_far_hosts_uplink_whoever_asks() {
        let cloud = broken("vxlan-udp-blocked");
        for instance in ["web1", "db1"] {
            let found = codes(&cloud.diagnose(instance));
            assert_eq!(found, ["vxlan-udp-blocked compute2//eth0"], "{instance}");
        }
    }

    #[test]
    fn stays_silent_on_another_port() {
        let mut cloud = overlay_cloud();
        crate::fixture::block_udp(&mut cloud, "compute2", 8472);
        assert!(lacks(&cloud.diagnose("web1"), "vxlan-udp-blocked"));
    }

    #[test]
    fn stays_silent_on_a_rule_that_drops_what_instances_send() {
        assert!(lacks(&broken("foreign-rule-drop").diagnose("web1"), "vxlan-udp-blocked"));
    }
}
