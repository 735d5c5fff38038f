//! # guest-resolv-conf-wrong
//!
//! The instance asks a server for names that does not answer, and not the one of its network.
//!
//! ## What it means
//! Names do not resolve in this one instance (`bad address`), or late, where another of its servers does
//! answer. Its network's own server is fine. The file was written by hand, baked into the image, or by a DHCP
//! client that was given other servers (option 6).
//!
//! ## How hopline knows
//! The instance can be entered, and its resolv.conf names a server other than its gateway to which the walk
//! of a question on udp/53 finds no answer.
//!
//! ## What it looks like
//! `dig @GATEWAY` in the instance works, `ping NAME` does not; on its tap questions to that address, or ARP
//! for it, repeat. ssh to the instance prompts late (`--symptom ssh`): sshd looks up its client's name by that server.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-not-running`, `dns-port53-blocked`: `dig @GATEWAY` fails too.
//! * `dhcp-offer-wrong`: it is DHCP that names the server (option 6), to every instance of the network.
//! * `dns-upstream-dead`, `dns-upstream-wrong`: all instances of the host fail.
//!
//! ## Fix
//! Name the gateway in the instance's resolv.conf, or renew its lease; where the server came by DHCP, correct
//! option 6. Undo: the old line.
//!
//! ## References
//! resolv.conf(5); ip-netns(8) on /etc/netns/NAME; dnsmasq(8) `--dhcp-option`.

use std::net::IpAddr;

use model::finding::{Confidence, EvidenceKind};
use model::path::{Direction, Exchange, Stage};
use model::service::ResolvConf;

use super::ssh_slow_reverse_dns;
use crate::dns;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{Purpose, Rung, gateway};
use crate::mend::Mend;
use crate::said;
use crate::view::View;

/// Looks for servers of an instance's own that do not answer: one finding an instance.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for rung in view.rungs.iter().filter(|rung| is_in_vain(view, rung)) {
        let new = wrong(view, rung);
        found.extend(new.filter(|new| found.iter().all(|f| f.finding.instances != new.finding.instances)));
    }
    found
}

/// The walk says so, or what was really asked. What DHCP told the instance is DHCP's fault.
fn is_in_vain(view: &View, rung: &Rung) -> bool {
    let Purpose::Inside(server) = rung.purpose else { return false };
    let is_stopped = rung.answer.paths.iter().any(|path| path.stop().is_some());
    let is_offered = dns::offered(view.world, rung.instance).contains(&server);
    !is_offered && (is_stopped || dns::is_nobody(view, rung))
}

fn wrong(view: &View, rung: &Rung) -> Option<Found> {
    let inside = view.world.ns(view.world.inside(rung.instance)?);
    let instance = view.intent().instances.get(rung.instance)?;
    let conf = inside.resolver.as_ref()?;
    let gateway = gateway(view.world, rung.instance)?;
    let nic = instance
        .vifs
        .iter()
        .find_map(|vif| inside.links.iter().find(|l| l.mac.is_some() && l.mac == vif.mac));
    let device = nic.map(|link| link.name.clone()).unwrap_or_default();
    let listed: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
    let listed = if listed.is_empty() { "no nameserver: itself".to_owned() } else { listed.join(", ") };
    let ends = rung.answer.paths.iter().rev().find_map(|path| path.stop()).map(|(hop, _)| hop.detail.clone());
    let mut evidence =
        vec![evidence::record(EvidenceKind::Config, conf.file.clone(), format!("asks {listed}"))];
    evidence.extend(ends.map(|text| evidence::record(EvidenceKind::State, "the walk", text)));
    let stopped = view.stop(|s| std::ptr::eq(s.rung, rung));
    // Where a walk stops, the diagnosis itself adds what was asked.
    evidence.extend(view.silent(rung).filter(|_| stopped.is_none()).map(said::evidence));
    let fault = Fault {
        code: "guest-resolv-conf-wrong",
        hop: at(inside, &device, Stage::Instance),
        summary: format!(
            "{} asks {} for names, which does not answer{}",
            instance.name,
            rung.to,
            prompt_delay(view, rung, conf)
        ),
        cause: format!("its resolv.conf names {}, and not its network's server {gateway}", rung.to),
        confidence: if stopped.is_some() { Confidence::Proven } else { Confidence::Likely },
        evidence,
        owner: "guest",
        remedy: vec![evidence::advice(
            format!("nameserver {gateway}"),
            "the line for the instance's /etc/resolv.conf; a renewal of its lease writes it too, where a DHCP client \
             keeps that file",
        )],
        instances: vec![instance.name.clone()],
        stopped,
        mend: vec![Mend::Resolver { machine: inside.machine.clone(), servers: vec![gateway.into()] }],
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Both))
}

/// Where ssh is complained of: for how long sshd waits in vain for its client's name, by those that stand in the file
/// before the first that answers (resolv.conf(5)).
fn prompt_delay(view: &View, rung: &Rung, conf: &ResolvConf) -> String {
    let own = || view.rungs.iter().filter(|other| other.instance == rung.instance);
    let of_ssh =
        |other: &Rung| matches!(other.purpose, Purpose::Ssh(_) | Purpose::ServedSsh | Purpose::Reverse(_));
    let is_mute = |server: &IpAddr| own().any(|other| other.to == *server && is_in_vain(view, other));
    let before = conf.servers.iter().take_while(|server| is_mute(server)).count();
    let wait = if before < conf.servers.len() {
        conf.timeout_seconds.saturating_mul(u32::try_from(before).unwrap_or(u32::MAX))
    } else {
        ssh_slow_reverse_dns::budget(conf).0
    };
    if wait == 0 || !own().any(of_ssh) {
        return String::new();
    }
    format!(": ssh to it prompts up to {wait} s late, for sshd looks up its client's name (`UseDNS`)")
}

#[cfg(test)]
mod tests {
    use model::service::ResolvConf;

    use crate::Symptom;
    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    fn asking(servers: &[&str]) -> Cloud {
        let mut cloud = healthy();
        let servers = servers.iter().map(|ip| ip.parse().unwrap()).collect();
        let file = "/etc/netns/lab-web1/resolv.conf".to_owned();
        cloud.netns("web1").resolver = Some(ResolvConf { file, servers, ..ResolvConf::default() });
        cloud
    }

    #[test]
    fn fires_on_a_server_that_nobody_is() {
        let diagnosis = broken("guest-resolv-conf-wrong").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["guest-resolv-conf-wrong web1//eth0"]);
        assert_eq!(diagnosis.findings[0].instances, ["web1"]);
    }

    #[test]
    fn sshd_waits_for_it_and_for_how_long_is_told() {
        let told = |servers: &[&str]| {
            let found = asking(servers).diagnose_for("web1", Symptom::Ssh);
            assert_eq!(codes(&found), ["guest-resolv-conf-wrong web1//eth0"], "{servers:?}");
            found.findings[0].summary.clone()
        };
        assert!(told(&["10.0.0.77"]).contains("prompts up to 10 s late"));
        assert!(told(&["10.0.0.77", "10.0.0.42"]).contains("prompts up to 5 s late"));
        assert!(!told(&["10.0.0.42", "10.0.0.77"]).contains("ssh"));
        let found = asking(&["10.0.0.42"]).diagnose_for("web1", Symptom::Ssh);
        assert_eq!(codes(&found), [""; 0]);
    }

    #[test]
    fn fires_where_no_server_is_named_and_none_runs_inside() {
        assert_eq!(codes(&asking(&[]).diagnose("web1")), ["guest-resolv-conf-wrong web1//eth0"]);
    }

    #[test]
    fn stays_silent_on_the_networks_server_and_on_another_that_answers() {
        for servers in [&["10.0.0.42"][..], &["1.2.3.4"], &["10.0.0.42", "1.2.3.4"]] {
            assert_eq!(codes(&asking(servers).diagnose("web1")), Vec::<String>::new(), "{servers:?}");
        }
    }

    #[test]
    fn stays_silent_where_the_networks_server_is_at_fault() {
        for other in ["dnsmasq-not-running", "dns-port53-blocked", "dns-upstream-dead"] {
            let mut cloud = broken(other);
            cloud.netns("web1").resolver = asking(&["10.0.0.42"]).netns("web1").resolver.clone();
            assert!(lacks(&cloud.diagnose("web1"), "guest-resolv-conf-wrong"), "{other}");
        }
    }
}
