//! How long a rule lasts: whether it goes away by itself, and when.
//!
//! A process of nova saves the tables, drops every line that contains its own name anywhere, puts its
//! own rules before what is left and restores all of it (`linux_net.py` `IptablesManager._modify_rules`).
//! So what stands in its chains, or merely names it, goes at its next write; what stands anywhere else
//! stays, below nova's rules. Policies stay too.

use std::collections::BTreeSet;

use model::Netns;
use model::netfilter::{Action, Chain, Dialect, Family};
use model::path::RuleRef;

use crate::nova;
use crate::owner::{self, Owner};
use crate::rules;

/// Who wrote a rule and what becomes of it if nobody touches it, in one sentence without a full stop; of
/// a policy, what becomes of it.
pub(crate) fn of(ns: &Netns, rule: &RuleRef) -> String {
    if rule.number == 0 {
        return of_policy(ns, rule);
    }
    let owner = owner::of(ns, rule);
    let wrote = owner.wrote();
    match (owner, dropped_by(ns, rule)) {
        (Owner::ByHand, Some(writers)) => format!("{wrote}; {}", goes_with(&writers, rule)),
        (Owner::ByHand, None) => format!("{wrote}; {}", stays(ns, rule)),
        (written, _) => format!("{wrote}; deleted, it comes back {}", written_again(written)),
    }
}

/// When a process of nova writes its rules.
const NOVA_WRITES: &str =
    "at a boot or a delete on this host, a change of a floating IP or of a security group, or its restart";

/// What stands in a process's chain, or names the process, goes when the process next writes.
fn goes_with(writers: &BTreeSet<String>, rule: &RuleRef) -> String {
    let names: Vec<&str> = writers.iter().map(String::as_str).collect();
    let names = names.join(" or ");
    let in_its_chain = writers.iter().any(|name| rule.chain().starts_with(&format!("{name}-")));
    let why = if in_its_chain { "" } else { " (it contains that name)" };
    format!("it goes away by itself when {names} next writes its rules{why}: {NOVA_WRITES}")
}

/// The processes of nova on this machine whose name the rule's line contains; `None` where there is none.
/// The name is compared as a piece of text: nova-api takes the lines of nova-api-metadat with it.
fn dropped_by(ns: &Netns, rule: &RuleRef) -> Option<BTreeSet<String>> {
    let is_iptables = matches!(rule.dialect, Dialect::IptablesLegacy | Dialect::IptablesNft);
    let is_written = matches!(rule.family, Family::Ip | Family::Ip6)
        && ["filter", "nat", "mangle"].contains(&&*rule.table);
    if !is_iptables || !is_written {
        return None;
    }
    let tables = ns.ruleset.tables.iter().filter(|t| t.dialect == rule.dialect && t.family == rule.family);
    let processes = tables.flat_map(|t| &t.chains).filter_map(|c| process(&c.name));
    let named: BTreeSet<String> =
        processes.filter(|name| rule.text.contains(*name)).map(str::to_owned).collect();
    (!named.is_empty()).then_some(named)
}

/// The process that keeps a chain, by the chains that every process of nova has.
fn process(chain: &str) -> Option<&str> {
    let suffixes = ["-local", "-FORWARD", "-INPUT", "-OUTPUT", "-POSTROUTING"];
    let name = suffixes.iter().find_map(|suffix| chain.strip_suffix(suffix))?;
    name.starts_with("nova-").then_some(name)
}

fn of_policy(ns: &Netns, rule: &RuleRef) -> String {
    let docker = rules::table(ns, rule).is_some_and(|table| table.chain("DOCKER").is_some());
    let set =
        if docker && rule.chain() == "FORWARD" { "; dockerd may set it to DROP when it starts" } else { "" };
    format!(
        "a policy outlives every restart of nova's services; a reboot takes it back, unless it was saved{set}"
    )
}

/// When a rule comes back that its owner wrote.
fn written_again(owner: Owner) -> String {
    let when = match owner {
        Owner::NovaNetwork | Owner::NovaCompute | Owner::NovaApi | Owner::NovaApiMetadata => {
            return format!("when {} next writes its rules: {NOVA_WRITES}", owner.name());
        }
        Owner::Nova => return format!("when a process of nova next writes its rules: {NOVA_WRITES}"),
        Owner::Docker => "when dockerd starts, and with each container or network that it changes",
        Owner::Podman => "when a container of its network starts, and at `podman network reload`",
        Owner::Cni => "when a container starts",
        Owner::Libvirt => "when libvirtd, its network or the instance starts",
        Owner::Firewalld => "at `firewall-cmd --reload`, and when firewalld starts",
        Owner::Ufw => "at `ufw reload`, and when ufw starts",
        Owner::Neutron => "when its agent starts, and with each change of a port or of a security group",
        Owner::Kubernetes => "at kube-proxy's next sync, within minutes",
        Owner::Calico => "at felix's next refresh, within minutes",
        Owner::Fail2ban => "when fail2ban starts, and with each ban",
        Owner::Proxmox => "within seconds: pve-firewall compares all the time",
        Owner::ByHand => "if somebody puts it in again",
    };
    when.to_owned()
}

/// A rule that nobody writes again and nobody takes away.
fn stays(ns: &Netns, rule: &RuleRef) -> String {
    if nova::iptables(ns).all(|table| nova::weight(table).0 == 0) {
        return "only a reboot takes it away, unless it was saved".to_owned();
    }
    let called = rules::chain(ns, rule).and_then(calls_of_nova);
    let sinks = match called {
        Some(last) if last > rule.number => {
            ", but sinks below the calls that they write anew, where it may not be reached any more"
        }
        Some(_) | None => "",
    };
    format!(
        "it outlives every restart of nova's services{sinks}; a reboot takes it away, unless it was saved"
    )
}

/// The number of the last rule of a chain that calls one of nova's.
fn calls_of_nova(chain: &Chain) -> Option<u32> {
    let calls = |action: &Action| matches!(action, Action::Jump(to) if nova::is_chain(to));
    let last = chain.rules.iter().rposition(|rule| calls(&rule.action))?;
    u32::try_from(last + 1).ok()
}

#[cfg(test)]
mod tests {
    use model::netfilter::Hook;

    use super::*;
    use crate::fixture::{Cloud, drops, from, healthy};

    /// What is said of a rule put into a chain of the lab's compute host, at this place.
    fn said(table: &str, chain: &str, at: usize, comment: &str) -> String {
        let mut cloud = healthy();
        let text = format!("-A {chain} -s 1.2.3.4/32{comment} -j DROP");
        let rule = drops(&text, vec![from("1.2.3.4/32")]);
        cloud.chain("compute1", table, chain).rules.insert(at, rule);
        of_rule(&cloud, Dialect::IptablesNft, table, chain, at + 1, &text)
    }

    fn of_rule(
        cloud: &Cloud,
        dialect: Dialect,
        table: &str,
        chain: &str,
        number: usize,
        text: &str,
    ) -> String {
        let rule = RuleRef {
            dialect,
            family: Family::Ip,
            table: table.to_owned(),
            hook: Hook::Forward,
            chains: vec![chain.to_owned()],
            number: u32::try_from(number).unwrap(),
            text: text.to_owned(),
            counters: None,
            handle: None,
            rejects_with: None,
        };
        of(cloud.snapshot.main_netns("compute1").unwrap(), &rule)
    }

    #[test]
    fn what_stands_in_a_process_s_chain_goes_when_it_next_writes() {
        let text = said("filter", "nova-compute-inst-1", 0, "");
        assert!(
            text.starts_with(
                "put in by hand; it goes away by itself when nova-compute next writes its rules: at a boot"
            ),
            "{text}"
        );
    }

    #[test]
    fn what_names_a_process_goes_with_it_wherever_it_stands() {
        let comment = " -m comment --comment \"until nova-network is fixed\"";
        let text = said("filter", "FORWARD", 4, comment);
        assert!(text.contains("when nova-network next writes its rules (it contains that name)"), "{text}");
        // The name is a piece of text: nova-api takes what is nova-api-metadat's.
        let mut cloud = healthy();
        let chains = &mut cloud.chain("compute1", "filter", "nova-api-metadat-local").clone();
        "nova-api-local".clone_into(&mut chains.name);
        let tables = &mut cloud.netns("compute1").ruleset.tables;
        tables.iter_mut().find(|t| t.name == "filter").unwrap().chains.push(chains.clone());
        let text = "-A nova-api-metadat-INPUT -s 1.2.3.4/32 -j DROP";
        let rules = &mut cloud.chain("compute1", "filter", "nova-api-metadat-INPUT").rules;
        rules.insert(0, drops(text, vec![from("1.2.3.4/32")]));
        let said = of_rule(&cloud, Dialect::IptablesNft, "filter", "nova-api-metadat-INPUT", 1, text);
        assert!(said.contains("when nova-api or nova-api-metadat next writes"), "{said}");
    }

    #[test]
    fn in_a_chain_that_is_everybodys_it_stays_and_may_sink() {
        let above = said("filter", "FORWARD", 0, "");
        assert!(above.contains("it outlives every restart of nova's services, but sinks below"), "{above}");
        let below = said("filter", "FORWARD", 4, "");
        assert!(
            below.contains("it outlives every restart of nova's services; a reboot takes it away"),
            "{below}"
        );
        // No call of nova's stands in this chain.
        let alone = said("mangle", "FORWARD", 0, "");
        assert!(alone.contains("nova's services; a reboot takes it away"), "{alone}");
    }

    #[test]
    fn novas_shared_chains_and_other_back_ends_are_not_swept() {
        let shared = said("filter", "nova-filter-top", 0, "");
        assert!(shared.contains("nova's services, but sinks below"), "{shared}");
        let cloud = healthy();
        let text = "-A FORWARD -m comment --comment nova-compute -j DROP";
        let legacy = of_rule(&cloud, Dialect::IptablesLegacy, "filter", "FORWARD", 1, text);
        assert!(legacy.contains("nova's services; a reboot takes it away"), "{legacy}");
    }

    #[test]
    fn a_policy_outlives_every_restart() {
        let cloud = healthy();
        let text = of_rule(&cloud, Dialect::IptablesNft, "filter", "FORWARD", 0, ":FORWARD DROP");
        assert!(text.starts_with("a policy outlives every restart"), "{text}");
    }

    #[test]
    fn the_rules_of_others_come_back_when_their_owners_write_them() {
        let cloud = healthy();
        let text = "-A DOCKER -d 172.17.0.2/32 -j DROP";
        let docker = of_rule(&cloud, Dialect::IptablesNft, "filter", "DOCKER", 1, text);
        assert!(
            docker.starts_with("written by docker; deleted, it comes back when dockerd starts"),
            "{docker}"
        );
        let rule = "-A nova-compute-sg-fallback -j DROP";
        let nova = of_rule(&cloud, Dialect::IptablesNft, "filter", "nova-compute-sg-fallback", 1, rule);
        let again = "written by nova-compute; deleted, it comes back when nova-compute next writes its rules";
        assert!(nova.starts_with(again), "{nova}");
    }

    #[test]
    fn where_nova_is_not_nobody_takes_a_rule_away() {
        let mut cloud = healthy();
        cloud.netns("compute1").ruleset.tables.clear();
        let text = of_rule(&cloud, Dialect::IptablesNft, "filter", "FORWARD", 1, "-A FORWARD -j DROP");
        assert_eq!(text, "put in by hand; only a reboot takes it away, unless it was saved");
    }
}
