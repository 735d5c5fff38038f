//! A cloud that hopline did not build: two hosts, a switch, a router (minicloud/minicloud.sh). The same
//! faults, injected in its own way by shell, are named there too, with the insides of its instances within
//! reach and without. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use support::assert_none;
use support::report::{Report, list};
use tempfile::TempDir;

/// minicloud, built for a test and removed with it.
struct Minicloud {
    prefix: String,
    folder: TempDir,
}

impl Minicloud {
    fn up(tag: &str) -> Minicloud {
        let prefix = format!("fc-e{}{tag}", std::process::id());
        let cloud = Minicloud { prefix, folder: tempfile::tempdir().unwrap() };
        cloud.bash("bash \"$MINICLOUD\" up");
        cloud
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Runs a line of shell in minicloud's own words, which are in `shorthands.sh`.
    fn bash(&self, line: &str) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/minicloud");
        let script = format!("source <(bash \"$MINICLOUD\" env); source \"$SHORTHANDS\"; {line}");
        let output = Command::new("bash")
            .args(["-c", &script])
            .env("MINICLOUD", here.join("minicloud.sh"))
            .env("SHORTHANDS", here.join("shorthands.sh"))
            .env("FC_PREFIX", &self.prefix)
            .env("STATE", self.state())
            .output()
            .unwrap();
        assert!(output.status.success() || thread::panicking(), "{line}: {output:?}");
    }

    /// The site file, changed by `edit`.
    fn site(&self, name: &str, edit: impl Fn(String) -> String) -> PathBuf {
        let text = include_str!("minicloud/site.toml").replace("{P}", &self.prefix);
        let path = self.folder.path().join(name);
        fs::write(&path, edit(text).replace("{STATE}", self.state().to_str().unwrap())).unwrap();
        path
    }

    /// The insides of the instances can be read.
    fn entered(&self) -> PathBuf {
        self.site("entered.toml", |text| text)
    }

    /// They cannot, as on most clouds.
    fn outside(&self) -> PathBuf {
        let inside = |line: &&str| line.starts_with("at =") && line.contains("-i");
        let without = |text: String| {
            let lines = text.lines().filter(|line| !inside(line));
            lines.collect::<Vec<_>>().join("\n")
        };
        self.site("outside.toml", without)
    }

    fn report(&self, site: &Path, question: &[&str]) -> Report {
        let site = ["--site", site.to_str().unwrap(), "--json"];
        let run = cli_support::hopline(self.folder.path(), &[question, &site].concat());
        Report::of(&run, question)
    }

    /// Asks all questions at the same time, with the insides and without, and returns what is wrong.
    fn complaints(&self, questions: &[&[&str]], expected: &Expected, when: &str) -> Vec<String> {
        let sites = [(self.entered(), &expected.entered), (self.outside(), &expected.outside)];
        thread::scope(|scope| {
            let mut asked = Vec::new();
            for (site, expected) in &sites {
                for question in questions {
                    let ask = move || {
                        let complaint = self.report(site, question).complaint(expected, when);
                        complaint.map(|text| format!("{}: {text}", site.display()))
                    };
                    asked.push(scope.spawn(ask));
                }
            }
            asked.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        })
    }
}

impl Drop for Minicloud {
    fn drop(&mut self) {
        self.bash("bash \"$MINICLOUD\" down");
    }
}

/// What is to be found with the insides of the instances in reach, and without.
#[derive(Default)]
struct Expected {
    entered: Vec<String>,
    outside: Vec<String>,
}

/// A fault in minicloud's words.
struct Fault {
    code: &'static str,
    /// Where it is found, once for each finding.
    hops: &'static [&'static str],
    inject: &'static str,
    heal: &'static str,
}

const fn fault(
    code: &'static str,
    hops: &'static [&'static str],
    inject: &'static str,
    heal: &'static str,
) -> Fault {
    Fault { code, hops, inject, heal }
}

/// Where a fault inside inst1 is found: its NIC's name is known only to those who can look inside.
const INSIDE: &str = "inst1//eth0";
const INSIDE_UNSEEN: &str = "inst1//";

const LINKS: [Fault; 12] = [
    fault(
        "uplink-down",
        &["host//eth0"],
        "h ip link set $UPLINK down",
        "h ip link set $UPLINK up; h ip route add default via $PUB_GW",
    ),
    fault("uplink-no-carrier", &["host//eth0"], "f ip link set pubh1 down", "f ip link set pubh1 up"),
    fault("flatif-down", &["host//eth1"], "h ip link set $FLATIF down", "h ip link set $FLATIF up"),
    fault(
        "flatif-not-enslaved",
        &["host//eth1"],
        // The bridge's MAC changes with its ports, and who remembers the old one is a matter of its own.
        "h ip link set $FLATIF nomaster; i1 ip neigh flush all; i2 ip neigh flush all",
        "h ip link set $FLATIF master $BRIDGE; i1 ip neigh flush all; i2 ip neigh flush all",
    ),
    fault("bridge-down", &["host//br100"], "h ip link set $BRIDGE down", "h ip link set $BRIDGE up"),
    fault("tap-down", &["host//vnet1"], "h ip link set $TAP1 down", "h ip link set $TAP1 up"),
    fault(
        "tap-missing",
        &["host//vnet1"],
        "h ip link del $TAP1",
        "plug1; i1 ip addr add $I1_IP/24 dev $GIF; i1 ip route add default via $GWIP",
    ),
    fault(
        "tap-not-enslaved",
        &["host//vnet1"],
        "h ip link set $TAP1 nomaster",
        "h ip link set $TAP1 master $BRIDGE; h bridge link set dev $TAP1 hairpin on",
    ),
    fault(
        "tap-wrong-bridge",
        &["host//vnet1"],
        "h ip link set $TAP1 master virbr0",
        "h ip link set $TAP1 master $BRIDGE; h bridge link set dev $TAP1 hairpin on",
    ),
    fault(
        "guest-nic-down",
        &[INSIDE],
        "i1 ip link set eth0 down",
        "i1 ip link set eth0 up; i1 ip route replace default via $GWIP",
    ),
    fault("ext-gateway-down", &["gw//eth1"], "g ip link set eth1 down", "g ip link set eth1 up"),
    fault(
        "rp-filter-asymmetric",
        &["host//eth0"],
        "h ip link add eth2 type veth peer name mg; h ip link set mg netns $GW_NS
         h ip addr add 192.0.2.2/24 dev eth2; h ip link set eth2 up
         g ip addr add 192.0.2.1/24 dev mg; g ip link set mg up
         h ip route add $EXT_IP via 192.0.2.1 dev eth2
         for t in $I1_IP:$F1_IP $I2_IP:$F2_IP; do
           h $IPT -t nat -A nova-network-float-snat -s ${t%:*}/32 -o eth2 -j SNAT --to-source ${t#*:}
         done
         h sysctl -qw net.ipv4.conf.$UPLINK.rp_filter=1",
        "h sysctl -qw net.ipv4.conf.$UPLINK.rp_filter=2",
    ),
];

/// By which packets are led astray: what bridges and neighbours know, and routes.
const ASTRAY: [Fault; 12] = [
    fault(
        "hairpin-off",
        &["host//vnet1"],
        "h bridge link set dev $TAP1 hairpin off",
        "h bridge link set dev $TAP1 hairpin on",
    ),
    fault(
        "port-isolated",
        &["host//vnet2"],
        "h bridge link set dev $TAP1 isolated on; h bridge link set dev $TAP2 isolated on",
        "h bridge link set dev $TAP1 isolated off; h bridge link set dev $TAP2 isolated off",
    ),
    fault(
        "flood-off-unknown-unicast",
        &["host//vnet1"],
        "h bridge link set dev $TAP1 learning off flood off; h bridge fdb del $I1_MAC dev $TAP1 master || true",
        "h bridge link set dev $TAP1 learning on flood on",
    ),
    fault(
        "fdb-static-stale",
        &["host//br100"],
        "h bridge fdb replace $I1_MAC dev $FLATIF master static sticky",
        "h bridge fdb del $I1_MAC dev $FLATIF master",
    ),
    fault(
        "blackhole-route",
        &["host//br100"],
        "h ip route add blackhole 198.51.100.0/24",
        "h ip route del blackhole 198.51.100.0/24",
    ),
    fault(
        "policy-route-wrong",
        &["host//virbr0"],
        "h ip rule add from $NET lookup 100 pref 100
         h ip route add default via 192.168.122.2 dev virbr0 onlink table 100",
        "h ip rule del pref 100; h ip route flush table 100",
    ),
    fault(
        "host-subnet-overlap",
        &["host//docker0"],
        "h ip link add docker0 type bridge; h ip addr add 198.51.100.1/24 dev docker0; h ip link set docker0 up",
        "h ip link del docker0",
    ),
    fault(
        "arp-ignore",
        &["host//br100"],
        "h sysctl -qw net.ipv4.conf.$BRIDGE.arp_ignore=8; i1 ip neigh flush all",
        "h sysctl -qw net.ipv4.conf.$BRIDGE.arp_ignore=0; i1 ip neigh flush all",
    ),
    fault(
        "ext-gateway-not-forwarding",
        &["gw//eth1"],
        "g sysctl -qw net.ipv4.ip_forward=0",
        "g sysctl -qw net.ipv4.ip_forward=1",
    ),
    fault(
        "ext-no-return-route",
        &["ext//eth0"],
        "x ip route del default",
        "x ip route add default via $EXT_GW",
    ),
    fault(
        "ext-server-down",
        &["ext//eth0"],
        "x ip link set eth0 down",
        "x ip link set eth0 up; x ip route add default via $EXT_GW",
    ),
    fault(
        "stale-arp-after-float-move",
        &["gw//eth1"],
        "g ip neigh replace $F1_IP lladdr 02:00:5e:00:53:01 dev eth1 nud permanent",
        "g ip neigh del $F1_IP dev eth1",
    ),
];

/// Inside inst1.
const GUESTS: [Fault; 5] = [
    fault(
        "guest-no-default-route",
        &[INSIDE],
        "i1 ip route del default",
        "i1 ip route add default via $GWIP",
    ),
    fault(
        "guest-wrong-gateway",
        &[INSIDE],
        "i1 ip route replace default via $NET3.254",
        "i1 ip route replace default via $GWIP",
    ),
    fault(
        "guest-wrong-ip",
        &[INSIDE],
        "i1 ip addr flush dev eth0; i1 ip addr add $NET3.77/24 dev eth0; i1 ip route add default via $GWIP",
        "i1 ip addr flush dev eth0; i1 ip addr add $I1_IP/24 dev eth0; i1 ip route replace default via $GWIP",
    ),
    fault(
        "guest-firewall",
        &[INSIDE],
        "i1 $IPT -P INPUT DROP; i1 $IPT -A INPUT -i lo -j ACCEPT",
        "i1 $IPT -P INPUT ACCEPT; i1 $IPT -F",
    ),
    fault(
        "guest-arp-poisoned",
        &[INSIDE],
        "i1 ip neigh replace $GWIP lladdr 02:de:ad:00:00:01 dev eth0 nud permanent",
        "i1 ip neigh del $GWIP dev eth0",
    ),
];

const RULES: [Fault; 22] = [
    fault(
        "ip-forward-0",
        &["host//br100"],
        "h sysctl -qw net.ipv4.ip_forward=0",
        "h sysctl -qw net.ipv4.ip_forward=1",
    ),
    fault(
        "default-route-missing",
        &["host//br100"],
        "h ip route del default",
        "h ip route add default via $PUB_GW",
    ),
    fault(
        "default-route-wrong-gw",
        &["host//eth0"],
        "h ip route replace default via 203.0.113.254",
        "h ip route replace default via $PUB_GW",
    ),
    fault(
        "forward-policy-drop-no-accept",
        &["host//br100"],
        "h $IPT -F nova-network-FORWARD; h $IPT -P FORWARD DROP",
        "h $IPT -P FORWARD ACCEPT; h $IPT -A nova-network-FORWARD -i $BRIDGE -j ACCEPT
         h $IPT -A nova-network-FORWARD -o $BRIDGE -j ACCEPT",
    ),
    fault(
        "sg-missing-icmp",
        &["host//eth0"],
        "h $IPT -D $SG1 -p icmp -j ACCEPT",
        "h $IPT -I $SG1 6 -p icmp -j ACCEPT",
    ),
    fault(
        "float-dnat-missing",
        &["host//eth0"],
        "h $IPT -t nat -D nova-network-PREROUTING -d $F1_IP/32 -j DNAT --to-destination $I1_IP",
        "h $IPT -t nat -A nova-network-PREROUTING -d $F1_IP/32 -j DNAT --to-destination $I1_IP",
    ),
    fault(
        "float-snat-missing",
        &["host//eth0"],
        "h $IPT -t nat -D nova-network-float-snat -s $I1_IP/32 -o $UPLINK -j SNAT --to-source $F1_IP",
        "h $IPT -t nat -A nova-network-float-snat -s $I1_IP/32 -o $UPLINK -j SNAT --to-source $F1_IP",
    ),
    fault(
        "float-address-missing",
        &["host//eth0"],
        "h ip addr del $F1_IP/32 dev $UPLINK",
        "h ip addr add $F1_IP/32 dev $UPLINK",
    ),
    fault(
        "rules-flushed",
        &["host//eth0"],
        "h $IPT -F; h $IPT -t nat -F",
        "h $IPT-restore <$STATE/iptables-$HOST_NS.rules",
    ),
    fault("dnsmasq-not-running", &["host//br100"], "stop1", "dns1"),
    fault(
        "dnsmasq-pool-exhausted",
        &["host//br100"],
        "stop1
         echo \"$(($(date +%s) + 9999)) fa:16:3e:aa:aa:aa 10.0.0.50 ghost *\" >$STATE/nova-$BRIDGE-1.leases
         RANGE=--dhcp-range=set:novanetwork,10.0.0.50,10.0.0.50,120s HOSTSFILE=--dhcp-hostsfile=/dev/null
         dns1",
        "stop1; rm -f $STATE/nova-$BRIDGE-1.leases; dns1",
    ),
    fault(
        "iptables-legacy-hidden",
        &["host//br100"],
        "h iptables-legacy -I FORWARD -i $BRIDGE -o $UPLINK -j DROP",
        "h iptables-legacy -F FORWARD",
    ),
    fault(
        "nft-other-priority",
        &["host//br100"],
        "h nft add table inet lockdown
         h nft 'add chain inet lockdown fw { type filter hook forward priority 10; policy accept; }'
         h nft add rule inet lockdown fw iifname $BRIDGE oifname $UPLINK counter drop",
        "h nft delete table inet lockdown",
    ),
    // Two rules, both on the way: one for the gateway, one for the neighbours.
    fault(
        "ebtables-drop",
        &["host//vnet1", "host//vnet1"],
        "h $EBT -A FORWARD -p IPv4 -i $TAP1 -j DROP; h $EBT -A INPUT -p IPv4 -i $TAP1 -j DROP",
        "h $EBT -F",
    ),
    fault(
        "br-netfilter-docker-drop",
        &["host//vnet1"],
        "h $IPT -F nova-network-FORWARD
         h $IPT -A nova-network-FORWARD -i $BRIDGE -o $UPLINK -j ACCEPT
         h $IPT -A nova-network-FORWARD -i $UPLINK -o $BRIDGE -j ACCEPT
         h $IPT -P FORWARD DROP; h $IPT -D FORWARD -j nova-filter-top
         h $IPT -N DOCKER-USER; h $IPT -A FORWARD -j DOCKER-USER",
        "h $IPT -P FORWARD ACCEPT; h $IPT-restore <$STATE/iptables-$HOST_NS.rules",
    ),
    fault(
        "conntrack-stale-dnat",
        &["host//eth0"],
        "h conntrack -I -p udp -s $EXT_IP -d $F1_IP --sport 40000 --dport 9000 -r $I2_IP -q $EXT_IP \
           --reply-port-src 9000 --reply-port-dst 40000 -t 600 -u SEEN_REPLY,ASSURED",
        "h conntrack -D -p udp --orig-dst $F1_IP --sport 40000",
    ),
    fault(
        "conntrack-full",
        &["host//br100"],
        "for n in $(seq 0 $(($(cat /proc/sys/net/netfilter/nf_conntrack_max) - 1))); do
           echo \"-I -s 10.1.$((n >> 8 & 255)).$((n & 255)) -d 10.2.0.1 -p udp --sport $((1024 + (n >> 16))) \
             --dport 9 -t 600 -u SEEN_REPLY,ASSURED\"
         done >$STATE/ct.txt; h conntrack -R $STATE/ct.txt >/dev/null 2>&1 || true",
        "h conntrack -F",
    ),
    fault(
        "snat-missing",
        &["host//eth0"],
        "h $IPT -t nat -D POSTROUTING -j nova-postrouting-bottom",
        "h $IPT -t nat -A POSTROUTING -j nova-postrouting-bottom",
    ),
    fault(
        "snat-wrong-address",
        &["host//eth0"],
        "h $IPT -t nat -F nova-network-float-snat
         h $IPT -t nat -R nova-network-snat 2 -s $NET -o $UPLINK -j SNAT --to-source 203.0.113.99",
        "h $IPT-restore <$STATE/iptables-$HOST_NS.rules",
    ),
    fault(
        "dnat-wrong-fixed-ip",
        &["host//eth0"],
        "h $IPT -t nat -R nova-network-PREROUTING 2 -d $F1_IP/32 -j DNAT --to-destination $NET3.99",
        "h $IPT -t nat -R nova-network-PREROUTING 2 -d $F1_IP/32 -j DNAT --to-destination $I1_IP",
    ),
    fault(
        "rule-order-wrong",
        &["host//eth0"],
        "h $IPT -I FORWARD 1 -d $I1_IP -j REJECT --reject-with icmp-host-prohibited",
        "h $IPT -D FORWARD 1",
    ),
    fault("foreign-rule-drop", &["gw//eth1"], "g $IPT -I FORWARD -i eth1 -j DROP", "g $IPT -F FORWARD"),
];

/// What DHCP, DNS and metadata suffer from, as the same cloud's operator would break it.
const SERVICES: [Fault; 13] = [
    fault(
        "dnsmasq-hung",
        &["host//br100"],
        "kill -STOP $(cat $STATE/nova-$BRIDGE-1.pid)",
        "kill -CONT $(cat $STATE/nova-$BRIDGE-1.pid)",
    ),
    fault(
        "dnsmasq-wrong-interface",
        &["host//br100"],
        "stop1; LISTEN=--listen-address=$HOST_PUB dns1",
        "stop1; dns1",
    ),
    fault(
        "dnsmasq-wrong-subnet",
        &["host//br100"],
        "stop1; RANGE=--dhcp-range=set:novanetwork,10.0.1.3,static,255.255.255.0,120s dns1",
        "stop1; dns1",
    ),
    fault(
        "dnsmasq-stale-hosts-file",
        &["host//br100"],
        "stop1; sed -i /$I1_MAC/d $STATE/nova-$BRIDGE-1.conf; dns1",
        "stop1; printf '%s,inst1.novalocal,%s\n' $I1_MAC $I1_IP >>$STATE/nova-$BRIDGE-1.conf; dns1",
    ),
    fault(
        "dnsmasq-hosts-not-reloaded",
        &["host//br100"],
        "stop1; sed -i /$I1_MAC/d $STATE/nova-$BRIDGE-1.conf; dns1
         i1 busybox udhcpc -f -n -q -i $GIF -t 1 -T 1 -s /bin/true || true
         printf '%s,inst1.novalocal,%s\n' $I1_MAC $I1_IP >>$STATE/nova-$BRIDGE-1.conf",
        "kill -HUP $(cat $STATE/nova-$BRIDGE-1.pid)",
    ),
    fault(
        "dnsmasq-lease-max",
        &["host//br100"],
        "stop1
         echo \"$(($(date +%s) + 9999)) fa:16:3e:aa:aa:aa 10.0.0.50 ghost *\" >$STATE/nova-$BRIDGE-1.leases
         LMAX=--dhcp-lease-max=1 dns1",
        "stop1; rm -f $STATE/nova-$BRIDGE-1.leases; dns1",
    ),
    fault(
        "input-blocks-dhcp",
        &["host//br100"],
        "h $IPT -I INPUT -i $BRIDGE -p udp --dport 67 -j DROP",
        "h $IPT -D INPUT 1",
    ),
    fault(
        "dhcp-reply-lost",
        &["host//br100"],
        "h $IPT -D $SG1 -s $GWIP/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT
         h $IPT -D $SG1 -s $NET -j ACCEPT",
        "h $IPT -I $SG1 4 -s $GWIP/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT
         h $IPT -I $SG1 5 -s $NET -j ACCEPT",
    ),
    fault("dns-upstream-wrong", &["host//br100"], "stop1; UPSTREAM=--server=192.0.2.53 dns1", "stop1; dns1"),
    fault(
        "dns-port53-blocked",
        &["host//br100"],
        "h $IPT -I INPUT -i $BRIDGE -p udp --dport 53 -j DROP",
        "h $IPT -D INPUT 1",
    ),
    fault(
        "metadata-dnat-missing",
        &["host//br100"],
        "h $IPT -t nat -D nova-network-PREROUTING 1",
        "h $IPT -t nat -I nova-network-PREROUTING 1 -d 169.254.169.254/32 -p tcp --dport 80 -j DNAT \
           --to-destination $HOST_PUB:8775",
    ),
    // The guide's old bridge, on which a tap that was plugged in just now does not forward yet.
    fault(
        "stp-forward-delay",
        &["host//vnet1"],
        "h ip link set $BRIDGE type bridge forward_delay 3000 stp_state 1; h ip link set $TAP1 nomaster
         h ip link set $TAP1 master $BRIDGE; h bridge link set dev $TAP1 hairpin on",
        "h ip link set $BRIDGE type bridge stp_state 0; h ip link set $BRIDGE type bridge forward_delay 0
         h ip link set $TAP1 nomaster; h ip link set $TAP1 master $BRIDGE
         h bridge link set dev $TAP1 hairpin on
         h ip link set $FLATIF nomaster; h ip link set $FLATIF master $BRIDGE",
    ),
    fault("dns-upstream-dead", &["ext//eth0"], "extdns stop", "extdns start"),
];

/// Beyond the hosts is a switch that nobody looks into: that nobody is there is known when nobody answers.
const SILENCES: [Fault; 2] = [
    fault(
        "guest-resolv-conf-wrong",
        &[INSIDE],
        "echo nameserver 10.0.0.53 >/etc/netns/$INST1_NS/resolv.conf",
        "echo nameserver $GWIP >/etc/netns/$INST1_NS/resolv.conf",
    ),
    fault(
        "metadata-zeroconf-route",
        &[INSIDE],
        "i1 ip route add 169.254.0.0/16 dev eth0",
        "i1 ip route del 169.254.0.0/16 dev eth0",
    ),
];

#[test]
fn what_only_silence_tells_is_told_by_asking() {
    let cloud = Minicloud::up("s");
    let mut wrong = Vec::new();
    for fault in &SILENCES {
        cloud.bash(fault.inject);
        // First, for whoever asks leaves a neighbour entry that failed.
        let passive: [&[&str]; 1] = [&["diagnose", "inst1", "--passive"]];
        wrong.extend(cloud.complaints(&passive, &Expected::default(), fault.inject));
        let entered = vec![format!("{} {INSIDE}", fault.code)];
        let asked = Expected { entered, outside: Vec::new() };
        wrong.extend(cloud.complaints(&[&["diagnose", "inst1"]], &asked, fault.inject));
        cloud.bash(fault.heal);
        let after = format!("after {}", fault.inject);
        wrong.extend(cloud.complaints(&[&["diagnose", "inst1"]], &Expected::default(), &after));
    }
    assert_none(&wrong);
}

#[test]
fn a_floating_address_on_two_hosts_is_told_at_the_one_that_is_not_meant() {
    let cloud = Minicloud::up("f");
    cloud.bash(
        "h2 ip addr add $F1_IP/32 dev $UPLINK
         h2 $IPT -t nat -I nova-network-PREROUTING -d $F1_IP/32 -j DNAT --to-destination $I3_IP
         g ip neigh flush all",
    );
    let told = || vec!["float-on-two-hosts host2//eth0".to_owned()];
    let asked: [&[&str]; 3] = [&["diagnose", "inst1"], &["diagnose", "inst1", "--passive"], &["check"]];
    let mut wrong = cloud.complaints(&asked, &Expected { entered: told(), outside: told() }, "on two hosts");
    cloud.bash(
        "h2 ip addr del $F1_IP/32 dev $UPLINK; h2 $IPT -t nat -D nova-network-PREROUTING 1
         g ip neigh flush all",
    );
    wrong.extend(cloud.complaints(&asked, &Expected::default(), "after it"));
    assert_none(&wrong);
}

/// The dnsmasq whose files are called by more than its bridge does not tell of another bridge.
#[test]
fn a_bridge_that_lost_its_address_is_no_other_bridge() {
    let cloud = Minicloud::up("b");
    cloud.bash("h ip addr del $GWIP/24 dev $BRIDGE");
    for site in [cloud.entered(), cloud.outside()] {
        let report = cloud.report(&site, &["diagnose", "inst1", "--passive"]);
        let found = report.findings();
        assert_eq!(
            found.first().map(String::as_str),
            Some("gateway-address-missing host//br100"),
            "{found:?}"
        );
        assert!(found.iter().all(|code| !code.starts_with("tap-wrong-bridge")), "{found:?}");
    }
}

#[test]
fn faults_of_dhcp_dns_and_metadata_are_named_and_healed() {
    each_is_named_and_healed("d", &SERVICES);
}

#[test]
fn faults_of_links_are_named_and_healed() {
    each_is_named_and_healed("l", &LINKS);
}

#[test]
fn faults_that_lead_packets_astray_are_named_and_healed() {
    each_is_named_and_healed("a", &ASTRAY);
}

/// Whoever cannot look inside an instance is told that it does not answer, and not that all is well.
#[test]
fn faults_inside_an_instance_are_named_where_it_can_be_entered() {
    let cloud = Minicloud::up("g");
    let mut wrong = Vec::new();
    for fault in &GUESTS {
        cloud.bash(fault.inject);
        let expected = [format!("{} {INSIDE}", fault.code)];
        for question in [&["diagnose", "inst1"][..], &["diagnose", "inst1", "--passive"], &["check", "host"]]
        {
            wrong.extend(cloud.report(&cloud.entered(), question).complaint(&expected, fault.inject));
        }
        let outside = cloud.report(&cloud.outside(), &["diagnose", "inst1"]);
        if list(&outside.json["findings"]).is_empty() {
            wrong.push(format!("{}: nothing is found from outside", fault.inject));
        }
        cloud.bash(fault.heal);
        let after = format!("after {}", fault.inject);
        wrong.extend(cloud.complaints(&[&["diagnose", "inst1"], &["check"]], &Expected::default(), &after));
    }
    assert_none(&wrong);
}

#[test]
fn faults_of_rules_and_services_are_named_and_healed() {
    each_is_named_and_healed("r", &RULES);
}

fn each_is_named_and_healed(tag: &str, faults: &[Fault]) {
    let cloud = Minicloud::up(tag);
    let mut wrong = Vec::new();
    let passive: Vec<_> = ["inst1", "inst2", "inst3"].map(|name| ["diagnose", name, "--passive"]).into();
    let passive: Vec<&[&str]> = passive.iter().map(<[&str; 3]>::as_slice).collect();
    let real = [&["diagnose", "inst1"][..], &["diagnose", "inst2"], &["diagnose", "inst3"]];
    let healthy = [&passive[..], &real, &[&["check"]]].concat();
    wrong.extend(cloud.complaints(&healthy, &Expected::default(), "a new cloud"));
    for fault in faults {
        // inst1 runs on host.
        let host = fault.hops[0].split('/').next().filter(|host| *host != "inst1").unwrap_or("host");
        let broken = [&["diagnose", "inst1"][..], &["diagnose", "inst1", "--passive"], &["check", host]];
        cloud.bash(fault.inject);
        let named = |hop: &&str| format!("{} {hop}", fault.code);
        let entered: Vec<String> = fault.hops.iter().map(named).collect();
        let outside = entered.iter().map(|finding| finding.replace(INSIDE, INSIDE_UNSEEN)).collect();
        wrong.extend(cloud.complaints(&broken, &Expected { entered, outside }, fault.inject));
        cloud.bash(fault.heal);
        // A question by ARP from before may still end unanswered, and take with it what waits for it; and a router that
        // knows an old MAC asks anew after eight seconds (`delay_first_probe_time`, `ucast_solicit`, arp(7)). A ping
        // that is told unreachable ends, whatever its deadline (ping(8), -w).
        cloud.bash(
            "until h ping -n -c 1 -W 1 198.51.100.10 >/dev/null; do [ $SECONDS -lt 60 ] || exit 1; done",
        );
        let after = format!("after {}", fault.inject);
        wrong.extend(cloud.complaints(&[&["diagnose", "inst1"], &["check"]], &Expected::default(), &after));
    }
    assert_none(&wrong);
}

#[test]
fn the_other_host_is_found_healthy_while_one_is_broken() {
    let cloud = Minicloud::up("o");
    cloud.bash("h ip link set $UPLINK down; stop1");
    let question: [&[&str]; 2] = [&["diagnose", "inst3", "--passive"], &["check", "host2"]];
    // What inst3 asks of the outside, of its own gateway and of dnsmasq does not cross the broken host.
    assert_none(&cloud.complaints(&question, &Expected::default(), "uplink and dnsmasq of host"));
}

#[test]
fn libvirts_domains_are_known_by_the_names_and_hosts_of_the_site_file() {
    let cloud = Minicloud::up("x");
    // minicloud keeps the XML of both hosts in one directory; MAC and host tell whose is whose.
    let add = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let libvirt = format!("role = \"compute\"\nlibvirt = \"{}/libvirt\"\n", cloud.state().display());
        fs::write(&path, text.replace("role = \"compute\"\n", &libvirt)).unwrap();
        path
    };
    let mut wrong = Vec::new();
    for site in [add(cloud.entered()), add(cloud.outside())] {
        for name in ["inst1", "inst2", "inst3"] {
            let question = ["diagnose", name, "--passive", "--minimal", "--site", site.to_str().unwrap()];
            let run = cli_support::hopline(cloud.folder.path(), &question);
            if run.code != 0 {
                wrong.push(format!("{name} with {}: {run:?}", site.display()));
            }
        }
    }
    assert_none(&wrong);
}
