//! What is no ping: an address from a real dnsmasq, a name, a connection; and what stands in their way.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use model::dhcp::{ReplyKind, UdpChecksum};
use model::dns::{Found, Rcode};
use model::probe::{Asked, ProbeResult};
use probe::as_instance::{Then, own_port};
use probe::dns::{Question, Strays};

use super::*;

/// A program that ends with the test.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Cloud {
    /// dnsmasq as nova starts it, or as the arguments say.
    fn dnsmasq(&self, place: &str, arguments: &[&str]) -> Running {
        let netns = NetnsFd::named(&self.netns(place)).unwrap();
        let mut command = Command::new("dnsmasq");
        command
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--pid-file=",
            ])
            .args(["--user=root", "--group=root", "--bind-interfaces", "--except-interface=lo"])
            .args(["--leasefile-ro", "--dhcp-script=/bin/true"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        sys::programs::die_with_starter(&mut command);
        let running = Running(netns::spawn_in(&netns, &mut command).expect("dnsmasq is installed"));
        let started = Instant::now();
        while !self.run(&format!("ip netns exec ${place} ss -Hlnu sport = :67")).contains(":67") {
            assert!(started.elapsed() < PATIENCE, "dnsmasq does not listen");
        }
        running
    }

    pub(super) fn novas_dnsmasq(&self) -> Running {
        let host = "--dhcp-host=fa:16:3e:00:00:11,web1.novalocal,10.0.2.24";
        let range = "--dhcp-range=10.0.2.2,static,255.255.255.0,120s";
        let known = "--host-record=www.example.net,198.51.100.7";
        self.dnsmasq("H", &["--listen-address=10.0.2.1", range, host, known, "--dhcp-option=26,1450"])
    }

    pub(super) fn discover(&self) -> Plan {
        Plan { targets: vec![Target::everybody(0x1234, PATIENCE)], ..self.plan(&[]) }
    }

    fn question(&self, to: Ipv4Addr, asks: Asks) -> Plan {
        let mut plan = self.plan(&[to]);
        plan.targets[0].asks = asks;
        plan
    }

    fn listener(&self, place: &str, port: u16) -> TcpListener {
        let netns = NetnsFd::named(&self.netns(place)).unwrap();
        netns::within(&netns, || TcpListener::bind(("0.0.0.0", port))).unwrap().unwrap()
    }
}

pub(super) fn only(answers: &Answers) -> &ProbeResult {
    let [probe] = answers.probes.as_slice() else { panic!("{answers:?}") };
    probe
}

#[test]
fn an_address_is_offered_and_no_lease_is_taken() {
    let cloud = Cloud::up();
    let _dnsmasq = cloud.novas_dnsmasq();
    let before = cloud.state();
    let answers = promptly(&cloud.discover());
    let probe = only(&answers);
    let Asked::Address { offers, unreadable } = &probe.asked else { panic!("{probe:?}") };
    let [offer] = offers.as_slice() else { panic!("{offers:?}") };
    assert_eq!((probe.sent, probe.received, unreadable.len()), (1, 1, 0), "{probe:?}");
    assert!(probe.rtt_us.is_some_and(|us| us > 0), "{probe:?}");
    assert_eq!((offer.reply.kind, offer.reply.address), (ReplyKind::Offer, Some(SOURCE)));
    assert_eq!((offer.from, offer.from_mac), (GATEWAY, Mac([0xfa, 0x16, 0x3e, 0, 0, 1])));
    assert_eq!((&offer.reply.routers, offer.reply.mtu), (&vec![GATEWAY], Some(1450)));
    // A veth leaves the sum to the other end.
    assert_eq!(offer.checksum, UdpChecksum::Unfinished);
    assert_same(&before, &cloud.state());
}

#[test]
fn a_second_server_is_heard_too() {
    let cloud = Cloud::up();
    let _dnsmasq = cloud.novas_dnsmasq();
    let range = "--dhcp-range=10.0.2.200,10.0.2.210,2m";
    let rogue = cloud.dnsmasq("J", &["--port=0", "--interface=eth0", "--no-ping", range]);
    let answers = promptly(&cloud.discover());
    let Asked::Address { offers, .. } = &only(&answers).asked else { panic!("{answers:?}") };
    let mut from: Vec<_> = offers.iter().map(|offer| (offer.from, offer.from_mac)).collect();
    from.sort_unstable();
    assert_eq!(from, [(GATEWAY, Mac([0xfa, 0x16, 0x3e, 0, 0, 1])), (NEIGHBOUR, OTHER)]);
    drop(rogue);
}

#[test]
fn a_discover_that_a_rule_drops_is_tried_twice_and_not_answered() {
    let cloud = Cloud::up();
    let _dnsmasq = cloud.novas_dnsmasq();
    cloud.iptables("H", "-A INPUT -i br100 -p udp --dport 67 -j DROP");
    let answers = ask(&Plan { timeout: Duration::from_millis(1500), ..cloud.discover() }).unwrap();
    let probe = only(&answers);
    assert_eq!((probe.sent, probe.received, probe.rtt_us), (2, 0, None), "{probe:?}");
    assert_eq!(cloud.counted("H", "-j DROP"), 2);
}

#[test]
fn a_name_is_answered_by_the_gateway() {
    let cloud = Cloud::up();
    let _dnsmasq = cloud.novas_dnsmasq();
    cloud.age_fast();
    let (before, tracked) = (cloud.state(), cloud.connections());
    let answer = |question: Question| {
        let answers = promptly(&cloud.question(GATEWAY, Asks::Name(question)));
        let probe = only(&answers);
        assert_eq!((probe.sent, probe.received, probe.reply_ttl), (1, 1, Some(64)), "{probe:?}");
        let Asked::Name { answer: Some(answer), .. } = &probe.asked else { panic!("{probe:?}") };
        (answer.rcode, answer.found.clone())
    };
    let found = vec![Found::Address(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)))];
    assert_eq!(answer(Question::Ipv4Of("www.example.net".to_owned())), (Rcode::NoError, found));
    // It knows no server to ask for others.
    assert_eq!(answer(Question::NameOf(OUTSIDE.into())).0, Rcode::Refused);
    assert_eq!(answer(Question::Version).0, Rcode::NoError);
    assert_same(&before, &cloud.state());
    let own = format!("udp src=10.0.2.24 dst=10.0.2.1 sport={} dport=53 ", own_port(0x1234));
    cloud.assert_only_ours_were_tracked(&tracked, |line| line.starts_with(&own));
}

/// What comes to the port that we ask from and answers nothing is counted by what is wrong with it.
#[test]
fn what_is_no_answer_to_a_name_is_counted() {
    let cloud = Cloud::up();
    cloud.run("ip -n $O addr add 1.2.3.5/32 dev lo");
    let outside = NetnsFd::named(&cloud.netns("O")).unwrap();
    let bind = |at: &str| {
        let at: std::net::SocketAddr = at.parse().unwrap();
        netns::within(&outside, || std::net::UdpSocket::bind(at)).unwrap().unwrap()
    };
    let (server, other) = (bind("1.2.3.4:53"), bind("1.2.3.5:53"));
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let thread = std::thread::spawn(move || {
        let mut bytes = [0; 512];
        let (length, from) = server.recv_from(&mut bytes).unwrap();
        let mut answer = bytes[..length].to_vec();
        answer[2] |= 0x80;
        let wrong_id = [&[!answer[0]], &answer[1..]].concat();
        let mut wrong_question = answer.clone();
        wrong_question[13] ^= 1;
        other.send_to(&answer, from).unwrap();
        for bytes in [&wrong_id, &wrong_question, &answer] {
            server.send_to(bytes, from).unwrap();
        }
    });
    let mut plan = cloud.question(OUTSIDE, Asks::Name(Question::Version));
    plan.targets[0].next_hop = GATEWAY.into();
    let answers = promptly(&plan);
    thread.join().unwrap();
    let Asked::Name { strays, answer, .. } = &only(&answers).asked else { panic!("{answers:?}") };
    assert!(answer.is_some(), "{answers:?}");
    // NAT keeps it from the instance: to the host it is a datagram for nobody.
    assert_eq!(*strays, Strays { other_server: 0, wrong_id: 1, wrong_question: 1 }, "{answers:?}");
}

#[test]
fn a_name_asked_where_nobody_listens_is_refused_by_that_machine() {
    let cloud = Cloud::up();
    let answers = promptly(&cloud.question(OUTSIDE, Asks::Name(Question::Version)));
    let probe = only(&answers);
    assert_eq!((probe.sent, probe.received), (1, 0), "{probe:?}");
    assert_eq!(probe.errors, [(IpAddr::V4(OUTSIDE), "port unreachable".to_owned())]);
}

#[test]
fn a_connection_is_answered_refused_or_lost() {
    let cloud = Cloud::up();
    let _listener = cloud.listener("O", 8775);
    // As nova has it: the metadata address is translated.
    let metadata = Ipv4Addr::new(169, 254, 169, 254);
    cloud.iptables(
        "H",
        "-t nat -A PREROUTING -d 169.254.169.254 -p tcp --dport 80 -j DNAT --to-destination 1.2.3.4:8775",
    );
    cloud.age_fast();
    let (before, tracked) = (cloud.state(), cloud.connections());
    let connect = |to: Ipv4Addr, port: u16, timeout: Duration| {
        let mut plan = cloud.question(to, Asks::Connection { port, then: Then::Nothing });
        plan.targets[0].next_hop = GATEWAY.into();
        let answers = ask(&Plan { timeout, ..plan }).unwrap();
        let probe = only(&answers);
        let Asked::Connection { accepted, .. } = probe.asked else { panic!("{probe:?}") };
        (probe.sent, probe.received, accepted)
    };
    assert_eq!(connect(metadata, 80, PATIENCE), (1, 1, true));
    assert_eq!(connect(OUTSIDE, 9999, PATIENCE), (1, 1, false));
    assert_same(&before, &cloud.state());
    let own = format!(" sport={} ", own_port(0x1234));
    cloud.assert_only_ours_were_tracked(&tracked, |line| {
        line.starts_with("tcp src=10.0.2.24 ") && line.contains(&own)
    });
    cloud.iptables("H", "-A FORWARD -p tcp --dport 9999 -j DROP");
    assert_eq!(connect(OUTSIDE, 9999, Duration::from_millis(1500)), (2, 0, false));
    assert_eq!(cloud.counted("H", "-j DROP"), 2);
}

#[test]
fn no_service_is_left_waiting_by_an_instance_that_says_nothing() {
    let cloud = Cloud::up();
    let _listener = cloud.listener("O", 8775);
    cloud.iptables("I", "-A INPUT -p tcp -j DROP");
    let mut plan = cloud.question(OUTSIDE, Asks::Connection { port: 8775, then: Then::Nothing });
    plan.targets[0].next_hop = GATEWAY.into();
    assert!(matches!(only(&promptly(&plan)).asked, Asked::Connection { accepted: true, .. }));
    // Left alone it waits for half a minute and more (`tcp_synack_retries`, ip-sysctl.rst).
    let started = Instant::now();
    while cloud.run("ip netns exec $O ss -Htan state syn-recv").contains(":8775") {
        assert!(started.elapsed() < PATIENCE, "it still waits for the handshake");
    }
}

#[test]
fn a_busy_instance_does_not_fill_the_ring() {
    let cloud = Cloud::up();
    let mut plan = cloud.question(OUTSIDE, Asks::Connection { port: 9999, then: Then::Nothing });
    plan.targets[0].next_hop = GATEWAY.into();
    plan.timeout = Duration::from_millis(1500);
    cloud.iptables("H", "-A FORWARD -p tcp --dport 9999 -j DROP");
    // Ports that some guests choose, and some thousands of packets.
    let busy = netns::within(&NetnsFd::named(&cloud.netns("I")).unwrap(), || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:64000")?;
        socket.connect((OUTSIDE, 64001))?;
        Ok::<_, std::io::Error>(socket)
    });
    let busy = busy.unwrap().unwrap();
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let flood = std::thread::spawn(move || {
        let full = [0; 1400];
        let mut packets = 0;
        while told.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) && packets < 200_000 {
            // Refusals come back as errors, and are no concern.
            let _ = busy.send(&full);
            packets += 1;
        }
        packets
    });
    let answers = ask(&plan);
    drop(tell);
    assert!(flood.join().unwrap() > 2_000);
    let answers = answers.expect("silence is known");
    assert_eq!(only(&answers).received, 0);
}
