//! A chain of network namespaces, `ht-ask-PID-N-0`, `-1`, ... and what is put into them. Between the i-th and
//! the next lies 10.77.i.0/24, of which the i-th has .1 and the next .2; all of them forward. Where it is asked for,
//! there is fd77:0:0:i::/64 too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use probe::Asker;
use probe::tcp::{self, TcpOutcome};
use sys::netns::{self, NetnsFd};

/// Longer than anything that is answered; only silence takes it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long silence is listened to.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// The namespaces, removed with the value.
pub(crate) struct Chain {
    pub(crate) names: Vec<String>,
    pub(crate) fds: Vec<NetnsFd>,
}

impl Chain {
    pub(crate) fn new(length: usize) -> Chain {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ht-ask-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let names: Vec<String> = (0..length).map(|i| format!("{name}-{i}")).collect();
        // The chain is there before its namespaces, so that it removes those made where a later one fails.
        let mut chain = Chain { names: Vec::new(), fds: Vec::new() };
        for name in names {
            let fd = netns::create(&name).expect("root makes namespaces");
            chain.names.push(name);
            chain.fds.push(fd);
        }
        for i in 0..length {
            chain.ip(i, "link set lo up");
            chain.run(i, "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0");
            // Nobody else can have an address here: link-local ones are used at once (ip-sysctl.rst, `accept_dad`).
            chain.run(i, "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0");
        }
        for i in 0..length - 1 {
            chain.ip(i, &format!("link add right type veth peer name left netns {}", chain.names[i + 1]));
            for (at, dev, last) in [(i, "right", 1), (i + 1, "left", 2)] {
                chain.ip(at, &format!("addr add 10.77.{i}.{last}/24 dev {dev}"));
                chain.ip(at, &format!("link set {dev} up"));
            }
        }
        for i in 0..length - 1 {
            chain.ip(i, &format!("route add default via 10.77.{i}.2"));
            for nearer in 0..i {
                chain.ip(i + 1, &format!("route add 10.77.{nearer}.0/24 via 10.77.{i}.1"));
            }
        }
        chain.wait_for_links();
        chain
    }

    /// A veth passes nothing on until its queue is put into place, which the kernel does by a work item
    /// (net/core/link_watch.c `linkwatch_do_dev`). Once the far end answers, all neighbours know each other too.
    fn wait_for_links(&self) {
        self.run(0, &format!("ping -n -q -c 1 -i 0.2 -w {} {}", PATIENCE.as_secs(), self.far()));
    }

    /// The same in IPv6. Once the far end answers, all neighbours know each other.
    pub(crate) fn with_ipv6(self) -> Chain {
        let length = self.fds.len();
        for i in 0..length {
            self.run(i, "sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.icmp.ratelimit=0");
        }
        for i in 0..length - 1 {
            self.ip(i, &format!("addr add fd77:0:0:{i}::1/64 dev right nodad"));
            self.ip(i + 1, &format!("addr add fd77:0:0:{i}::2/64 dev left nodad"));
            self.ip(i, &format!("route add default via fd77:0:0:{i}::2"));
            for nearer in 0..i {
                self.ip(i + 1, &format!("route add fd77:0:0:{nearer}::/64 via fd77:0:0:{i}::1"));
            }
        }
        self.run(0, &format!("ping -n -q -c 1 -i 0.2 -w {} {}", PATIENCE.as_secs(), self.far_v6()));
        self
    }

    /// The far end's IPv6 address.
    pub(crate) fn far_v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, 0, 0, u16::try_from(self.fds.len() - 2).unwrap(), 0, 0, 0, 2)
    }

    /// The near end, which asks.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker { name: "near", netns: &self.fds[0], source: None }
    }

    /// The far end's address.
    pub(crate) fn far(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, u8::try_from(self.fds.len() - 2).unwrap(), 2)
    }

    pub(crate) fn far_netns(&self) -> &NetnsFd {
        self.fds.last().unwrap()
    }

    pub(crate) fn ip(&self, at: usize, arguments: &str) {
        succeed(Command::new("ip").args(["-n", &self.names[at]]).args(arguments.split_whitespace()));
    }

    pub(crate) fn run(&self, at: usize, words: &str) {
        let command = ["netns", "exec", &self.names[at]];
        succeed(Command::new("ip").args(command).args(words.split_whitespace()));
    }

    /// Rules in a table of their own: one argument, as nft reads a line.
    pub(crate) fn nft(&self, at: usize, line: &str) {
        let command = ["netns", "exec", &self.names[at], "nft", line];
        succeed(Command::new("ip").args(command));
    }

    /// A chain at a hook, and a rule in it.
    pub(crate) fn rule(&self, at: usize, hook: &str, rule: &str) {
        self.nft(at, "add table inet t");
        let kind = "type filter hook";
        self.nft(at, &format!("add chain inet t {hook} {{ {kind} {hook} priority -300; }}"));
        self.nft(at, &format!("add rule inet t {hook} {rule}"));
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for name in &self.names {
            // A failure here cannot be reported better than by the namespace that stays.
            let _ = netns::delete(name);
        }
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("the program is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program that ends with the value.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a dnsmasq that knows just what the arguments say. It ends with the value, and with the calling thread
/// where the run is killed.
pub(crate) fn start_dnsmasq(netns: &NetnsFd, arguments: &[&str]) -> Running {
    let mut command = Command::new("dnsmasq");
    command
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file="])
        // Another group than its starter's would make the kernel forget the signal that it is to die by
        // (kernel/cred.c `commit_creds`).
        .args(["--user=root", "--group=root", "--bind-interfaces"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    sys::programs::die_with_starter(&mut command);
    Running(netns::spawn_in(netns, &mut command).expect("dnsmasq is installed"))
}

/// Starts dnsmasq at the far end as a DNS server of just what the arguments say.
pub(crate) fn dnsmasq(chain: &Chain, arguments: &[&str]) -> Running {
    let far = chain.far().to_string();
    let running =
        start_dnsmasq(chain.far_netns(), &[&["--listen-address", far.as_str()], arguments].concat());
    let to = SocketAddr::new(chain.far().into(), 53);
    let started = Instant::now();
    while tcp::connect(&chain.asker(), to, PATIENCE).unwrap().outcome != TcpOutcome::Answered {
        assert!(started.elapsed() < PATIENCE, "dnsmasq does not listen");
        std::thread::yield_now();
    }
    running
}

/// A server in the test's own thread; it ends with the value.
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    pub(crate) at: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A UDP server; for each datagram it has its socket, the datagram, and who sent it.
pub(crate) fn udp_server(
    netns: &NetnsFd,
    address: Ipv4Addr,
    answer: impl Fn(&UdpSocket, &[u8], SocketAddr) + Send + 'static,
) -> Server {
    let socket = netns::within(netns, || UdpSocket::bind((IpAddr::V4(address), 0))).unwrap().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let at = socket.local_addr().unwrap();
    serve(at, move || {
        let mut buffer = [0; 2048];
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            answer(&socket, &buffer[..length], from);
        }
    })
}

/// A TCP server that says these bytes to whoever has sent something, and hangs up.
pub(crate) fn tcp_server(
    netns: &NetnsFd,
    address: Ipv4Addr,
    answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static,
) -> Server {
    use std::io::{Read, Write};
    let listener = netns::within(netns, || TcpListener::bind((IpAddr::V4(address), 0))).unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    serve(at, move || {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(1));
            return;
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 2048];
        let length = stream.read(&mut buffer).unwrap_or(0);
        let _ = stream.write_all(&answer(&buffer[..length]));
    })
}

fn serve(at: SocketAddr, mut turn: impl FnMut() + Send + 'static) -> Server {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            turn();
        }
    });
    Server { stop, thread: Some(thread), at }
}
