//! # sg-missing-ssh
//!
//! The instance's security groups do not let ssh in. That is policy, not breakage.
//!
//! ## What it means
//! No rule of the instance's chain accepts tcp/22 from the outside, so the SYN falls to nova's fallback and is dropped,
//! as it should be by those groups. Ping may work; ssh times out rather than being refused.
//!
//! ## How hopline knows
//! ssh is complained of (`--symptom ssh`), and the walk of a SYN from outside to port 22 ended at
//! `nova-compute-sg-fallback`, coming from this instance's chain; the database, where there is one, tells whether a
//! group means ssh to be let in. Nobody who does not complain of ssh is told: many instances let none in.
//!
//! ## What it looks like
//! The counter of `-A nova-compute-sg-fallback -j DROP` rises with each SYN, which is seen on the uplink and not on the
//! tap.
//!
//! ## Nearest look-alikes
//! * `sg-missing-icmp`: ping dies in the same way.
//! * `ssh-slow-reverse-dns`: ssh connects, and the prompt comes late.
//! * a service that is down in the instance: it is refused at once.
//!
//! ## Fix
//! If ssh is wanted: `nova secgroup-add-rule GROUP tcp 22 22 0.0.0.0/0`. Undo: `nova secgroup-delete-rule` with the
//! same arguments.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `virt/firewall.py`.

use crate::found::Found;
use crate::ladder::{Purpose, SSH_PORT};
use crate::nova::line::{Line, TCP, Then, always};
use crate::sg_missing::{self, Wanted};
use crate::view::View;

/// Looks for SYNs to port 22 that ended at nova's fallback: one finding an instance.
pub fn check(view: &View) -> Vec<Found> {
    let wanted = Wanted {
        code: "sg-missing-ssh",
        what: "ssh",
        protocol: "tcp/22",
        number: TCP,
        port: Some(SSH_PORT),
        words: "tcp 22 22 0.0.0.0/0",
        line: Line { protocol: Some(TCP), ports: Some((SSH_PORT, SSH_PORT)), ..always(Then::Accept) },
    };
    sg_missing::found(view, &wanted, |stopped| matches!(stopped.rung.purpose, Purpose::Ssh(_)))
}

#[cfg(test)]
mod tests {
    use crate::Symptom;
    use crate::fixture::{Cloud, codes, healthy};

    fn without_ssh() -> Cloud {
        let mut cloud = healthy();
        let chain = &mut cloud.chain("compute1", "filter", "nova-compute-inst-1").rules;
        chain.retain(|rule| !rule.text.contains("--dport 22 "));
        for group in cloud.intent.instances.iter_mut().flat_map(|i| &mut i.security_groups) {
            group.rules.retain(|rule| rule.from_port != Some(22));
        }
        cloud
    }

    #[test]
    fn fires_where_ssh_is_complained_of() {
        let found = without_ssh().diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&found), ["sg-missing-ssh compute1//eth0"]);
        let remedy = &found.findings[0].remedy[0].command;
        assert_eq!(remedy, "nova secgroup-add-rule default tcp 22 22 0.0.0.0/0");
    }

    #[test]
    fn blames_the_chain_where_a_group_means_it() {
        let mut cloud = without_ssh();
        cloud.intent = healthy().intent;
        let found = cloud.diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&found), ["sg-missing-ssh compute1//eth0"]);
        assert_eq!(found.findings[0].remedy[0].command, "systemctl restart nova-compute");
    }

    #[test]
    fn stays_silent_where_nobody_complains_of_ssh_or_it_is_let_in() {
        assert_eq!(codes(&without_ssh().diagnose("web1")), [""; 0]);
        assert_eq!(codes(&healthy().diagnose_for("web1", Symptom::Ssh)), [""; 0]);
    }

    #[test]
    fn an_instance_without_a_server_for_ssh_is_another_matter() {
        let mut cloud = healthy();
        cloud.netns("web1").sockets.retain(|socket| socket.port != 22);
        assert_eq!(codes(&cloud.diagnose_for("web1", Symptom::Ssh)), ["lost-at-hop web1//eth0"]);
    }
}
