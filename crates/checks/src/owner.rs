//! Who wrote a netfilter rule: told by its table, by its chain, by the chain that it calls, and in
//! chains that everybody shares by its own shape.
//!
//! Names are what the programs choose for themselves: nova `linux_net.py` `binary_name`, libvirt
//! `viriptables.c` and `nwfilter_ebiptables_driver.c`, moby `libnetwork/iptables`, netavark `firewall`,
//! ufw `ufw-framework`(8), pve-firewall `Firewall.pm`.

use model::Netns;
use model::netfilter::{Action, Dialect, NfRule};
use model::path::RuleRef;

use crate::nova::{self, shape};
use crate::rules;

/// Who keeps a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    NovaNetwork,
    NovaCompute,
    NovaApi,
    NovaApiMetadata,
    /// What all processes of nova write together.
    Nova,
    Libvirt,
    Docker,
    Podman,
    Cni,
    Firewalld,
    Ufw,
    Neutron,
    Kubernetes,
    Calico,
    Fail2ban,
    Proxmox,
    /// Somebody's hand, or a script that leaves no name.
    ByHand,
}

/// One of nova's rules that keep a gateway address apart which all hosts share: it is in nobody's chain, and
/// what it drops is not this host's to answer.
pub(crate) fn keeps_apart(ns: &Netns, rule: &RuleRef) -> bool {
    matches!(rule.dialect, Dialect::EbtablesLegacy | Dialect::EbtablesNft)
        && of(ns, rule) == Owner::NovaNetwork
}

impl Owner {
    /// As the contract's `owner` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Owner::NovaNetwork => "nova-network",
            Owner::NovaCompute => "nova-compute",
            Owner::NovaApi => "nova-api",
            Owner::NovaApiMetadata => "nova-api-metadata",
            Owner::Nova => "nova",
            Owner::Libvirt => "libvirt",
            Owner::Docker => "docker",
            Owner::Podman => "podman",
            Owner::Cni => "cni",
            Owner::Firewalld => "firewalld",
            Owner::Ufw => "ufw",
            Owner::Neutron => "neutron",
            Owner::Kubernetes => "kubernetes",
            Owner::Calico => "calico",
            Owner::Fail2ban => "fail2ban",
            Owner::Proxmox => "proxmox",
            Owner::ByHand => "operator",
        }
    }

    /// Of a rule: `put in by hand`, `written by docker`.
    pub(crate) fn wrote(self) -> String {
        self.did("put in", "written")
    }

    /// Of a policy: `set by hand`, `set by ufw`.
    pub(crate) fn set(self) -> String {
        self.did("set", "set")
    }

    fn did(self, by_hand: &str, by_program: &str) -> String {
        match self {
            Owner::ByHand => format!("{by_hand} by hand"),
            Owner::NovaNetwork
            | Owner::NovaCompute
            | Owner::NovaApi
            | Owner::NovaApiMetadata
            | Owner::Nova
            | Owner::Libvirt
            | Owner::Docker
            | Owner::Podman
            | Owner::Cni
            | Owner::Firewalld
            | Owner::Ufw
            | Owner::Neutron
            | Owner::Kubernetes
            | Owner::Calico
            | Owner::Fail2ban
            | Owner::Proxmox => format!("{by_program} by {}", self.name()),
        }
    }
}

/// Who set a policy that was met: whose table it is, or ufw, which sets those of the built-in chains where its own hang
/// (`ufw default deny`). Neither nova nor libvirt nor firewalld touches them.
pub(crate) fn of_policy(ns: &Netns, policy: &RuleRef) -> Owner {
    let by_table = if policy.dialect == Dialect::Nft { of_table(&policy.table) } else { None };
    let is_ufws = |chain: &str| of_chain(policy.dialect, chain) == Some(Owner::Ufw);
    let calls_ufws = |rule: &NfRule| matches!(&rule.action, Action::Jump(to) if is_ufws(to));
    let by_calls = || rules::chain(ns, policy).filter(|chain| chain.rules.iter().any(calls_ufws));
    by_table.or_else(|| by_calls().map(|_| Owner::Ufw)).unwrap_or(Owner::ByHand)
}

/// Who wrote a rule that was met.
pub(crate) fn of(ns: &Netns, rule: &RuleRef) -> Owner {
    let chain = rule.chain();
    if nova::is_chain(chain) && is_iptables(rule.dialect) {
        // What nova would not write was put there by hand, and shares the chain's fate.
        let written = rules::find(ns, rule).is_some_and(|found| shape::is_novas(chain, found));
        let process = || of_call(rule).or_else(|| of_chain(rule.dialect, chain));
        return written.then(process).flatten().unwrap_or(Owner::ByHand);
    }
    let by_table = if rule.dialect == Dialect::Nft { of_table(&rule.table) } else { None };
    by_table
        .or_else(|| of_chain(rule.dialect, chain))
        .or_else(|| of_call(rule))
        .or_else(|| of_shape(ns, rule))
        .unwrap_or(Owner::ByHand)
}

/// The owner of the chain that a rule calls.
fn of_call(rule: &RuleRef) -> Option<Owner> {
    of_chain(rule.dialect, target(&rule.text)?)
}

fn is_iptables(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::IptablesLegacy | Dialect::IptablesNft)
}

/// The owner of a native nftables table.
fn of_table(name: &str) -> Option<Owner> {
    const TABLES: [(&str, Owner); 10] = [
        ("firewalld", Owner::Firewalld),
        ("libvirt_", Owner::Libvirt),
        ("docker-", Owner::Docker),
        ("netavark", Owner::Podman),
        ("cni_", Owner::Cni),
        ("kube-proxy", Owner::Kubernetes),
        ("calico", Owner::Calico),
        ("f2b-", Owner::Fail2ban),
        ("proxmox-firewall", Owner::Proxmox),
        ("neutron", Owner::Neutron),
    ];
    TABLES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, owner)| *owner)
}

/// The owner of a chain that is not built in, by its name; `None` for a name that tells nothing.
pub(crate) fn of_chain(dialect: Dialect, name: &str) -> Option<Owner> {
    // These two are there for the operator's own rules.
    const OPERATORS: [&str; 2] = ["DOCKER-USER", "CNI-ADMIN"];
    const PREFIXES: [(&str, Owner); 21] = [
        ("nova-network-", Owner::NovaNetwork),
        ("nova-compute-", Owner::NovaCompute),
        ("nova-api-metadat-", Owner::NovaApiMetadata),
        ("nova-api-", Owner::NovaApi),
        ("nova-", Owner::Nova),
        ("LIBVIRT_", Owner::Libvirt),
        ("libvirt-", Owner::Libvirt),
        ("DOCKER", Owner::Docker),
        ("NETAVARK", Owner::Podman),
        ("CNI-", Owner::Cni),
        ("ufw-", Owner::Ufw),
        ("ufw6-", Owner::Ufw),
        ("neutron-", Owner::Neutron),
        ("neutronARP-", Owner::Neutron),
        ("neutronMAC-", Owner::Neutron),
        ("quantum-", Owner::Neutron),
        ("KUBE-", Owner::Kubernetes),
        ("cali-", Owner::Calico),
        ("f2b-", Owner::Fail2ban),
        ("fail2ban-", Owner::Fail2ban),
        ("PVEFW-", Owner::Proxmox),
    ];
    if OPERATORS.contains(&name) {
        return None;
    }
    let named = PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, owner)| *owner);
    let firewalld = name.ends_with("_direct") || name.contains("_ZONES");
    named
        .or(firewalld.then_some(Owner::Firewalld))
        .or(is_proxmox_guests(name).then_some(Owner::Proxmox))
        .or(is_nwfilters(dialect, name).then_some(Owner::Libvirt))
}

/// libvirt's nwfilter names its chains after the tap: `I-vnet0-mac` in ebtables, `FO-vnet0` in iptables;
/// J, P and their like hold a new generation while it is being put in.
fn is_nwfilters(dialect: Dialect, name: &str) -> bool {
    let prefixes: &[&str] = match dialect {
        Dialect::EbtablesLegacy | Dialect::EbtablesNft => &["I-", "O-", "J-", "P-"],
        Dialect::IptablesLegacy | Dialect::IptablesNft => &["FI-", "FO-", "HI-", "FJ-", "FP-", "HJ-"],
        Dialect::ArptablesLegacy | Dialect::ArptablesNft | Dialect::Nft => &[],
    };
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// `tap100i0-IN`, `veth101i1-OUT`.
fn is_proxmox_guests(name: &str) -> bool {
    let Some(guest) = name.strip_suffix("-IN").or_else(|| name.strip_suffix("-OUT")) else { return false };
    let Some(numbers) = guest.strip_prefix("tap").or_else(|| guest.strip_prefix("veth")) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.split_once('i').is_some_and(|(guest, nic)| digits(guest) && digits(nic))
}

/// The chain, or the verdict, that a rule's text ends in.
fn target(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    words.find(|word| matches!(*word, "-j" | "-g" | "jump" | "goto"))?;
    words.next()
}

/// Rules that programs put into built-in chains under no name.
fn of_shape(ns: &Netns, rule: &RuleRef) -> Option<Owner> {
    let words: Vec<&str> = rule.text.split_whitespace().collect();
    let target = target(&rule.text)?;
    let mut links = words.windows(2).filter(|w| matches!(w.first(), Some(&"-i" | &"-o")));
    let mut named = |wanted: fn(&str) -> bool| links.any(|w| w.get(1).is_some_and(|name| wanted(name)));
    match rule.dialect {
        Dialect::IptablesLegacy | Dialect::IptablesNft => match (rule.table.as_str(), target) {
            ("filter", "ACCEPT") | ("nat", "MASQUERADE") | ("raw", "DROP") if named(is_dockers) => {
                Some(Owner::Docker)
            }
            ("filter", "ACCEPT" | "REJECT") | ("mangle" | "nat", "CHECKSUM" | "MASQUERADE")
                if named(is_libvirts) =>
            {
                Some(Owner::Libvirt)
            }
            // virNetwork's masquerade, whose rules name no link.
            ("nat", "MASQUERADE") if words.ends_with(&["--to-ports", "1024-65535"]) => Some(Owner::Libvirt),
            _ => None,
        },
        Dialect::EbtablesLegacy | Dialect::EbtablesNft => {
            let nova_is_here = nova::iptables(ns).any(|table| nova::weight(table).0 > 0);
            (nova_is_here && shared_address(&words)).then_some(Owner::NovaNetwork)
        }
        Dialect::ArptablesLegacy | Dialect::ArptablesNft | Dialect::Nft => None,
    }
}

/// `docker0`, and a network's bridge `br-` with twelve digits of its id.
fn is_dockers(link: &str) -> bool {
    let id = |id: &str| id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit());
    link == "docker0" || link.strip_prefix("br-").is_some_and(id)
}

fn is_libvirts(link: &str) -> bool {
    link.strip_prefix("virbr").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// How nova keeps a gateway address that all hosts share apart (`linux_net.py` `isolate_dhcp_address`).
fn shared_address(words: &[&str]) -> bool {
    match words {
        ["-A", "INPUT", "-p", "ARP", "-i", _, "--arp-ip-dst", _, "-j", "DROP"] => true,
        ["-A", "OUTPUT", "-p", "ARP", "-o", _, "--arp-ip-src", _, "-j", "DROP"] => true,
        ["-A", "FORWARD", "-p", "IPv4", "-i" | "-o", _, rest @ ..] => {
            rest == ["--ip-proto", "udp", "--ip-dport", "67:68", "-j", "DROP"]
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Family, Hook};

    use super::*;
    use crate::fixture::{Cloud, drops, from, healthy, minicloud, queens};

    /// A rule by its text as the dialect prints it, in a chain of a machine where nothing else is known.
    fn owner_of(dialect: Dialect, table: &str, chain: &str, text: &str) -> Owner {
        of(&Netns::default(), &reference(dialect, table, chain, text))
    }

    fn reference(dialect: Dialect, table: &str, chain: &str, text: &str) -> RuleRef {
        RuleRef {
            dialect,
            family: if dialect == Dialect::Nft { Family::Inet } else { Family::Ip },
            table: table.to_owned(),
            hook: Hook::Forward,
            chains: vec![chain.to_owned()],
            number: 1,
            text: text.to_owned(),
            counters: None,
            handle: None,
            rejects_with: None,
        }
    }

    /// The owner of each rule of a machine, with its text.
    fn owners(cloud: &Cloud, machine: &str) -> Vec<(Owner, String)> {
        let ns = cloud.snapshot.main_netns(machine).unwrap();
        let mut all = Vec::new();
        for table in &ns.ruleset.tables {
            for chain in &table.chains {
                for (at, rule) in chain.rules.iter().enumerate() {
                    let mut found = reference(table.dialect, &table.name, &chain.name, &rule.text);
                    (found.family, found.number) = (table.family, u32::try_from(at + 1).unwrap());
                    all.push((of(ns, &found), rule.text.clone()));
                }
            }
        }
        all
    }

    #[test]
    fn on_a_healthy_host_every_rule_is_the_process_s_whose_name_it_bears() {
        for (owner, text) in owners(&queens(), "compute01").into_iter().chain(owners(&healthy(), "compute1"))
        {
            let named =
                ["nova-network", "nova-compute", "nova-api-metadat"].iter().find(|p| text.contains(**p));
            let expected =
                named.map_or("nova", |name| if name.ends_with("dat") { "nova-api-metadata" } else { name });
            assert_eq!(owner.name(), expected, "{text}");
        }
        for (owner, text) in owners(&minicloud(), "host") {
            assert_ne!(owner, Owner::ByHand, "{text}");
            assert_eq!(owner == Owner::Libvirt, text.contains("libvirt-"), "{text}");
        }
    }

    #[test]
    fn what_nova_would_not_write_into_its_chains_is_by_hand() {
        let mut cloud = healthy();
        for chain in ["nova-compute-inst-1", "nova-network-FORWARD", "nova-filter-top"] {
            let text = format!("-A {chain} -s 1.2.3.4/32 -j DROP");
            let rule = drops(&text, vec![from("1.2.3.4/32")]);
            cloud.chain("compute1", "filter", chain).rules.insert(0, rule);
            let owner = owners(&cloud, "compute1").into_iter().find(|(_, found)| *found == text).unwrap().0;
            assert_eq!(owner, Owner::ByHand, "{text}");
        }
    }

    #[test]
    fn chains_of_iptables_tell_by_their_names() {
        for (chain, owner) in [
            ("DOCKER-ISOLATION-STAGE-2", Owner::Docker),
            ("DOCKER-USER", Owner::ByHand),
            ("NETAVARK_FORWARD", Owner::Podman),
            ("CNI-DN-0123456789abcdef", Owner::Cni),
            ("LIBVIRT_FWI", Owner::Libvirt),
            ("FI-vnet0", Owner::Libvirt),
            ("libvirt-in-post", Owner::Libvirt),
            ("ufw-before-forward", Owner::Ufw),
            ("neutron-openvswi-sg-chain", Owner::Neutron),
            ("KUBE-FIREWALL", Owner::Kubernetes),
            ("cali-FORWARD", Owner::Calico),
            ("f2b-sshd", Owner::Fail2ban),
            ("PVEFW-FORWARD", Owner::Proxmox),
            ("tap100i0-IN", Owner::Proxmox),
            ("INPUT_ZONES", Owner::Firewalld),
            ("FORWARD_direct", Owner::Firewalld),
            // Near misses: somebody's own chains.
            ("tape-IN", Owner::ByHand),
            ("office", Owner::ByHand),
            ("I-vnet0", Owner::ByHand),
        ] {
            let text = format!("-A {chain} -j DROP");
            assert_eq!(owner_of(Dialect::IptablesNft, "filter", chain, &text), owner, "{chain}");
        }
        let ebtables = owner_of(Dialect::EbtablesNft, "nat", "I-vnet0-mac", "-A I-vnet0-mac -j DROP");
        assert_eq!(ebtables, Owner::Libvirt);
    }

    #[test]
    fn tables_of_nft_tell_by_their_names() {
        for (table, owner) in [
            ("firewalld", Owner::Firewalld),
            ("libvirt_network", Owner::Libvirt),
            ("docker-bridges", Owner::Docker),
            ("netavark", Owner::Podman),
            ("proxmox-firewall-guests", Owner::Proxmox),
            ("lockdown", Owner::ByHand),
        ] {
            assert_eq!(owner_of(Dialect::Nft, table, "forward", "counter drop"), owner, "{table}");
        }
    }

    #[test]
    fn in_built_in_chains_the_rule_itself_tells() {
        for (table, text, owner) in [
            ("filter", "-A FORWARD -j LIBVIRT_FWX", Owner::Libvirt),
            ("filter", "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd", Owner::Fail2ban),
            (
                "filter",
                "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                Owner::Docker,
            ),
            ("filter", "-A FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT", Owner::Docker),
            ("nat", "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", Owner::Docker),
            ("filter", "-A FORWARD -o virbr0 -j REJECT --reject-with icmp-port-unreachable", Owner::Libvirt),
            (
                "nat",
                "-A POSTROUTING -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535",
                Owner::Libvirt,
            ),
            // Near misses: the same links, and what their programs do not write.
            ("filter", "-A FORWARD -i docker0 -j DROP", Owner::ByHand),
            ("filter", "-A FORWARD -i virbr0 -j DROP", Owner::ByHand),
            ("filter", "-A FORWARD -i br-ex -j ACCEPT", Owner::ByHand),
            ("nat", "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE", Owner::ByHand),
        ] {
            let chain = text.split(' ').nth(1).unwrap();
            assert_eq!(owner_of(Dialect::IptablesLegacy, table, chain, text), owner, "{text}");
        }
        let jump = owner_of(Dialect::Nft, "filter", "FORWARD", "counter jump DOCKER-FORWARD");
        assert_eq!(jump, Owner::Docker);
    }

    #[test]
    fn a_policy_is_the_table_s_owner_s_or_ufw_s_where_its_chains_hang() {
        let mut cloud = healthy();
        let policy = RuleRef {
            hook: Hook::Input,
            number: 0,
            ..reference(Dialect::IptablesNft, "filter", "INPUT", "-P INPUT DROP")
        };
        assert_eq!(of_policy(cloud.netns("compute1"), &policy), Owner::ByHand);
        let native = RuleRef { dialect: Dialect::Nft, table: "firewalld".to_owned(), ..policy.clone() };
        assert_eq!(of_policy(cloud.netns("compute1"), &native), Owner::Firewalld);
        let mut call = drops("-A INPUT -j ufw-before-input", Vec::new());
        call.action = Action::Jump("ufw-before-input".to_owned());
        cloud.chain("compute1", "filter", "INPUT").rules.push(call);
        assert_eq!(of_policy(cloud.netns("compute1"), &policy), Owner::Ufw);
    }

    #[test]
    fn a_shared_gateway_address_is_novas_where_nova_is() {
        let text = "-A INPUT -p ARP -i eth1 --arp-ip-dst 10.0.0.1 -j DROP";
        let rule = reference(Dialect::EbtablesNft, "filter", "INPUT", text);
        let cloud = healthy();
        assert_eq!(of(cloud.snapshot.main_netns("compute1").unwrap(), &rule), Owner::NovaNetwork);
        assert_eq!(of(&Netns::default(), &rule), Owner::ByHand);
    }
}
