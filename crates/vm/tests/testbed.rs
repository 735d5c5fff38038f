//! Goal: what a test needs of the kernel is there, wherever the test runs.
//! Method: the features are used, and so are the tools, in a namespace without a name. Needs root.

#![expect(clippy::unwrap_used, reason = "a test's helper fails by panicking")]

use std::process::Command;
use std::thread;

use sys::netns::{self, NetnsFd};
use vm::{Feature, KernelWith};

/// One program beside the network's tools by its name, one by its path.
static KERNEL: KernelWith = KernelWith::new(&[Feature::Vlan, Feature::Netem], &["numfmt", "/usr/bin/factor"]);

/// What a program prints in a namespace.
fn printed(netns: &NetnsFd, words: &str) -> String {
    let mut words = words.split_whitespace();
    let mut command = Command::new(sys::programs::path_of(words.next().unwrap()));
    let output = netns::within(netns, || command.args(words).output().unwrap()).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn vlan_devices_can_be_made() {
    KERNEL.run(|| {
        let netns = netns::unnamed("ht-vm-vlan").unwrap();
        printed(&netns, "ip link add eth0 type veth peer name eth1");
        printed(&netns, "ip link add link eth0 name vlan100 type vlan id 100");
        assert!(printed(&netns, "ip -d link show vlan100").contains("vlan protocol 802.1Q id 100"));
    });
}

#[test]
fn packets_can_be_delayed_and_lost() {
    KERNEL.run(|| {
        let netns = netns::unnamed("ht-vm-netem").unwrap();
        printed(&netns, "tc qdisc add dev lo root netem delay 50ms loss 10%");
        assert!(printed(&netns, "tc qdisc show dev lo").contains("netem"));
    });
}

#[test]
fn programs_that_were_asked_for_are_there() {
    KERNEL.run(|| {
        let netns = netns::unnamed("ht-vm-programs").unwrap();
        assert_eq!(printed(&netns, "numfmt --to=iec 2048"), "2.0K\n");
        assert!(printed(&netns, "/usr/bin/factor --version").contains("GNU coreutils"), "not busybox's");
    });
}

#[test]
fn the_tools_of_the_network_work_on_that_kernel() {
    KERNEL.run(|| {
        let netns = netns::unnamed("ht-vm-tools").unwrap();
        printed(&netns, "ip link set lo up");
        printed(&netns, "ip link add br0 type bridge vlan_filtering 1");
        assert!(printed(&netns, "bridge vlan show").contains("br0"));
        printed(&netns, "iptables-nft -t nat -A POSTROUTING -s 10.0.0.0/24 -j SNAT --to 192.0.2.1");
        printed(
            &netns,
            "iptables-nft -A FORWARD -m physdev --physdev-in v0 -m conntrack --ctstate NEW -j DROP",
        );
        printed(&netns, "iptables-legacy -A FORWARD -m comment --comment why -j ACCEPT");
        printed(&netns, "ebtables-nft -A FORWARD -p ARP -j DROP");
        assert!(printed(&netns, "iptables-nft-save").contains("--physdev-in v0"));
        assert!(printed(&netns, "iptables-legacy-save").contains("--comment why"));
        assert!(printed(&netns, "nft list ruleset").contains("snat to 192.0.2.1"));
        printed(&netns, "ping -c1 -W5 127.0.0.1");
        printed(&netns, "conntrack -L");
        printed(&netns, "dnsmasq --version");
        printed(&netns, "tcpdump --version");
        assert!(printed(&netns, "ip link add vx0 type vxlan id 7 dstport 4789 local 10.0.0.1").is_empty());
    });
}

#[test]
fn a_module_is_there_for_each_of_those_that_ask_for_it_at_once() {
    KERNEL.run(|| {
        let namespaces = ["ht-vm-one", "ht-vm-two", "ht-vm-three"].map(|name| netns::unnamed(name).unwrap());
        let rules = [
            "-p ARP --arp-ip-dst 10.0.0.1",
            "-p IPv4 --ip-protocol udp",
            "-p IPv6 --ip6-protocol udp",
            "--pkttype-type multicast",
            "--limit 1/s",
            "-p LENGTH --802_3-sap 0x42",
            "-p 802_1Q --vlan-id 7",
            "-d BGA --stp-type 1",
        ];
        for rule in rules {
            thread::scope(|scope| {
                for netns in &namespaces {
                    scope.spawn(|| printed(netns, &format!("ebtables-nft -I FORWARD {rule} -j ACCEPT")));
                }
            });
        }
    });
}
