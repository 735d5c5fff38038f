//! A whole site: machines beside each other, the ends of their cables, what they run, and those that
//! are out of reach.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use collect::{At, MachinePlan};
use model::netns::Socket;
use sys::netns::NetnsFd;

use crate::scratch::{Scratch, main_netns, plan};

const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of a test, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(label: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ht-col-{label}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that a test started, killed when dropped.
struct Running(Child);

impl Running {
    fn start(scratch: &Scratch, argv: &[&str]) -> Running {
        let netns = NetnsFd::named(&scratch.name).unwrap();
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(sys::netns::spawn_in(&netns, &mut command).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads one machine until what was read is as wanted.
fn read_until(plan: &MachinePlan, wanted: impl Fn(&model::Snapshot) -> bool) -> model::Snapshot {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let snapshot = collect::site(std::slice::from_ref(plan)).snapshot;
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < give_up, "{snapshot:#?}");
        thread::yield_now();
    }
}

fn host(scratch: &Scratch) -> MachinePlan {
    scratch.plan()
}

#[test]
fn the_other_end_of_a_cable_is_found_in_any_machine_of_the_site() {
    let (one, two, stranger) = (Scratch::new("peer"), Scratch::new("peer"), Scratch::new("peer"));
    one.ip(&format!("link add near type veth peer name far netns {}", two.name))
        .ip("link add within type veth peer name there")
        .ip(&format!("link add away type veth peer name gone netns {}", stranger.name));
    let collected = collect::site(&[one.plan(), two.plan()]);
    let (left, right) = (main_netns(&collected, &one.name), main_netns(&collected, &two.name));
    let ends = |netns: &model::Netns, link: &str| {
        let link = netns.link_named(link).unwrap().clone();
        (link.index, link.peer.expect("a veth has another end"))
    };
    let ((near, to_far), (far, to_near)) = (ends(&left, "near"), ends(&right, "far"));
    assert_eq!((to_far.index, to_far.netns), (far, right.inode));
    assert_eq!((to_near.index, to_near.netns), (near, left.inode));
    let ((within, to_there), (there, to_within)) = (ends(&left, "within"), ends(&left, "there"));
    assert_eq!((to_there.index, to_there.netns), (there, left.inode));
    assert_eq!((to_within.index, to_within.netns), (within, left.inode));
    assert_eq!(ends(&left, "away").1.netns, None, "a namespace that nobody named is not guessed");
    assert_eq!(left.inode, Some(NetnsFd::named(&one.name).unwrap().inode()));
}

#[test]
fn an_end_in_the_namespace_of_the_reader_is_found() {
    let (home, scratch) = (Scratch::new("home"), Scratch::new("peer"));
    scratch.ip(&format!("link add near type veth peer name far netns {}", home.name));
    let at_home = NetnsFd::named(&home.name).unwrap();
    let collected = sys::netns::within(&at_home, || collect::site(&[scratch.plan()])).unwrap();
    let netns = main_netns(&collected, &scratch.name);
    assert_eq!(netns.link_named("near").unwrap().peer.unwrap().netns, Some(at_home.inode()));
}

#[test]
fn a_machine_that_is_not_there_costs_only_itself() {
    let scratch = Scratch::new("reach");
    let collected = collect::site(&[plan("gone", At::Netns("ht-col-no-such".to_owned())), scratch.plan()]);
    let [(name, error)] = collected.unreachable.as_slice() else { panic!("{:?}", collected.unreachable) };
    assert_eq!(name, "gone");
    assert!(!error.is_permission() && error.to_string().contains("ht-col-no-such"), "{error}");
    assert!(
        collected.snapshot.gaps.iter().any(|gap| gap.what.contains("gone")),
        "{:?}",
        collected.snapshot.gaps
    );
    assert!(collected.snapshot.host("gone").is_none() && collected.snapshot.main_netns("gone").is_none());
    assert!(main_netns(&collected, &scratch.name).link_named("lo").is_some());
}

#[test]
fn of_an_instance_only_the_namespace_is_read() {
    let scratch = Scratch::new("inst");
    let collected = collect::site(&[MachinePlan { instance: true, ..scratch.plan() }]);
    let netns = main_netns(&collected, &scratch.name);
    assert!(netns.instance && netns.enter.as_deref() == Some(&scratch.name));
    assert_eq!(collected.snapshot.hosts, []);
}

#[test]
fn a_namespace_is_not_credited_with_the_machines_own_files() {
    let scratch = Scratch::new("usual");
    let snapshot = collect::site(&[host(&scratch)]).snapshot;
    let host = snapshot.host(&scratch.name).unwrap();
    assert!(host.nova.is_none() && host.domains.is_empty() && host.consoles.is_empty());
    assert_eq!((host.dhcp_log_file.clone(), host.processes.len()), (None, 0));
}

/// A namespace's own file under /etc/netns, removed with the folder that was made for it.
struct OwnFile(std::path::PathBuf);

impl OwnFile {
    fn write(netns: &str, text: &str) -> OwnFile {
        let folder = Path::new("/etc/netns").join(netns);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("resolv.conf"), text).unwrap();
        OwnFile(folder)
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
        // That another test has its own there is no failure.
        let _ = std::fs::remove_dir("/etc/netns");
    }
}

#[test]
fn whom_a_namespace_asks_for_names_is_told_where_it_has_a_file_of_its_own() {
    let (own, none) = (Scratch::new("resolv"), Scratch::new("shared"));
    let _file = OwnFile::write(&own.name, "nameserver 10.0.0.53\nnameserver nobody\n");
    let plans = [MachinePlan { instance: true, ..own.plan() }, none.plan()];
    let collected = collect::site(&plans);
    let resolver = main_netns(&collected, &own.name).resolver.clone().unwrap();
    assert_eq!(resolver.servers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.53"]);
    // The tool that runs programs there has them read that very file (ip-netns(8)).
    let seen = own.text("cat /etc/resolv.conf");
    assert!(seen.contains("nameserver 10.0.0.53"), "{seen}");
    assert_eq!(main_netns(&collected, &none.name).resolver, None, "another machine's file is not its own");
    let gaps = &collected.snapshot.gaps;
    assert!(gaps.iter().any(|gap| gap.what.contains("resolv.conf")), "{gaps:?}");
}

#[test]
fn what_a_host_runs_and_keeps_is_read() {
    let (scratch, folder) = (Scratch::new("host"), Folder::new("host"));
    scratch.ip("link set lo up").ip("link add br100 type bridge").ip("link set br100 up");
    scratch.ip("addr add 10.0.0.42/16 dev br100");
    let hosts = folder.write("hosts", "fa:16:3e:00:00:11,web1.novalocal,10.0.0.11\n");
    let log = folder
        .write("syslog", "Nov 24 02:00:00 c1 dnsmasq-dhcp[7]: DHCPDISCOVER(br100) fa:16:3e:00:00:11 \n");
    folder.write("instances/instance-0000000a/console.log", "Sending discover...\n");
    folder.write("xml/instance-0000000a.xml", "<domain><name>instance-0000000a</name></domain>");
    let conf = folder.write("nova.conf", "[DEFAULT]\npublic_interface = eth7\n");
    let hostsfile = format!("--dhcp-hostsfile={hosts}");
    let pid_file = format!("--pid-file={}", folder.0.join("pid").display());
    let argv = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=",
        &pid_file,
        "--listen-address=10.0.0.42",
        "--bind-interfaces",
        "--except-interface=lo",
        "--leasefile-ro",
        &hostsfile,
        "--dhcp-range=10.0.0.2,static,255.255.0.0,120s",
    ];
    let _server = Running::start(&scratch, &argv);
    let plan = MachinePlan {
        nova_conf: Some(conf.into()),
        libvirt: Some(folder.0.join("xml")),
        dnsmasq_log: Some(log.clone().into()),
        console_logs: Some(folder.0.join("instances")),
        ..host(&scratch)
    };
    // The TCP socket of DNS is the last that dnsmasq opens.
    let last = |socket: &Socket| (socket.protocol, socket.port) == (6, 53);
    let snapshot = read_until(&plan, |snapshot| snapshot.netns[0].sockets.iter().any(last));
    let host = snapshot.host(&scratch.name).unwrap();
    assert_eq!(host.dnsmasq.len(), 1, "{:?}", host.processes);
    let served: Vec<String> = host.dnsmasq[0].hosts.iter().flatten().map(|h| h.mac.to_string()).collect();
    assert_eq!(served, ["fa:16:3e:00:00:11"]);
    assert_eq!(host.nova.as_ref().unwrap().public_interface(), "eth7");
    assert_eq!(host.domains.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["instance-0000000a"]);
    assert_eq!(
        host.consoles.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["instance-0000000a"]
    );
    assert_eq!((host.dhcp_log.len(), host.dhcp_log_file.as_deref()), (1, Some(log.as_str())));
    let dns =
        snapshot.netns[0].sockets.iter().filter(|s| s.port == 53 && s.address.to_string() == "10.0.0.42");
    assert_eq!(
        dns.map(|s| s.protocol).collect::<Vec<_>>().len(),
        2,
        "UDP and TCP: {:?}",
        snapshot.netns[0].sockets
    );
    let elsewhere = folder.0.join("no-such-log");
    let plan = MachinePlan { dnsmasq_log: Some(elsewhere), ..plan };
    let gaps = collect::site(&[plan]).snapshot.gaps;
    assert!(gaps.iter().any(|gap| gap.what.ends_with("no-such-log")), "{gaps:?}");
}

#[test]
fn a_file_that_is_named_and_missing_is_a_gap() {
    let scratch = Scratch::new("gap");
    let missing = Path::new("/ht-col-no-such-folder");
    let plan = MachinePlan {
        nova_conf: Some(missing.join("nova.conf")),
        libvirt: Some(missing.join("qemu")),
        dnsmasq_log: Some(missing.join("syslog")),
        console_logs: Some(missing.join("instances")),
        ..host(&scratch)
    };
    let gaps = collect::site(&[plan]).snapshot.gaps;
    // No dnsmasq runs there that could have written a log.
    for (file, is_missed) in [("nova.conf", true), ("qemu", true), ("syslog", false), ("instances", true)] {
        assert_eq!(gaps.iter().any(|gap| gap.what.contains(file)), is_missed, "{file} in {gaps:?}");
    }
}

/// Any user may start a program of that name, so what its arguments name may be anything.
#[test]
fn a_pipe_in_place_of_a_file_does_not_hold_up_the_reading() {
    let (scratch, folder) = (Scratch::new("pipe"), Folder::new("pipe"));
    let pipe = folder.0.join("nova.conf");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let plan = MachinePlan { nova_conf: Some(pipe.clone()), ..host(&scratch) };
    let (sender, done) = mpsc::channel();
    let reader = thread::spawn(move || sender.send(collect::site(&[plan]).snapshot.gaps));
    let gaps = done.recv_timeout(PATIENCE);
    // A writer that comes and goes frees a reader that waits, so that the test itself always ends.
    drop(fs::File::options().read(true).write(true).open(&pipe));
    let gaps = gaps.expect("reading ends though nobody writes to the pipe");
    assert!(gaps.iter().any(|gap| gap.what.contains("nova.conf")), "{gaps:?}");
    let _ = reader.join();
}
