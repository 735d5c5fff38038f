//! Goal: a guest is an instance as nova's was, to its host and to hopline.
//! Method: a bridge with dnsmasq and a metadata server in a namespace without a name, and QEMU on its tap.
//! Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helper fails by panicking"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use model::Mac;
use model::service::ConsoleEventKind as Kind;
use plumbing::{Namespace, address, bridge, link};
use sys::netns;
use vm::{Guest, NicDriver};

/// What a boot may take, up to the lease and on to its last line. On an idle machine it is a quarter of that,
/// with software emulation.
const BOOT: Duration = Duration::from_secs(30);
/// What anything else may take.
const PATIENCE: Duration = Duration::from_secs(10);

const MAC: Mac = Mac([0xfa, 0x16, 0x3e, 0x56, 0x0b, 0x6f]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 5);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(host: &Namespace, mut command: Command) -> Running {
        Running(netns::spawn_in(&host.handle, &mut command).unwrap())
    }

    /// Waits for its end.
    fn ended(&mut self) -> ExitStatus {
        wait_until(PATIENCE, || self.0.try_wait().unwrap()).expect("a program that does not end")
    }
}

/// Looks until there is something; `None` when it took too long.
fn wait_until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let give_up = Instant::now() + patience;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > give_up {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the console has these words.
fn wait_for_line(console: &Path, words: &str) {
    let found = wait_until(BOOT, || read(console).contains(words).then_some(()));
    assert!(found.is_some(), "{words:?} was not printed in {BOOT:?}, but:\n{}", read(console));
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(sys::programs::path_of(name));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// A host with a bridge that has addresses, and what listens there.
fn host(folder: &Path) -> (Namespace, Vec<Running>) {
    let mut host = Namespace::new("host".to_owned(), netns::unnamed("ht-vm").unwrap()).unwrap();
    bridge::create(&mut host, "br100", None).unwrap();
    for net in ["192.168.100.1/24", "169.254.169.254/32"] {
        address::add(&mut host, "br100", net.parse::<Ipv4Net>().unwrap()).unwrap();
    }
    link::set_up(&mut host, "br100").unwrap();
    let metadata = folder.join("metadata/2009-04-04/meta-data");
    fs::create_dir_all(&metadata).unwrap();
    fs::write(metadata.join("instance-id"), "i-00000001").unwrap();
    fs::write(folder.join("hosts"), format!("{MAC},web1.novalocal,{ADDRESS}\n")).unwrap();
    let at = |flag: &str, name: &str| format!("{flag}{}", folder.join(name).display());
    let dnsmasq = program(
        "dnsmasq",
        &[
            "--keep-in-foreground",
            "--conf-file=",
            "--pid-file=",
            "--user=root",
            "--bind-interfaces",
            "--listen-address=192.168.100.1",
            "--no-ping",
            "--no-hosts",
            "--no-resolv",
            "--dhcp-range=192.168.100.0,static,120s",
            &at("--dhcp-hostsfile=", "hosts"),
            &at("--dhcp-leasefile=", "leases"),
            &at("--log-facility=", "dnsmasq.log"),
        ],
    );
    let root = at("", "metadata");
    let metadata = program("busybox", &["httpd", "-f", "-p", "169.254.169.254:80", "-h", &root]);
    let servers = [dnsmasq, metadata].map(|server| Running::start(&host, server));
    (host, servers.into())
}

/// The instance web1, on the bridge before it starts, as nova plugs it.
fn boot(host: &mut Namespace, folder: &Path) -> Running {
    let cache = vm::default_cache().expect("HOME or XDG_CACHE_HOME names a place to keep Debian's packages");
    let image = vm::guest_image(&cache).unwrap();
    let accelerator = vm::accelerator(&cache, &image.kernel).unwrap();
    let tap = sys::tap::open(&host.handle, "vnet0").unwrap();
    link::enslave(host, "vnet0", "br100").unwrap();
    link::set_up(host, "vnet0").unwrap();
    let guest = Guest {
        name: "web1".to_owned(),
        tap,
        mac: MAC,
        console: folder.join("console.log"),
        shell: folder.join("shell"),
        monitor: folder.join("monitor"),
        memory_mb: vm::MEMORY_MB,
        driver: NicDriver::Present,
    };
    Running::start(host, vm::command(&image, guest, accelerator).unwrap())
}

/// Sends words to a port of the instance, and returns all that it answers.
fn talk(host: &Namespace, port: u16, words: &str) -> String {
    let inside = || {
        let mut socket = TcpStream::connect_timeout(&SocketAddr::from((ADDRESS, port)), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(words.as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).map(|_| answer)
    };
    host.inside(inside).unwrap().unwrap_or_else(|e: std::io::Error| panic!("port {port}: {e}"))
}

#[test]
fn a_guest_gets_its_lease_and_answers_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (mut host, _servers) = host(folder.path());
    let mut qemu = boot(&mut host, folder.path());
    let console = folder.path().join("console.log");
    wait_for_line(&console, "lease of 192.168.100.5 obtained");
    wait_for_line(&console, "web1 login:");

    let leases = read(&folder.path().join("leases"));
    assert!(leases.contains(&format!("{MAC} {ADDRESS} web1 ")), "the instance tells its name: {leases}");
    let parsed = parse::console::parse("console.log", &read(&console));
    let kinds: Vec<_> = parsed.events.into_iter().map(|event| event.kind).collect();
    let expected = [
        Kind::DhcpStarted(Some("1.35.0".to_owned())),
        Kind::DhcpDiscover,
        Kind::DhcpSelect,
        Kind::DhcpLease(ADDRESS),
        Kind::MetadataAsked,
        Kind::Login,
    ];
    assert_eq!(kinds, expected, "{}", read(&console));
    assert!(read(&console).contains("iid=i-00000001"), "{}", read(&console));

    let mut ping = Running::start(&host, program("ping", &["-c1", "-W5", "192.168.100.5"]));
    assert!(ping.ended().success());
    assert_eq!(talk(&host, 22, ""), "SSH-2.0-hopline_instance\n");
    assert!(talk(&host, 80, "GET / HTTP/1.0\r\n\r\n").ends_with("web1\n"));

    let mut shell = UnixStream::connect(folder.path().join("shell")).unwrap();
    shell.write_all(b"cat /etc/resolv.conf\n").unwrap();
    let resolver = "nameserver 192.168.100.1";
    wait_for_line(&console, resolver);

    assert!(link::exists(&mut host, "vnet0").unwrap());
    qemu.0.kill().unwrap();
    qemu.ended();
    assert!(!link::exists(&mut host, "vnet0").unwrap(), "the tap goes with QEMU, even by kill -9");
}

#[test]
fn a_guest_without_dhcp_says_so_boots_on_and_can_be_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Namespace::new("host".to_owned(), netns::unnamed("ht-vm-alone").unwrap()).unwrap();
    bridge::create(&mut host, "br100", None).unwrap();
    link::set_up(&mut host, "br100").unwrap();
    let mut qemu = boot(&mut host, folder.path());
    let console = folder.path().join("console.log");
    wait_for_line(&console, "web1 login:");
    let parsed = parse::console::parse("console.log", &read(&console));
    let kinds: Vec<_> = parsed.events.into_iter().map(|event| event.kind).collect();
    let unreachable = Kind::MetadataUnreachable("Network is unreachable".to_owned());
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::DhcpDiscover).count(), 3, "{kinds:?}");
    assert!(kinds.contains(&Kind::DhcpNoLease) && kinds.contains(&unreachable), "{}", read(&console));
    vm::press_power_button(&folder.path().join("monitor")).unwrap();
    assert!(qemu.ended().success());
}
