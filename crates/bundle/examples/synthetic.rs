//! Writes the bundle of a compute host that does not exist: `synthetic FILE INSTANCES [NAMES]`. Sizes are those of a
//! real one: a tap, a domain, a console and two dozen rules for each instance, a full log and a busy connection table.
//! Of NAMES instances the database tells, the others being elsewhere; the log names them all. Prints how long writing
//! took, and how long the file is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "an example fails by panicking")]
#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufWriter;
use std::net::Ipv4Addr;
use std::time::Instant;

use bundle::{CloudFacts, Facts, Manifest, Writer, add_plain};
use cloud::Records;
use collect::Machine;
use model::intent::{Floating, Instance, Network, Vif};
use model::link::{Bridge, BridgePort, FdbEntry, FdbKind, Link, LinkKind};
use model::netfilter::{Dialect, Family, Ruleset};
use model::route::{Address, Neighbour, NeighbourState, Route, RouteKind};
use model::snapshot::Host;
use model::{Mac, Netns};

const BRIDGE: u32 = 3;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("synthetic FILE INSTANCES");
    let instances: u32 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let names: u32 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(instances);
    let (save, tracked) = (rules(instances), connections(100_000));
    let mut facts = facts(instances, &save, &tracked);
    facts
        .cloud
        .records
        .iter_mut()
        .for_each(|records| records.instances.extend((instances..names).map(elsewhere)));
    let texts: Vec<(String, String)> = (0..instances).flat_map(files).collect();
    let log = log(names.max(instances));

    let started = Instant::now();
    let spool_name = format!("{file}.spool");
    let spool = File::options().read(true).write(true).create(true).truncate(true).open(&spool_name).unwrap();
    let writer = Writer::new(spool, 1_700_000_000).unwrap();
    std::fs::remove_file(&spool_name).unwrap();
    writer.add("compute1", "main/iptables-nft-save.txt", &save);
    writer.add("compute1", "main/nf_conntrack.txt", &tracked);
    writer.add("compute1", "var/log/syslog", &log);
    texts.iter().for_each(|(name, text)| writer.add("compute1", name, text));
    add_plain(&writer, &facts);
    let bytes = writer.finish(&facts, BufWriter::new(File::create(&file).unwrap())).unwrap().bytes;
    println!("{{\"written_ms\": {}, \"bytes\": {bytes}}}", started.elapsed().as_millis());
}

fn mac(n: u32) -> Mac {
    let [_, a, b, c] = n.to_be_bytes();
    Mac([0xfa, 0x16, 0x3e, a, b, c])
}

fn fixed(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 4, 0)) + n)
}

fn floating(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(203, 0, 112, 0)) + n)
}

fn facts(instances: u32, save: &str, tracked: &str) -> Facts {
    let link = |index, name: &str, kind| Link {
        index,
        name: name.to_owned(),
        kind,
        admin_up: true,
        carrier: true,
        mac: Some(mac(0x00ff_0000 + index)),
        ..Link::default()
    };
    let mut bridge = link(BRIDGE, "br100", LinkKind::Bridge);
    bridge.bridge = Some(Bridge::default());
    let mut links = vec![link(1, "lo", LinkKind::Loopback), link(2, "eth0", LinkKind::Physical), bridge];
    let (mut fdb, mut neighbours, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..instances {
        let (index, name) = (n + 10, format!("vnet{n}"));
        let mut tap = link(index, &name, LinkKind::Tun);
        (tap.master, tap.master_name) = (Some(BRIDGE), Some("br100".to_owned()));
        tap.port = Some(BridgePort::default());
        links.push(tap);
        fdb.push(FdbEntry {
            mac: mac(n),
            link: index,
            vlan: None,
            kind: FdbKind::Learned,
            sticky: false,
            remote: None,
            on_self: false,
        });
        let state = NeighbourState::Reachable;
        neighbours.push(Neighbour {
            link: BRIDGE,
            ip: fixed(n).into(),
            mac: Some(mac(n)),
            state,
            proxy: false,
        });
        let hung = Floating {
            id: Some(n.into()),
            address: floating(n),
            fixed: fixed(n),
            host: Some("compute1".to_owned()),
        };
        let vif = Vif {
            mac: Some(mac(n)),
            device: Some(name),
            network: Some(0),
            fixed: vec![fixed(n)],
            floating: vec![hung],
            ..Vif::default()
        };
        rows.push(Instance {
            id: Some(u64::from(n) + 1),
            uuid: Some(uuid(n)),
            name: called(n),
            host: "compute1".to_owned(),
            vm_state: Some("active".to_owned()),
            vifs: vec![vif],
            ..Instance::default()
        });
    }
    let on = |link, net: &str| Address::global(link, net.parse().unwrap());
    let default = Route {
        nexthops: vec![model::route::Nexthop {
            via: Some("203.0.112.1".parse().unwrap()),
            link: 2,
            weight: 1,
            onlink: false,
            dead: false,
            linkdown: false,
        }],
        ..Route::new(254, "0.0.0.0/0".parse().unwrap(), RouteKind::Unicast)
    };
    let tables = parse::iptables_save::parse(save, Dialect::IptablesNft, Family::Ip).value;
    let netns = Netns {
        machine: "compute1".to_owned(),
        inode: Some(4_026_531_840),
        links,
        addresses: vec![on(2, "203.0.112.2/20"), on(BRIDGE, "10.0.0.1/16")],
        routes: vec![default],
        rules: model::route::default_rules(),
        neighbours,
        fdb,
        ruleset: Ruleset { tables, ..Ruleset::default() },
        conntrack: parse::conntrack_list::parse(tracked).value,
        sysctls: [("ipv4.ip_forward".to_owned(), "1".to_owned())].into(),
        ..Netns::default()
    };
    let host = Host { name: "compute1".to_owned(), role: "compute".to_owned(), ..Host::default() };
    let network = Network {
        id: Some(1),
        label: "private".to_owned(),
        cidr: Some("10.0.0.0/16".parse().unwrap()),
        bridge: Some("br100".to_owned()),
        gateway: Some("10.0.0.1".parse().unwrap()),
        multi_host: true,
        share_address: true,
        ..Network::default()
    };
    let records = Records {
        source: "synthetic".to_owned(),
        instances: rows,
        networks: vec![network],
        ..Records::default()
    };
    Facts {
        manifest: Manifest { taken_at: 1_700_000_000, ..Manifest::default() },
        machines: vec![(
            "compute1".to_owned(),
            false,
            Ok(Machine { netns, host: Some(host), gaps: Vec::new() }),
        )],
        cloud: CloudFacts { records: Some(records), ..CloudFacts::default() },
    }
}

/// An instance on another host.
fn elsewhere(n: u32) -> Instance {
    Instance {
        id: Some(u64::from(n) + 1),
        uuid: Some(uuid(n)),
        name: called(n),
        host: "compute2".to_owned(),
        vm_state: Some("active".to_owned()),
        ..Instance::default()
    }
}

/// As people name instances: the first word tells nothing.
fn called(n: u32) -> String {
    format!("prod-web-{n}")
}

fn uuid(n: u32) -> String {
    let mixed = n.wrapping_mul(2_654_435_761);
    format!("{mixed:08x}-{:04x}-4000-8000-{mixed:08x}{:04x}", n & 0xffff, n & 0xffff)
}

/// A chain of security-group rules for each instance, and its two translations.
fn rules(instances: u32) -> String {
    let mut out = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n".to_owned();
    for n in 0..instances {
        let _ = writeln!(out, ":nova-compute-inst-{n} - [0:0]");
    }
    for n in 0..instances {
        let chain = format!("nova-compute-inst-{n}");
        let _ = writeln!(out, "[{n}:{n}] -A FORWARD -d {}/32 -j {chain}", fixed(n));
        let _ = writeln!(out, "[0:0] -A {chain} -m state --state INVALID -j DROP");
        let _ = writeln!(out, "[9:{n}] -A {chain} -m state --state RELATED,ESTABLISHED -j ACCEPT");
        let _ = writeln!(out, "[0:0] -A {chain} -p icmp -j ACCEPT");
        for port in 0..16 {
            let _ = writeln!(
                out,
                "[{n}:0] -A {chain} -s 10.{port}.0.0/16 -p tcp --dport {} -j ACCEPT",
                8000 + port
            );
        }
        let _ = writeln!(out, "[0:0] -A {chain} -j DROP");
    }
    out.push_str("COMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n");
    for n in 0..instances {
        let _ =
            writeln!(out, "[0:0] -A PREROUTING -d {}/32 -j DNAT --to-destination {}", floating(n), fixed(n));
        let _ = writeln!(out, "[0:0] -A POSTROUTING -s {}/32 -j SNAT --to-source {}", fixed(n), floating(n));
    }
    out.push_str("COMMIT\n");
    out
}

fn connections(count: u32) -> String {
    let mut out = String::new();
    for n in 0..count {
        let (from, to) =
            (fixed(n % 1000), Ipv4Addr::from(0x0808_0000 + n.wrapping_mul(2_654_435_761) % 65_536));
        let port = 1024 + n % 60_000;
        let _ = writeln!(
            out,
            "ipv4     2 tcp      6 {} ESTABLISHED src={from} dst={to} sport={port} dport=443 src={to} dst={} \
             sport=443 dport={port} [ASSURED] mark=0 zone=0 use=2",
            n % 432_000,
            floating(n % 1000),
        );
    }
    out
}

/// A domain and the end of a console.
fn files(n: u32) -> Vec<(String, String)> {
    let xml = format!(
        "<domain type='kvm'><name>instance-{n:08x}</name><uuid>{}</uuid><memory unit='KiB'>2097152</memory>\n{}\
         <interface type='bridge'><mac address='{}'/><source bridge='br100'/><target dev='vnet{n}'/></interface>\n\
         </domain>\n",
        uuid(n),
        "<controller type='pci' index='0' model='pci-root'><alias name='pci.0'/></controller>\n".repeat(40),
        mac(n),
    );
    let mut console = String::new();
    for line in 0..400_u32 {
        let time = line.wrapping_mul(7919).wrapping_add(n.wrapping_mul(104_729)) % 1_000_000;
        let _ = writeln!(
            console,
            "[{:5}.{time:06}] pci 0000:00:{:02x}.0: reg 0x10: [mem {time:#010x}-{:#010x}]",
            line / 40,
            line % 32,
            time ^ 0xfff
        );
    }
    vec![
        (format!("etc/libvirt/qemu/instance-{n:08x}.xml"), xml),
        (format!("var/lib/nova/instances/{}/console.log", uuid(n)), console),
    ]
}

/// dnsmasq's last 8 MiB.
fn log(instances: u32) -> String {
    let mut out = String::new();
    for n in (0..instances).cycle() {
        let (second, mac, ip) = (out.len() / 400 % 60, mac(n), fixed(n));
        let _ = writeln!(
            out,
            "Nov 26 12:00:{second:02} compute1 dnsmasq-dhcp[4711]: DHCPREQUEST(br100) {ip} {mac}"
        );
        let _ = writeln!(
            out,
            "Nov 26 12:00:{second:02} compute1 dnsmasq-dhcp[4711]: DHCPACK(br100) {ip} {mac} {}",
            called(n)
        );
        if out.len() > 8 << 20 {
            break;
        }
    }
    out
}
