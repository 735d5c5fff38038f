//! Clouds in which nothing is wrong, though some merely look odd.

/// A healthy cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// What is odd about it.
    pub name: &'static str,
    /// What `hopline lab up` is told.
    pub up: &'static [&'static str],
    /// What is done to it then.
    pub then: &'static [Step],
}

/// Something done to a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `hopline lab WORDS`.
    Lab(&'static [&'static str]),
    /// A command in the namespace of a host or an instance.
    In(&'static str, &'static [&'static str]),
    /// The same, and it may fail: it is there for what it leaves behind.
    Tried(&'static str, &'static [&'static str]),
    /// A command that goes on while the cloud is asked about.
    Meanwhile(&'static str, &'static [&'static str]),
}

use Step::{In, Lab, Meanwhile, Tried};

/// The host that most of it is done to.
const HOST: &str = "compute1";

const fn variant(name: &'static str, then: &'static [Step]) -> Variant {
    Variant { name, up: &[], then }
}

const fn shaped(name: &'static str, up: &'static [&'static str]) -> Variant {
    Variant { name, up, then: &[] }
}

/// All of them.
pub(crate) const VARIANTS: [Variant; 32] = [
    shaped("one-host", &[]),
    shaped("two-hosts", &["--hosts", "2"]),
    shaped("network-host", &["--hosts", "2", "--no-multi-host"]),
    shaped("shared-gateway-address", &["--hosts", "2", "--share-address"]),
    shaped("three-hosts-and-twelve-instances", &["--hosts", "3", "--instances", "12"]),
    shaped("vlans", &["--manager", "vlan", "--hosts", "2"]),
    shaped("one-instance", &["--instances", "1"]),
    shaped("virtual-machines", &["--guest", "qemu"]),
    variant(
        "odd-names",
        &[
            Lab(&["boot", "a"]),
            Lab(&["boot", "x-0"]),
            Lab(&["boot", "br100"]),
            Lab(&["boot", "x--y-0123456789-0123456789"]),
        ],
    ),
    variant(
        "chains-of-docker",
        &[
            In(HOST, &["ip", "link", "add", "docker0", "type", "bridge"]),
            In(HOST, &["ip", "address", "add", "172.17.0.1/16", "dev", "docker0"]),
            In(HOST, &["ip", "link", "set", "docker0", "up"]),
            In(HOST, &["iptables", "-N", "DOCKER"]),
            In(HOST, &["iptables", "-N", "DOCKER-USER"]),
            In(HOST, &["iptables", "-A", "DOCKER-USER", "-j", "RETURN"]),
            In(HOST, &["iptables", "-I", "FORWARD", "1", "-j", "DOCKER-USER"]),
            In(HOST, &["iptables", "-A", "FORWARD", "-o", "docker0", "-j", "DOCKER"]),
            In(HOST, &["iptables", "-A", "FORWARD", "-i", "docker0", "!", "-o", "docker0", "-j", "ACCEPT"]),
            In(HOST, &["iptables", "-A", "DOCKER", "!", "-i", "docker0", "-o", "docker0", "-j", "DROP"]),
            In(
                HOST,
                &[
                    "iptables",
                    "-t",
                    "nat",
                    "-A",
                    "POSTROUTING",
                    "-s",
                    "172.17.0.0/16",
                    "!",
                    "-o",
                    "docker0",
                    "-j",
                    "MASQUERADE",
                ],
            ),
        ],
    ),
    variant(
        "rules-that-log",
        &[
            In(
                HOST,
                &[
                    "iptables",
                    "-I",
                    "FORWARD",
                    "1",
                    "-m",
                    "limit",
                    "--limit",
                    "1/min",
                    "-j",
                    "LOG",
                    "--log-prefix",
                    "fwd ",
                ],
            ),
            In(HOST, &["iptables", "-I", "INPUT", "1", "-p", "icmp", "-j", "LOG", "--log-level", "debug"]),
        ],
    ),
    variant(
        "rules-that-count",
        &[
            In(
                HOST,
                &[
                    "iptables",
                    "-I",
                    "FORWARD",
                    "1",
                    "-s",
                    "10.0.0.0/16",
                    "-m",
                    "comment",
                    "--comment",
                    "count",
                ],
            ),
            In(HOST, &["iptables", "-t", "mangle", "-A", "PREROUTING", "-p", "icmp"]),
            In(HOST, &["iptables", "-t", "raw", "-A", "PREROUTING", "-i", "br100"]),
        ],
    ),
    variant(
        "an-nft-table-that-accepts",
        &[
            In(HOST, &["nft", "add table inet watch"]),
            In(
                HOST,
                &["nft", "add set inet watch seen { type ipv4_addr; elements = { 192.0.2.1, 10.0.2.24 }; }"],
            ),
            In(
                HOST,
                &["nft", "add chain inet watch fw { type filter hook forward priority 10; policy accept; }"],
            ),
            In(HOST, &["nft", "add rule inet watch fw ip saddr @seen counter accept"]),
            In(HOST, &["nft", "add rule inet watch fw ip saddr 192.0.2.0/24 counter drop"]),
        ],
    ),
    variant(
        "an-ipset",
        &[
            In(HOST, &["ipset", "create", "friends", "hash:net"]),
            In(HOST, &["ipset", "add", "friends", "10.0.0.0/16"]),
            In(HOST, &["ipset", "create", "foes", "hash:ip"]),
            In(HOST, &["ipset", "add", "foes", "192.0.2.66"]),
            In(
                HOST,
                &["iptables", "-I", "FORWARD", "1", "-m", "set", "--match-set", "foes", "src", "-j", "DROP"],
            ),
            In(
                HOST,
                &[
                    "iptables",
                    "-I",
                    "INPUT",
                    "1",
                    "-m",
                    "set",
                    "--match-set",
                    "friends",
                    "src",
                    "-j",
                    "ACCEPT",
                ],
            ),
        ],
    ),
    variant(
        "legacy-rules-that-let-pass",
        &[
            In(HOST, &["iptables-legacy", "-A", "FORWARD", "-i", "br100", "-j", "ACCEPT"]),
            In(HOST, &["iptables-legacy", "-A", "INPUT", "-s", "192.0.2.0/24", "-j", "DROP"]),
        ],
    ),
    variant(
        "rules-of-the-bridge-that-let-pass",
        &[
            In(HOST, &["ebtables", "-A", "FORWARD", "-p", "IPv4", "-j", "ACCEPT"]),
            In(HOST, &["ebtables", "-A", "FORWARD", "-p", "0x88cc", "-j", "DROP"]),
            In(HOST, &["ebtables", "-t", "nat", "-A", "PREROUTING", "-s", "02:00:00:00:00:66", "-j", "DROP"]),
        ],
    ),
    variant(
        "idle-bridges",
        &[
            In(HOST, &["ip", "link", "add", "br-idle", "type", "bridge"]),
            In(HOST, &["ip", "link", "add", "br-up", "type", "bridge"]),
            In(HOST, &["ip", "link", "set", "br-up", "up"]),
            In(HOST, &["ip", "address", "add", "192.168.99.1/24", "dev", "br-up"]),
        ],
    ),
    variant(
        "idle-links",
        &[
            In(HOST, &["ip", "link", "add", "spare0", "type", "veth", "peer", "name", "spare1"]),
            In(HOST, &["ip", "link", "add", "bridged0", "type", "veth", "peer", "name", "bridged1"]),
            In(HOST, &["ip", "link", "set", "bridged0", "up"]),
            In(HOST, &["ip", "link", "set", "bridged1", "up"]),
            In(HOST, &["ip", "link", "set", "bridged0", "master", "br100"]),
        ],
    ),
    variant(
        "a-second-default-route",
        &[In(HOST, &["ip", "route", "add", "default", "via", "203.0.113.254", "metric", "500"])],
    ),
    variant(
        "routes-of-others",
        &[
            In(HOST, &["ip", "route", "add", "blackhole", "198.18.0.0/15"]),
            In(HOST, &["ip", "route", "add", "unreachable", "192.0.2.0/24"]),
            In(HOST, &["ip", "rule", "add", "from", "192.0.2.0/24", "lookup", "100", "pref", "100"]),
            In(HOST, &["ip", "rule", "add", "pref", "200", "lookup", "main"]),
        ],
    ),
    variant(
        "old-counts-of-drops",
        &[
            In(HOST, &["iptables", "-I", "FORWARD", "1", "-d", "192.0.2.0/24", "-j", "DROP"]),
            In(HOST, &["iptables", "-I", "INPUT", "1", "-p", "udp", "--dport", "9", "-j", "DROP"]),
            Tried("web1", &["ping", "-n", "-c", "3", "-i", "0.1", "-W", "1", "192.0.2.9"]),
            Tried("web1", &["ping", "-n", "-c", "2", "-i", "0.1", "-W", "1", "203.0.113.9"]),
        ],
    ),
    variant(
        "neighbours-that-are-gone",
        &[
            Tried(HOST, &["ping", "-n", "-c", "1", "-W", "1", "10.0.77.77"]),
            Tried(HOST, &["ping", "-n", "-c", "1", "-W", "1", "203.0.113.200"]),
            Tried("web1", &["ping", "-n", "-c", "1", "-W", "1", "10.0.77.78"]),
        ],
    ),
    variant("an-instance-that-is-switched-off", &[Lab(&["stop", "web2"])]),
    variant(
        "instances-that-came-and-went",
        &[Lab(&["boot", "app1"]), Lab(&["delete", "app1"]), Lab(&["boot", "app2"])],
    ),
    variant(
        "services-that-were-restarted",
        &[
            Lab(&["restart", "nova-network"]),
            Lab(&["restart", "nova-compute"]),
            Lab(&["restart", "nova-api-metadata"]),
            Lab(&["restart", "dnsmasq"]),
        ],
    ),
    variant(
        "a-capture-that-runs",
        &[Meanwhile(HOST, &["tcpdump", "-Z", "root", "-n", "-w", "/dev/null", "-i", "br100"])],
    ),
    variant(
        "traffic-meanwhile",
        &[
            Meanwhile("web1", &["ping", "-q", "-n", "-i", "0.05", "1.2.3.4"]),
            Meanwhile("web2", &["ping", "-q", "-n", "-i", "0.05", "10.0.2.24"]),
        ],
    ),
    variant(
        "instances-let-in-less",
        &[Lab(&["secgroup", "create", "closed"]), Lab(&["boot", "shut1", "--secgroup", "closed"])],
    ),
    variant(
        "sysctls-of-a-hardened-host",
        &[
            In(HOST, &["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2"]),
            In(HOST, &["sysctl", "-qw", "net.ipv4.conf.all.log_martians=1"]),
            In(HOST, &["sysctl", "-qw", "net.ipv4.conf.all.accept_redirects=0"]),
            In(HOST, &["sysctl", "-qw", "net.ipv4.conf.all.accept_source_route=0"]),
            In(HOST, &["sysctl", "-qw", "net.ipv4.conf.all.arp_announce=2"]),
            In(HOST, &["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1"]),
        ],
    ),
    variant("a-host-without-ipv6", &[In(HOST, &["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])]),
    variant(
        "a-firewall-in-an-instance-that-lets-in",
        &[
            In("web1", &["iptables", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"]),
            In(
                "web1",
                &[
                    "iptables",
                    "-A",
                    "INPUT",
                    "-m",
                    "conntrack",
                    "--ctstate",
                    "ESTABLISHED,RELATED",
                    "-j",
                    "ACCEPT",
                ],
            ),
            In("web1", &["iptables", "-A", "INPUT", "-p", "icmp", "-j", "ACCEPT"]),
            In("web1", &["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT"]),
            In("web1", &["iptables", "-P", "INPUT", "DROP"]),
        ],
    ),
    variant(
        "what-tcp-keeps-of-old-connections",
        &[
            Tried(
                "web1",
                &["timeout", "2", "busybox", "wget", "-q", "-O", "/dev/null", "http://169.254.169.254/"],
            ),
            Tried(
                "ext",
                &["timeout", "2", "busybox", "wget", "-q", "-O", "/dev/null", "http://203.0.113.30/"],
            ),
            Tried("ext", &["timeout", "2", "busybox", "nc", "-w", "1", "203.0.113.30", "8080"]),
            Tried("web1", &["busybox", "nslookup", "openstack.test", "10.0.0.42"]),
        ],
    ),
];
