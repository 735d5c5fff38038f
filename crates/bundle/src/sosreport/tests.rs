use std::io::Write;
use std::path::{Path, PathBuf};

use lzma_rust2::{XzOptions, XzWriter};
use model::Netns;
use model::link::LinkKind;
use model::netfilter::Family;
use model::route::{RuleAction, TABLE_MAIN};
use model::snapshot::Host;
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::*;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sosreports").join(name)
}

/// A sample read as a folder: its machines.
fn machines(name: &str) -> Vec<Machine> {
    machines_in(&sample(name))
}

fn machines_in(folder: &Path) -> Vec<Machine> {
    let bundle = read_folder(folder, "report").unwrap();
    assert_eq!((bundle.gaps.as_slice(), bundle.is_sosreport), (&[][..], true));
    bundle.members.into_iter().map(|member| member.outcome.unwrap()).collect()
}

fn kinds(netns: &Netns) -> Vec<(&str, LinkKind)> {
    netns.links.iter().map(|link| (link.name.as_str(), link.kind.clone())).collect()
}

fn lacks(machine: &Machine) -> Vec<(&str, &str)> {
    machine.gaps.iter().map(|gap| (gap.what.as_str(), gap.would_need.as_str())).collect()
}

/// What a report of sos 3.2 tells, and what it does not.
#[test]
fn the_layout_of_sos_3_is_read() {
    let machines = machines("sos-3.2");
    let [machine] = machines.as_slice() else { panic!("one") };
    let netns = &machine.netns;
    assert_eq!(
        (netns.machine.as_str(), netns.addresses.len(), netns.routes.len()),
        ("node7.example.org", 3, 7)
    );
    let expected = [
        ("lo", LinkKind::Loopback),
        ("em1", LinkKind::Physical),
        ("em2", LinkKind::Physical),
        ("br100", LinkKind::Bridge),
        ("vnet0", LinkKind::Physical),
    ];
    assert_eq!(kinds(netns), expected);
    assert_eq!(netns.link_named("vnet0").unwrap().master, Some(4));
    assert_eq!(netns.sysctl("ipv4.ip_forward"), Some(1));
    assert_eq!(netns.sockets.iter().map(|socket| socket.port).collect::<Vec<_>>(), [53, 67]);
    assert_eq!(netns.neighbours.len(), 2);
    // Whom its rules are for is not told: whatever they do, it is not known.
    assert!(netns.rules.iter().any(|rule| rule.unmodelled.is_some() && rule.action == RuleAction::Nop));
    let unread: Vec<Family> = netns.ruleset.unread.iter().map(|unread| unread.family).collect();
    assert_eq!(unread, [Family::Ip], "{:?}", netns.ruleset);
    let Host { kernel, dnsmasq, domains, nova, processes, .. } = machine.host.as_ref().unwrap();
    assert_eq!((kernel.as_str(), processes.len(), domains.len()), ("3.10.0-229.el7.x86_64", 2, 1));
    assert_eq!(dnsmasq.first().unwrap().hosts, None);
    assert_eq!(nova.as_ref().unwrap().public_interface(), "em1");
    let expected = [
        ("/var/lib/nova/networks/nova-br100.conf", "/var/lib/nova/networks/nova-br100.conf"),
        ("FDB entries of node7.example.org", "bridge fdb"),
        ("FIB rules of node7.example.org", "ip -4 rule"),
        ("FIB rules of node7.example.org", "ip -6 rule"),
        ("VLANs of bridges of node7.example.org", "bridge vlan show"),
        ("kinds of links, and settings of bridge ports of node7.example.org", "ip -s -d link"),
        ("queueing disciplines of node7.example.org", "tc -s qdisc show"),
        ("rules of iptables-legacy of node7.example.org", "iptables-legacy-save -c"),
        ("tracked connections of node7.example.org", "conntrack -L"),
        ("version of nova of node7.example.org", "installed-rpms: the plugin `rpm` writes it"),
        (
            "what dnsmasq said on node7.example.org",
            "/var/log/syslog or /var/log/messages, or what `journalctl` prints: the plugin `logs` writes it",
        ),
        (
            "what runs inside of the instances of node7.example.org",
            "`hopline diagnose` on the host, which asks in their place",
        ),
    ];
    let mut told = lacks(machine);
    told.sort_unstable();
    assert_eq!(told, expected);
}

/// The same of sos 4.8, which asks in each namespace, too.
#[test]
fn the_layout_of_sos_4_is_read() {
    let machines = machines("sos-4.8");
    let [machine, further] = machines.as_slice() else { panic!("two") };
    let netns = &machine.netns;
    let expected = [
        ("lo", LinkKind::Loopback),
        ("ens3", LinkKind::Physical),
        ("br100", LinkKind::Bridge),
        ("vnet0", LinkKind::Tun),
        ("tap7", LinkKind::Veth),
    ];
    assert_eq!(kinds(netns), expected);
    let vnet0 = netns.link_named("vnet0").unwrap();
    assert!(vnet0.port.unwrap().hairpin && vnet0.bridge_vlans[0].pvid && vnet0.bridge_vlans.len() == 1);
    assert_eq!(netns.link_named("tap7").unwrap().peer.unwrap().netns, further.netns.inode);
    // The route that both listings have is one.
    let in_main = netns.routes.iter().filter(|route| route.table == TABLE_MAIN).count();
    assert_eq!((netns.routes.len(), in_main, netns.rules.len(), netns.fdb.len()), (5, 3, 4, 1));
    let [table] = netns.ruleset.tables.as_slice() else { panic!("{:?}", netns.ruleset) };
    assert_eq!((table.chains[0].rules.len(), &netns.ruleset.unread), (1, &Vec::new()));
    let host = machine.host.as_ref().unwrap();
    assert!(host.domains[0].live && host.processes[0].state == "S");
    let journal = "sos_commands/logs/journalctl_--no-pager_--boot";
    assert_eq!((host.dhcp_log.len(), host.dhcp_log_file.as_deref()), (2, Some(journal)));
    let inside = &further.netns;
    assert_eq!((inside.name.as_str(), inside.enter.as_deref()), ("qdhcp-7", Some("qdhcp-7")));
    assert_eq!((inside.addresses.len(), inside.ruleset.tables.len()), (1, 1));
    let [gap] = further.gaps.as_slice() else { panic!("{:?}", further.gaps) };
    assert!(gap.what.ends_with("of the namespace qdhcp-7 of node8"), "{gap:?}");
    assert!(gap.would_need.contains("nft -a list ruleset"), "{gap:?}");
}

/// A copy of the sample of sos 4.8 that may be changed.
pub(super) fn copy_of_sample(into: &Path) -> PathBuf {
    let copied = into.join("report");
    let (from, to) = (sample("sos-4.8"), copied.to_str().unwrap());
    let status = std::process::Command::new("cp").args(["-r", from.to_str().unwrap(), to]).status();
    assert!(status.unwrap().success());
    copied
}

/// Of a log that is too long for it sos keeps the end elsewhere, and leaves a link to it.
#[test]
fn of_a_long_log_the_end_is_read_through_its_link() {
    let folder = tempfile::tempdir().unwrap();
    let copied = copy_of_sample(folder.path());
    let strings = copied.join("sos_strings/logs");
    std::fs::create_dir_all(&strings).unwrap();
    std::fs::create_dir_all(copied.join("var/log")).unwrap();
    let ends = "Aug 20 09:11:07 node8 dnsmasq-dhcp[5120]: DHCPACK(br100) 10.0.0.7 fa:16:3e:4e:6f:01 web1\n";
    std::fs::write(strings.join("var.log.syslog.tailed"), ends).unwrap();
    let link = "../../sos_strings/logs/var.log.syslog.tailed";
    std::os::unix::fs::symlink(link, copied.join("var/log/syslog")).unwrap();
    let host = machines_in(&copied).remove(0).host.unwrap();
    assert_eq!((host.dhcp_log.len(), host.dhcp_log_file.as_deref()), (1, Some("/var/log/syslog")));
    // A syslog that knows nothing of dnsmasq does not hide the journal, which does.
    std::fs::write(strings.join("var.log.syslog.tailed"), "Aug 20 09:11:07 node8 cron[7]: x\n").unwrap();
    let host = machines_in(&copied).remove(0).host.unwrap();
    assert_eq!(host.dhcp_log.len(), 2, "{:?}", host.dhcp_log_file);
}

/// Octets that are no UTF-8 cost their own place alone, and lines may end as on another system.
#[test]
fn other_encodings_are_read_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let copied = copy_of_sample(folder.path());
    let expected = machines_in(&copied);
    let change = |file: &str, with: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let file = copied.join(file);
        std::fs::write(&file, with(std::fs::read(&file).unwrap())).unwrap();
    };
    let dos = |text: Vec<u8>| String::from_utf8(text).unwrap().replace('\n', "\r\n").into_bytes();
    let latin1 = |mut text: Vec<u8>| {
        text.extend(b"Aug 20 09:11:08 node8 app[7]: caf\xe9\n");
        text
    };
    change("sos_commands/networking/ip_-s_-d_link", &dos);
    change("sos_commands/networking/ip_route_show_table_all", &dos);
    change("sos_commands/networking/ip_-d_address", &dos);
    change("sos_commands/logs/journalctl_--no-pager_--boot", &latin1);
    assert_eq!(machines_in(&copied), expected);
    // UTF-16 is no listing: it is told, and nothing is made of it.
    let utf16 = |text: Vec<u8>| text.iter().flat_map(|octet| [*octet, 0]).collect();
    change("sos_commands/networking/bridge_-s_-s_-d_-t_fdb_show", &utf16);
    let machine = machines_in(&copied).remove(0);
    assert!(machine.netns.fdb.is_empty());
    assert!(lacks(&machine).contains(&("FDB entries of node8", "bridge fdb")), "{machine:?}");
}

/// A folder that is a link is another's: what it leads to is not read, whoever made the report.
#[test]
fn a_folder_that_leads_out_of_an_unpacked_report_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (outside, inside) = (folder.path().join("outside"), folder.path().join("inside"));
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    let report = copy_of_sample(&outside);
    let follow = |target: &Path, link: PathBuf| std::os::unix::fs::symlink(target, link).unwrap();
    follow(&report, inside.join("sosreport-x"));
    assert!(matches!(read_folder(&inside, "x"), Err(ReadError::NoSosreport)));
    follow(&report.join("sos_commands"), inside.join("sos_commands"));
    assert!(matches!(read_folder(&inside, "x"), Err(ReadError::NoSosreport)));
    // Who names a link means what it leads to.
    let named = folder.path().join("named");
    follow(&report, named.clone());
    assert!(read_folder(&named, "x").is_ok());
    std::fs::rename(report.join("sos_commands/networking"), outside.join("networking")).unwrap();
    follow(&outside.join("networking"), report.join("sos_commands/networking"));
    let bundle = read_folder(&report, "x").unwrap();
    assert!(bundle.members[0].outcome.is_err(), "{bundle:?}");
}

/// `iptables -L` alone is no dump; what is missing is told one by one, each with the one file that would settle it.
#[test]
fn rules_that_are_only_listed_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let copied = copy_of_sample(folder.path());
    std::fs::remove_file(copied.join("sos_commands/firewall_tables/nft_-a_list_ruleset")).unwrap();
    let listing = sample("sos-3.2").join("sos_commands/networking/iptables_-t_filter_-nvL");
    std::fs::copy(listing, copied.join("sos_commands/networking/iptables_-t_filter_-nvL")).unwrap();
    let machines = machines_in(&copied);
    let rules: Vec<(&str, &str)> =
        lacks(&machines[0]).into_iter().filter(|(what, _)| what.contains("rules")).collect();
    let listed = "rules of iptables (`iptables -L` lists them without what they look for) of node8";
    let expected = [
        (listed, "iptables-save -c"),
        ("rules of ip6tables of node8", "ip6tables-save -c"),
        ("netfilter rules in nf_tables of node8", "nft -a list ruleset"),
    ];
    assert_eq!(rules, expected);
    let ruleset = &machines[0].netns.ruleset;
    assert_eq!(ruleset.unread_of(Family::Ip).unwrap().would_need, "iptables-save -c");
}

/// The sample of sos 4.8, with these files in place of its own.
fn damaged(changed: &[(&str, &str)]) -> Bundle {
    let own = sample_files();
    let kept = own.iter().filter(|(path, _)| changed.iter().all(|(other, _)| path != other));
    let files: Vec<(&str, &str)> = kept.map(|(path, text)| (path.as_str(), text.as_str())).collect();
    read(&archive(&[&files, changed].concat())[..], Packing::Tar, "x").unwrap()
}

/// What is said where a command could not be asked.
const COMPLAINTS: [&str; 3] =
    ["Operation not permitted (you must be root)\n", "sh: 1: x: not found\n", "[plugin timeout]"];

/// A file that holds but a complaint is as good as none: nothing is known, which is not to say that there is nothing.
#[test]
fn a_complaint_is_no_listing() {
    for complaint in COMPLAINTS {
        let networking = |file: &str| damaged(&[(&format!("sos_commands/networking/{file}"), complaint)]);
        for (bundle, needs) in [
            (networking("ip_route_show_table_all"), "ip_route_show_table_all"),
            (networking("ip_-d_address"), "ip_-d_address"),
            (networking("ip_-s_-d_link"), "ip_-s_-d_link"),
        ] {
            let missing = bundle.members[0].outcome.as_ref().unwrap_err();
            assert!(missing.would_need.contains(needs), "{missing:?}");
        }
        let machine = |bundle: Bundle| bundle.members[0].outcome.clone().unwrap();
        let rules = machine(networking("ip_-4_rule_list"));
        assert_eq!(rules.netns.rules.iter().filter(|rule| rule.unmodelled.is_some()).count(), 1);
        assert!(lacks(&rules).contains(&("FIB rules of node8", "ip -4 rule")), "{rules:?}");
        let fdb = machine(networking("bridge_-s_-s_-d_-t_fdb_show"));
        assert!(lacks(&fdb).contains(&("FDB entries of node8", "bridge fdb")), "{fdb:?}");
        let host = machine(damaged(&[("sos_commands/process/ps_auxwwwm", complaint)]));
        assert!(!host.host.as_ref().unwrap().sees_every_process);
        assert!(lacks(&host).iter().any(|(what, _)| *what == "processes of node8"), "{host:?}");
        let nft = machine(damaged(&[("sos_commands/firewall_tables/nft_-a_list_ruleset", complaint)]));
        let unread = nft.netns.ruleset.unread_of(Family::Ip).unwrap();
        assert_eq!((unread.would_need.as_str(), nft.netns.ruleset.tables.len()), ("iptables-save -c", 0));
    }
}

/// What is cut off, or holds a line that makes no sense, is known but for the rest.
#[test]
fn what_is_known_in_part_is_not_taken_for_all() {
    let whole = |path: &str| std::fs::read_to_string(sample("sos-4.8").join(path)).unwrap();
    let machine = |path: &str, text: &str| damaged(&[(path, text)]).members[0].outcome.clone().unwrap();
    let unknown = |rules: &[model::route::FibRule]| {
        rules.iter().filter(|rule| rule.unmodelled.is_some()).cloned().collect::<Vec<_>>()
    };
    let path = "sos_commands/networking/ip_route_show_table_all";
    let first = whole(path).lines().next().unwrap().to_owned() + "\n";
    let cut = machine(path, &format!("{first}10.0.0.0/16 de"));
    let [rule] = &unknown(&cut.netns.rules)[..] else { panic!("{cut:?}") };
    assert_eq!((rule.priority, rule.destination), (0, None));
    assert_eq!(unknown(&cut.netns.rules6).len(), 1);
    let strange = machine(path, &format!("{first}10.77.0.0/16 encap mpls 5 dev br100\n"));
    let [rule] = &unknown(&strange.netns.rules)[..] else { panic!("{strange:?}") };
    assert_eq!((rule.priority, rule.destination.unwrap().to_string()), (1, "10.77.0.0/16".to_owned()));
    assert_eq!(unknown(&strange.netns.rules6), []);
    let path = "sos_commands/networking/ip_-4_rule_list";
    let rules = machine(path, &(whole(path) + "what is this\n"));
    assert_eq!((unknown(&rules.netns.rules).len(), rules.netns.rules.len()), (1, 5));
    let path = "sos_commands/process/ps_auxwwwm";
    let processes = machine(path, &(whole(path) + "dnsmasq 4 0.0\n"));
    assert!(!processes.host.as_ref().unwrap().sees_every_process);
    let path = "sos_commands/firewall_tables/nft_-a_list_ruleset";
    let text = whole(path);
    for text in [text.trim_end().trim_end_matches('}'), &(text.clone() + "Killed\n")] {
        let ruleset = machine(path, text).netns.ruleset;
        assert_eq!((ruleset.tables.len(), ruleset.unread.len()), (1, 5), "{ruleset:?}");
        assert_eq!(ruleset.unread_of(Family::Ip).unwrap().would_need, "nft -a list ruleset");
    }
    let path = "sos_commands/networking/iptables-save";
    for (text, is_whole) in [
        ("*filter\n:INPUT ACCEPT [0:0]\n[1:2] -A INPUT -j DROP\nCOMMIT\n", true),
        ("*filter\n:INPUT ACCEPT [0:0]\n", false),
        ("*filter\n:INPUT ACCEPT [0:0]\nKilled\nCOMMIT\n", false),
    ] {
        let ruleset = machine(path, text).netns.ruleset;
        assert_eq!(ruleset.unread_of(Family::Ip).is_none(), is_whole, "{ruleset:?}");
    }
    // Of links that are cut off nobody knows how many there were: the addresses' listing may have fewer still.
    let path = "sos_commands/networking/ip_-s_-d_link";
    for more in ["9: vnet7: <BROA", "9: vnet7: <BROADCAST> mtu 1500 qdisc noop"] {
        let cut = damaged(&[(path, &format!("{}\n{more}", whole(path).trim_end()))]);
        assert!(cut.members[0].outcome.is_err(), "{cut:?}");
    }
}

/// Without links or routes nothing is said of the host.
#[test]
fn without_links_or_routes_the_host_is_missing() {
    for (files, file) in [
        (&["sos_commands/kernel/uname_-a"][..], "ip_-s_-d_link"),
        (
            &["sos_commands/kernel/uname_-a", "sos_commands/networking/ip_-s_-d_link"],
            "ip_route_show_table_all",
        ),
    ] {
        let files: Vec<(&str, String)> = files
            .iter()
            .map(|path| (*path, std::fs::read_to_string(sample("sos-4.8").join(path)).unwrap()))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let bundle = read(&archive(&files)[..], Packing::Tar, "x").unwrap();
        let [member] = bundle.members.as_slice() else { panic!("{bundle:?}") };
        let missing = member.outcome.as_ref().unwrap_err();
        assert_eq!(member.name, "node8");
        assert!(missing.would_need.contains(file), "{missing:?}");
    }
}

#[test]
fn a_host_is_called_as_the_site_file_has_it() {
    let bundle = read_folder(&sample("sos-3.2"), "x").unwrap();
    let members = called("compute7", bundle.members);
    let machine = members[0].outcome.as_ref().unwrap();
    assert_eq!((members[0].name.as_str(), machine.netns.machine.as_str()), ("compute7", "compute7"));
    assert_eq!(machine.host.as_ref().unwrap().name, "compute7");
    assert!(machine.gaps.iter().any(|gap| gap.what == "FIB rules of compute7"), "{:?}", machine.gaps);
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(7);
        // Long names get a header of their own here, as tar and Python's tarfile write them.
        tar.append_data(&mut header, format!("sosreport-x/{path}"), text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn link(kind: EntryType, path: &str, target: &str) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    tar.append(&header, &[][..]).unwrap();
    tar.into_inner().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn sample_files() -> Vec<(String, String)> {
    fn add(root: &Path, under: &str, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(root.join(under)).unwrap().flatten() {
            let path = format!("{under}{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => add(root, &format!("{path}/"), found),
                kind if kind.is_file() => {
                    found.push((path.clone(), std::fs::read_to_string(root.join(path)).unwrap()));
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    add(&sample("sos-4.8"), "", &mut found);
    found
}

/// Whatever it is packed with, an archive tells what the folder tells.
#[test]
fn an_archive_tells_what_its_folder_tells() {
    let files = sample_files();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let tar = archive(&files);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    let expected = machines("sos-4.8");
    for archive in [tar.clone(), gz.finish().unwrap(), xz(&tar)] {
        let packing = packing(&archive).unwrap().unwrap();
        let bundle = read(&archive[..], packing, "x").unwrap();
        let machines: Vec<Machine> =
            bundle.members.into_iter().map(|member| member.outcome.unwrap()).collect();
        assert_eq!((&machines, bundle.manifest.taken_at), (&expected, 7), "{packing:?}");
    }
}

#[test]
fn what_leads_out_is_refused_and_links_are_never_followed_there() {
    let out = [
        link(EntryType::Regular, "sosreport-x/../../etc/passwd", ""),
        link(EntryType::Regular, "/etc/passwd", ""),
    ];
    for bytes in out {
        assert!(matches!(read(&bytes[..], Packing::Tar, "x"), Err(ReadError::Path { .. })));
    }
    for kind in [EntryType::Symlink, EntryType::Link] {
        let mut bytes = link(kind, "sosreport-x/hostname", "../../../../../etc/hostname");
        // Two blocks of zeros end the first archive.
        bytes.truncate(512);
        bytes.extend(archive(&[("sos_commands/a/b", "")]));
        let bundle = read(&bytes[..], Packing::Tar, "x").unwrap();
        assert_eq!(bundle.members[0].name, "x");
    }
    let twice = archive(&[("sos_commands/kernel/lsmod", "a"), ("sos_commands/kernel/lsmod", "b")]);
    assert!(matches!(read(&twice[..], Packing::Tar, "x"), Err(ReadError::Twice { .. })));
    let none = archive(&[("etc/hostname", "a")]);
    assert!(matches!(read(&none[..], Packing::Tar, "x"), Err(ReadError::NoSosreport)));
}

#[test]
fn a_bomb_is_refused() {
    let many = "0".repeat(80 << 20);
    let packed = xz(&archive(&[("sos_commands/a/b", ""), ("sos_commands/networking/x", &many)]));
    assert!(matches!(read(&packed[..], Packing::Xz, "x"), Err(ReadError::Bomb { .. })));
}

#[test]
fn an_archive_that_breaks_off_is_read_as_far_as_it_goes() {
    let files = sample_files();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let tar = archive(&files);
    let bundle = read(&tar[..tar.len() / 2], Packing::Tar, "x").unwrap();
    assert!(bundle.gaps.iter().any(|gap| gap.what == "the rest of x"), "{:?}", bundle.gaps);
    assert!(matches!(read(&tar[..100], Packing::Tar, "x"), Err(ReadError::Damaged { .. })));
}

proptest! {
    #[test]
    fn any_octets_are_answered(octets: Vec<u8>) {
        for packing in [Packing::Xz, Packing::Gzip, Packing::Tar] {
            let _ = read(&octets[..], packing, "x");
        }
    }

    #[test]
    fn any_text_in_any_file_is_answered(at in any::<prop::sample::Index>(), text in "(\\PC|\n|\t| ){0,80}") {
        let files = sample_files();
        let at = at.index(files.len());
        let changed = files.iter().enumerate().map(|(nth, (path, own))| {
            (path.as_str(), if nth == at { text.as_str() } else { own.as_str() })
        });
        let archive = archive(&changed.collect::<Vec<_>>());
        prop_assert!(read(&archive[..], Packing::Tar, "x").is_ok());
    }
}
