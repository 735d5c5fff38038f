//! # sg-missing-icmp
//!
//! The instance's security groups do not let ping in. That is policy, not breakage.
//!
//! ## What it means
//! No rule of the instance's chain accepts ICMP from the outside, so the packet falls to nova's
//! fallback and is dropped, as it should be by those groups. Other protocols may work; the instance's
//! own pings outwards do.
//!
//! ## How hopline knows
//! The walk from outside ended at `nova-compute-sg-fallback`, coming from this instance's chain; the
//! database, where there is one, tells whether a group means ICMP to be let in.
//!
//! ## What it looks like
//! The counter of `-A nova-compute-sg-fallback -j DROP` rises with each ping; the request is seen on
//! the uplink and not on the tap.
//!
//! ## Nearest look-alikes
//! * a firewall inside the instance: the request is seen on the tap.
//! * `foreign-rule-drop`: a rule that nova did not write.
//!
//! ## Fix
//! If ping is wanted: `nova secgroup-add-rule GROUP icmp -1 -1 0.0.0.0/0`. Undo:
//! `nova secgroup-delete-rule` with the same arguments.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `virt/firewall.py`.

use model::path::Exchange;

use crate::found::Found;
use crate::nova::line::{ICMP, Line, Then, always};
use crate::sg_missing::{self, Wanted};
use crate::view::View;

/// Looks for pings that ended at nova's fallback: one finding an instance.
pub fn check(view: &View) -> Vec<Found> {
    let wanted = Wanted {
        code: "sg-missing-icmp",
        what: "ping",
        protocol: "ICMP",
        number: ICMP,
        port: None,
        words: "icmp -1 -1 0.0.0.0/0",
        line: Line { protocol: Some(ICMP), ..always(Then::Accept) },
    };
    sg_missing::found(view, &wanted, |stopped| stopped.exchange == Exchange::Icmp)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, inside_firewall, lacks};

    #[test]
    fn fires_when_no_group_lets_icmp_in() {
        let diagnosis = broken("sg-missing-icmp").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["sg-missing-icmp compute1//eth0"]);
        assert_eq!(
            diagnosis.findings[0].remedy[0].command,
            "nova secgroup-add-rule default icmp -1 -1 0.0.0.0/0"
        );
    }

    #[test]
    fn a_groups_name_is_no_option_and_no_command() {
        let mut cloud = broken("sg-missing-icmp");
        "-a;b".clone_into(&mut cloud.intent.instances[0].security_groups[0].name);
        let remedy = &cloud.diagnose("web1").findings[0].remedy[0];
        assert_eq!(remedy.command, "nova secgroup-add-rule -- '-a;b' icmp -1 -1 0.0.0.0/0");
    }

    #[test]
    fn blames_the_chain_where_the_database_means_icmp_to_be_let_in() {
        let mut cloud = broken("sg-missing-icmp");
        cloud.intent = healthy().intent;
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["sg-missing-icmp compute1//eth0"]);
        assert_eq!(diagnosis.findings[0].remedy[0].command, "systemctl restart nova-compute");
    }

    #[test]
    fn stays_silent_when_the_instances_own_firewall_drops() {
        let mut cloud = healthy();
        inside_firewall(&mut cloud, "web1");
        let diagnosis = cloud.diagnose("web1");
        assert!(lacks(&diagnosis, "sg-missing-icmp"));
        assert_eq!(codes(&diagnosis), ["guest-firewall web1//eth0"]);
    }

    #[test]
    fn stays_silent_on_a_rule_of_somebody_else() {
        assert!(lacks(&broken("foreign-rule-drop").diagnose("web1"), "sg-missing-icmp"));
    }
}
