//! Every fault shows the symptom that operators see, and its heal brings everything back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use lab::{Lab, LabError};
use support::old_lease::asked_for;
use support::{Capture, TestLab, eventually, ping, run_in, state};

/// What shows that a fault is in.
#[derive(Debug, Clone, Copy)]
enum Symptom {
    /// web1's pings die, and other packets live.
    PingsDie,
    /// Single packets are answered, and most of ten large ones at once are not.
    BurstsDie,
    /// Some pings are answered and others are not.
    SomeDie,
    /// web1 does not reach the external server.
    NoWayOut,
    /// The external server does not reach web1's floating address; web1 reaches the server.
    NoWayIn,
    /// The flat network does not reach web1, which reaches the outside.
    FlatNetworkCut,
    /// web1 does not reach itself by its floating address; it reaches the outside.
    NotItself,
    /// web1 does not reach web2; it reaches the outside.
    NeighboursApart,
    /// The host answers in web1's place: one hop less.
    HostAnswers,
    /// web1 is seen outside with the host's address.
    HostsSource,
    /// web1's DHCP client gets no answer; everything else works.
    NoLease,
    /// web1 gets no metadata; everything else works.
    NoMetadata,
    /// web1 resolves no names of the outside; everything else works.
    NoNames,
    /// web1's own name is told with another address than it has.
    WrongName,
    /// Everything works, but for clients that the lab does not have.
    OldClients,
    /// web1's DHCP client is told an MTU.
    OffersMtu,
    /// Somebody else answers web1's DHCP client, too, with an address that is nobody's.
    SecondServer,
    /// The same, and whose answer is first decides what web1 gets.
    EitherServer,
    /// web1 reaches the external server by small packets, and by packets of full size it does not and learns nothing.
    LargeDie,
    /// The flat network reaches web1 by small packets, and by packets of full size it does not and learns nothing.
    LargeDieOnFlatNetwork,
    /// Two machines answer the host's question who has web1's address.
    TwoAnswer,
    /// The outside does not reach web1's port for ssh; everything else works.
    NoSsh,
    /// What the outside sends to web1's floating address from one port arrives at web2.
    OldFlow,
    /// A ping that web1 began a while ago is seen outside with its fixed address; a new one is answered.
    OneFlowDies,
    /// Who asks for the address that it had hears nothing, and who asks for any gets it.
    OldLeaseIgnored,
    /// What web1 asked everybody comes back by the cables of its bridge, again and again.
    GoesRound,
    /// web1's IPv6 address is flagged as somebody else's; IPv4 works.
    GivesUpAddress,
    /// The outside gets an answer from a port of web1's that no group opens.
    StandsOpen,
    /// web1 is nowhere; its neighbour reaches the outside.
    NotThere,
    /// Everything works: it is the database that is wrong.
    Recorded,
}

const SYMPTOMS: [(&str, Symptom); 107] = [
    ("uplink-down", Symptom::NoWayOut),
    ("uplink-no-carrier", Symptom::NoWayOut),
    ("flatif-down", Symptom::FlatNetworkCut),
    ("flatif-not-enslaved", Symptom::FlatNetworkCut),
    ("flatif-mtu-small", Symptom::LargeDieOnFlatNetwork),
    ("bridge-down", Symptom::NoWayOut),
    ("tap-down", Symptom::NoWayOut),
    ("tap-missing", Symptom::NoWayOut),
    ("tap-not-enslaved", Symptom::NoWayOut),
    ("tap-wrong-bridge", Symptom::NoWayOut),
    ("duplicate-ip-foreign", Symptom::TwoAnswer),
    ("mtu-tap-small", Symptom::LargeDie),
    ("guest-nic-down", Symptom::NoWayOut),
    ("ip-forward-0", Symptom::NoWayOut),
    ("default-route-missing", Symptom::NoWayOut),
    ("default-route-wrong-gw", Symptom::NoWayOut),
    ("rp-filter-asymmetric", Symptom::NoWayOut),
    ("forward-policy-drop-no-accept", Symptom::NoWayOut),
    ("sg-missing-icmp", Symptom::NoWayIn),
    ("sg-missing-ssh", Symptom::NoSsh),
    ("float-dnat-missing", Symptom::HostAnswers),
    ("float-snat-missing", Symptom::HostsSource),
    ("float-address-missing", Symptom::NoWayOut),
    ("rules-flushed", Symptom::NoWayOut),
    ("dnsmasq-not-running", Symptom::NoLease),
    ("dnsmasq-pool-exhausted", Symptom::NoLease),
    ("dnsmasq-hosts-not-reloaded", Symptom::NoLease),
    ("dnsmasq-stale-hosts-file", Symptom::NoLease),
    ("dnsmasq-hung", Symptom::NoLease),
    ("dnsmasq-wrong-interface", Symptom::NoLease),
    ("dnsmasq-wrong-subnet", Symptom::NoLease),
    ("dnsmasq-lease-max", Symptom::NoLease),
    ("libvirt-dnsmasq-steals-port", Symptom::NoLease),
    ("input-blocks-dhcp", Symptom::NoLease),
    ("dhcp-reply-lost", Symptom::NoLease),
    ("stp-forward-delay", Symptom::NoWayOut),
    ("dhcp-bad-udp-checksum", Symptom::OldClients),
    ("dhcp-offer-wrong", Symptom::OffersMtu),
    ("rogue-dhcp", Symptom::SecondServer),
    ("ext-gateway-down", Symptom::NoWayOut),
    ("pmtu-blackhole", Symptom::LargeDie),
    ("foreign-rule-drop", Symptom::NoWayOut),
    ("foreign-rule-bends", Symptom::NoWayOut),
    ("antispoof-mac", Symptom::NoWayOut),
    ("ebtables-drop", Symptom::NoWayOut),
    ("nft-other-priority", Symptom::NoWayOut),
    ("iptables-legacy-hidden", Symptom::NoWayOut),
    ("rule-order-wrong", Symptom::NoWayOut),
    ("snat-missing", Symptom::NoWayOut),
    ("snat-wrong-address", Symptom::NoWayOut),
    ("dnat-wrong-fixed-ip", Symptom::NoWayIn),
    ("br-netfilter-docker-drop", Symptom::FlatNetworkCut),
    ("conntrack-stale-dnat", Symptom::OldFlow),
    ("conntrack-full", Symptom::NoWayOut),
    ("nova-rules-drift", Symptom::StandsOpen),
    ("metadata-dnat-missing", Symptom::NoMetadata),
    ("metadata-service-down", Symptom::NoMetadata),
    ("metadata-zeroconf-route", Symptom::NoMetadata),
    ("guest-resolv-conf-wrong", Symptom::NoNames),
    ("dns-port53-blocked", Symptom::NoNames),
    ("dns-upstream-wrong", Symptom::NoNames),
    ("dns-upstream-dead", Symptom::NoNames),
    ("dns-lookup-fails", Symptom::NoNames),
    ("ssh-slow-reverse-dns", Symptom::NoNames),
    ("blackhole-route", Symptom::NoWayOut),
    ("policy-route-wrong", Symptom::NoWayOut),
    ("host-subnet-overlap", Symptom::NoWayOut),
    ("arp-ignore", Symptom::NoWayOut),
    ("hairpin-off", Symptom::NotItself),
    ("port-isolated", Symptom::NeighboursApart),
    ("fdb-static-stale", Symptom::NoWayOut),
    ("flood-off-unknown-unicast", Symptom::NoWayOut),
    ("duplicate-mac", Symptom::NeighboursApart),
    ("guest-wrong-ip", Symptom::NoWayIn),
    ("guest-no-default-route", Symptom::NoWayOut),
    ("guest-wrong-gateway", Symptom::NoWayOut),
    ("guest-arp-poisoned", Symptom::NoWayOut),
    ("guest-firewall", Symptom::NoWayOut),
    ("ext-gateway-not-forwarding", Symptom::NoWayOut),
    ("ext-no-return-route", Symptom::NoWayOut),
    ("ext-server-down", Symptom::NoWayOut),
    ("stale-arp-after-float-move", Symptom::NoWayOut),
    ("bridge-mac-flap", Symptom::NoWayOut),
    ("xdp-drop", Symptom::NoWayOut),
    ("guest-powered-off", Symptom::NotThere),
    ("float-tied-to-deleted-instance", Symptom::Recorded),
    ("fixed-ip-leaked", Symptom::Recorded),
    ("float-host-mismatch", Symptom::Recorded),
    ("db-host-mismatch", Symptom::Recorded),
    ("dropped-by-unmodelled", Symptom::NoWayOut),
    ("tc-bpf-drop", Symptom::PingsDie),
    ("tap-tx-queue-drops", Symptom::BurstsDie),
    ("link-queue-drops", Symptom::NoWayOut),
    ("random-loss", Symptom::SomeDie),
    ("bridge-mac-change-unnat", Symptom::OneFlowDies),
    ("dhcp-not-authoritative", Symptom::OldLeaseIgnored),
    ("l2-loop", Symptom::GoesRound),
    ("hairpin-ipv6-dad", Symptom::GivesUpAddress),
    ("dhcp-offer-refused", Symptom::NoWayOut),
    ("dhcp-nak", Symptom::NoWayOut),
    ("dnsmasq-twice", Symptom::EitherServer),
    ("dhcp-not-asked", Symptom::NoWayOut),
    ("dns-answer-wrong", Symptom::WrongName),
    ("dns-name-withheld", Symptom::NoNames),
    ("metadata-service-fails", Symptom::NoMetadata),
    ("host-neigh-wrong", Symptom::NoWayOut),
    ("gateway-address-missing", Symptom::NoWayOut),
];

/// An address on the flat network that is not the compute host's.
const ON_FLAT_NETWORK: &str = "10.0.9.9/16";
const WEB1: &str = "10.0.2.24";
const WEB1_MAC: [u8; 6] = [0xfa, 0x16, 0x3e, 0x00, 0x02, 0x24];
const DHCP_ACK: u8 = 5;
const FLOATING: &str = "203.0.113.30";
const EXTERNAL: &str = "1.2.3.4";

/// As many labs share the faults: most of the time goes by in waiting for what does not come.
const LABS: usize = 4;

#[test]
fn every_fault_has_its_symptom_and_heals_without_a_trace() {
    std::thread::scope(|scope| {
        for nth in 0..LABS {
            scope.spawn(move || each_has_its_symptom(nth));
        }
    });
}

/// The faults whose turn it is in this one of the labs.
fn each_has_its_symptom(nth: usize) {
    let lab = TestLab::up(&format!("ht-lab-fault{nth}"));
    let codes: Vec<_> = lab::faults_of(&lab.0.shape).map(|fault| fault.code).collect();
    assert_eq!(codes, SYMPTOMS.map(|(code, _)| code), "each fault needs its symptom in this table");
    let fabric = lab.ns("fab");
    run_in(&fabric, &["ip", "address", "add", ON_FLAT_NETWORK, "dev", "flat0"]);
    let healthy = state(&lab.0);
    assert_works(&lab.0);
    for (code, symptom) in SYMPTOMS.into_iter().skip(nth).step_by(LABS) {
        lab::break_fault(&lab.0, code).unwrap_or_else(|e| panic!("{code} is not injected: {e}"));
        assert_shows(&lab.0, code, symptom);
        let healed = lab::heal(&lab.0, Some(code));
        assert_eq!(
            healed.unwrap_or_else(|e| panic!("{code} is not healed: {e:?}\n{}", dhcp_log(&lab.0))),
            [code]
        );
        assert_works(&lab.0);
        assert_same(&healthy, &lab.0, code);
    }
}

#[test]
fn two_faults_at_once_heal_in_any_order() {
    let lab = TestLab::up("ht-lab-pair");
    let healthy = state(&lab.0);
    for pair in [
        ["uplink-down", "default-route-missing"],
        ["default-route-missing", "uplink-down"],
        ["dnsmasq-not-running", "tap-missing"],
        ["guest-nic-down", "tap-missing"],
        ["sg-missing-icmp", "foreign-rule-drop"],
        ["ip-forward-0", "rules-flushed"],
        ["tap-wrong-bridge", "bridge-down"],
    ] {
        for code in pair {
            lab::break_fault(&lab.0, code).unwrap();
        }
        let mut healed = lab::heal(&lab.0, None).unwrap();
        healed.sort_unstable();
        let mut expected = pair;
        expected.sort_unstable();
        assert_eq!(healed, expected);
        assert_same(&healthy, &lab.0, &pair.join(" and "));
    }
}

#[test]
fn healing_one_of_two_leaves_the_other() {
    let lab = TestLab::up("ht-lab-one-of");
    for code in ["float-dnat-missing", "sg-missing-icmp"] {
        lab::break_fault(&lab.0, code).unwrap();
    }
    lab::heal(&lab.0, Some("sg-missing-icmp")).unwrap();
    assert_eq!(lab::status(&lab.0.name, None).unwrap().faults, ["float-dnat-missing"]);
    assert_shows(&lab.0, "float-dnat-missing", Symptom::HostAnswers);
}

#[test]
fn what_cannot_be_broken_or_healed_is_refused() {
    let lab = TestLab::up("ht-lab-refuse");
    let unknown = lab::break_fault(&lab.0, "uplink-dwn").unwrap_err();
    assert!(unknown.to_string().contains("did you mean uplink-down?"), "{unknown}");
    let other = lab::status("lab", Some(&lab.0.state)).unwrap_err();
    assert!(other.to_string().ends_with("add: --name ht-lab-refuse"), "{other}");
    lab::break_fault(&lab.0, "ip-forward-0").unwrap();
    let twice = lab::break_fault(&lab.0, "ip-forward-0").unwrap_err();
    assert!(matches!(twice, LabError::AlreadyBroken { code: "ip-forward-0" }), "{twice}");
    let absent = lab::heal(&lab.0, Some("tap-down")).unwrap_err();
    assert!(matches!(absent.as_slice(), [LabError::NotBroken { code: "tap-down", .. }]), "{absent:?}");
}

fn assert_shows(lab: &Lab, code: &str, symptom: Symptom) {
    let (web1, external) = (lab.netns("web1"), lab.netns("ext"));
    match symptom {
        Symptom::NoWayOut => assert!(!ping(&web1, EXTERNAL).0, "{code}"),
        Symptom::NoWayIn => {
            assert!(!ping(&external, FLOATING).0, "{code}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::FlatNetworkCut => {
            assert!(!ping(&lab.netns("fab"), WEB1).0, "{code}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::NotItself => {
            assert!(!ping(&web1, FLOATING).0, "{code}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::NeighboursApart => {
            assert!(!ping(&web1, "10.0.2.25").0, "{code}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::HostAnswers => {
            let (answered, text) = ping(&external, FLOATING);
            assert!(answered && text.contains("ttl=62"), "{code}: {text}");
        }
        Symptom::HostsSource => {
            let outside = Capture::start(&external, "eth0", "icmp[icmptype] == icmp-echo");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
            let packet = outside.packet();
            assert!(packet.contains("203.0.113.34 > 1.2.3.4"), "{code}: {packet}");
        }
        Symptom::NoLease => {
            assert!(!gets_lease(lab), "{code}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::NoMetadata => {
            assert!(!gets_metadata(&web1), "{code}");
            assert!(ping(&web1, EXTERNAL).0 && gets_lease(lab), "{code}");
        }
        Symptom::NoNames => {
            assert!(!resolves(lab, code), "{code}");
            assert!(ping(&web1, EXTERNAL).0 && gets_lease(lab), "{code}");
        }
        Symptom::WrongName => {
            let dig = ["dig", "+short", "+time=1", "+tries=1", "@10.0.0.42", "web1.novalocal"];
            let output = run_in(&web1, &dig);
            assert_eq!(String::from_utf8_lossy(&output.stdout), "10.0.255.254\n", "{code}");
            assert!(ping(&web1, EXTERNAL).0 && gets_lease(lab) && resolves(lab, code), "{code}");
        }
        Symptom::OffersMtu => {
            let script = lab.path("guest/print-mtu.script");
            std::fs::write(&script, "#!/bin/sh\necho mtu=$mtu\n").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&script, mode).unwrap();
            let client = ["busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-O", "mtu", "-s"];
            let output = run_in(&web1, &[&client[..], &[script.to_str().unwrap()]].concat());
            assert!(String::from_utf8_lossy(&output.stdout).contains("mtu=9000"), "{code}: {output:?}");
        }
        Symptom::SecondServer | Symptom::EitherServer => {
            // The address for the client, behind eight octets of UDP and sixteen of BOOTP.
            let nobodys = "udp src port 67 and udp[24:2] = 0x0a00 and udp[26] = 255";
            let answers = Capture::start(&web1, "eth0", nobodys);
            let has_lease = gets_lease(lab);
            assert!(has_lease || matches!(symptom, Symptom::EitherServer), "{code}");
            assert!(answers.packet().contains(".67 > "), "{code}");
        }
        Symptom::TwoAnswer => {
            let compute = lab.netns("compute1");
            let answers = Capture::start(&compute, "br100", "arp[7] = 2 and ether src 02:00:00:00:00:99");
            run_in(&compute, &["busybox", "arping", "-D", "-c", "1", "-w", "1", "-I", "br100", WEB1]);
            let packet = answers.packet();
            assert!(packet.contains("10.0.2.24 is-at 02:00:00:00:00:99"), "{code}: {packet}");
        }
        Symptom::OldClients | Symptom::Recorded => {
            assert!(gets_lease(lab), "{code}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::LargeDie => {
            assert!(ping(&web1, EXTERNAL).0, "{code}");
            let (answered, text) = large_ping(&web1);
            assert!(!answered && !text.contains("Frag needed"), "{code}: {text}");
        }
        Symptom::LargeDieOnFlatNetwork => {
            let flat = lab.netns("fab");
            assert!(ping(&flat, WEB1).0 && ping(&web1, EXTERNAL).0, "{code}");
            let (answered, text) = large_ping_to(&flat, WEB1);
            assert!(!answered && !text.contains("Frag needed"), "{code}: {text}");
        }
        Symptom::PingsDie => {
            assert!(!ping(&web1, EXTERNAL).0, "{code}");
            assert!(resolves(lab, code) && accepts_ssh(&external), "{code}");
        }
        Symptom::BurstsDie => {
            assert!(ping(&web1, EXTERNAL).0 && large_ping(&web1).0, "{code}");
            let burst = ["ping", "-n", "-q", "-c", "10", "-l", "10", "-W", "1", "-s", "1472", EXTERNAL];
            let answered = answered_of(&web1, &burst);
            assert!(answered < 5, "{code}: {answered} of 10");
        }
        Symptom::SomeDie => {
            let many = ["ping", "-n", "-q", "-c", "10", "-i", "0.02", "-W", "1", EXTERNAL];
            let answered = answered_of(&web1, &many);
            assert!((1..10).contains(&answered), "{code}: {answered} of 10");
        }
        Symptom::NoSsh => {
            assert!(!accepts_ssh(&external), "{code}");
            assert!(ping(&external, FLOATING).0 && ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::OldFlow => {
            let other = Capture::start(&lab.netns("web2"), "eth0", "udp dst port 9000");
            // Nobody answers there: what counts is who is asked.
            let ask =
                ["dig", "-b", "1.2.3.4#40000", "@203.0.113.30", "-p", "9000", "+time=1", "+tries=1", "x"];
            run_in(&external, &ask);
            let packet = other.packet();
            assert!(packet.contains("10.0.2.25.9000"), "{code}: {packet}");
            assert!(ping(&external, FLOATING).0 && ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::GivesUpAddress => {
            let output = run_in(&web1, &["ip", "-6", "address", "show", "dev", "eth0"]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("fe80::f816:3eff:fe00:224/64 scope link dadfailed"), "{code}: {text}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::GoesRound => {
            // web1 itself asked it once.
            let back =
                Capture::start(&web1, "eth0", "arp[7] = 1 and ether src fa:16:3e:00:02:24 and inbound");
            let packet = back.packet();
            assert!(packet.contains("tell 10.0.2.24"), "{code}: {packet}");
        }
        Symptom::OldLeaseIgnored => {
            let asked = || asked_for(&web1, WEB1_MAC, WEB1.parse().unwrap());
            assert_eq!(asked(), None, "{code}");
            assert!(gets_lease(lab), "{code}");
            // It knows this one.
            assert_eq!(asked(), Some(DHCP_ACK), "{code}");
        }
        Symptom::OneFlowDies => {
            let outside =
                Capture::start(&external, "eth0", "icmp[icmptype] == icmp-echo and src net 10.0.0.0/8");
            let packet = outside.packet();
            assert!(packet.contains("10.0.2.24 > 1.2.3.4"), "{code}: {packet}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
        Symptom::NotThere => {
            assert!(!ping(&external, FLOATING).0, "{code}");
            assert!(ping(&lab.netns("web2"), EXTERNAL).0, "{code}");
        }
        Symptom::StandsOpen => {
            assert!(answers_on_a_closed_port(&external), "{code}");
            assert!(ping(&web1, EXTERNAL).0, "{code}");
        }
    }
    if code == "dnsmasq-pool-exhausted" {
        let log = std::fs::read_to_string(lab.path("compute1/log/dnsmasq.log")).unwrap();
        assert!(log.contains("DHCPDISCOVER(br100) fa:16:3e:00:02:24 no address available"), "{log}");
    }
}

fn assert_works(lab: &Lab) {
    let (web1, external) = (lab.netns("web1"), lab.netns("ext"));
    for (ns, to, ttl) in [
        (&web1, EXTERNAL, "ttl=61"),
        (&external, FLOATING, "ttl=61"),
        (&web1, "10.0.2.25", "ttl=64"),
        (&lab.netns("fab"), WEB1, "ttl=64"),
    ] {
        let (answered, text) = ping(ns, to);
        assert!(answered && text.contains(ttl), "{ns} to {to}: {text}");
    }
    assert!(large_ping(&web1).0);
    assert!(!answers_on_a_closed_port(&external));
    assert!(gets_lease(lab));
    assert!(gets_metadata(&web1) && accepts_ssh(&external));
    assert!(resolves(lab, "health"));
}

/// Whether web1 learns the name of the external server: from its gateway, or, where its own resolv.conf is at fault,
/// from whom that names.
fn resolves(lab: &Lab, code: &str) -> bool {
    let own = ["dig", "+short", "+time=1", "+tries=1", "-x", EXTERNAL];
    let gateway = ["@10.0.0.42"];
    let argv = if code == "guest-resolv-conf-wrong" { own.to_vec() } else { [&own[..], &gateway].concat() };
    let output = run_in(&lab.netns("web1"), &argv);
    String::from_utf8_lossy(&output.stdout).contains("openstack.test.")
}

/// Whether web1 learns who it is.
fn gets_metadata(web1: &str) -> bool {
    let ask = "exec 3<>/dev/tcp/169.254.169.254/80 && \
               printf 'GET /2009-04-04/meta-data/instance-id HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
    let output = run_in(web1, &["timeout", "2", "bash", "-c", ask]);
    String::from_utf8_lossy(&output.stdout).ends_with("i-00000001")
}

/// One packet of 1500 octets that nobody may fragment.
fn large_ping(ns: &str) -> (bool, String) {
    large_ping_to(ns, EXTERNAL)
}

/// The same to somebody else.
fn large_ping_to(ns: &str, to: &str) -> (bool, String) {
    let output = run_in(ns, &["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", to]);
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How many pings were answered.
fn answered_of(ns: &str, argv: &[&str]) -> u32 {
    let output = run_in(ns, argv);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let before = told.split(" received").next().unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{told}"))
}

/// Whether web1 takes a connection from outside to its port for ssh.
fn accepts_ssh(external: &str) -> bool {
    let connect = format!("exec 3<>/dev/tcp/{FLOATING}/22");
    run_in(external, &["timeout", "1", "bash", "-c", &connect]).status.success()
}

/// Whether web1 says that nothing listens on a port which no group opens, rather than nothing at all.
fn answers_on_a_closed_port(external: &str) -> bool {
    let connect = format!("exec 3<>/dev/tcp/{FLOATING}/4712");
    let output = run_in(external, &["timeout", "1", "bash", "-c", &connect]);
    String::from_utf8_lossy(&output.stderr).contains("refused")
}

/// Whether web1's DHCP client would get an address now; it keeps the one that it has.
fn gets_lease(lab: &Lab) -> bool {
    let script = lab.path("guest/no-op.script");
    // A server that offers and refuses keeps a client busy for ever.
    let client =
        ["timeout", "5", "busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-t", "2", "-T", "1", "-s"];
    let argv = [&client[..], &[script.to_str().unwrap()]].concat();
    run_in(&lab.netns("web1"), &argv).status.success()
}

/// What became of the last leases.
fn dhcp_log(lab: &Lab) -> String {
    let log = std::fs::read_to_string(lab.path("compute1/log/dnsmasq.log")).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains("query[")).collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// The state is what it was; link states may lag behind by a second.
fn assert_same(healthy: &serde_json::Value, lab: &Lab, after: &str) {
    let mut now = serde_json::Value::Null;
    let same = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("the healthy state", || {
            now = state(lab);
            now == *healthy
        });
    }));
    assert!(same.is_ok(), "after {after}:\n{}", difference(healthy, &now, "state"));
}

fn difference(a: &serde_json::Value, b: &serde_json::Value, path: &str) -> String {
    match (a.as_object(), b.as_object()) {
        (Some(left), Some(right)) => {
            left.iter().map(|(key, value)| difference(value, &right[key], &format!("{path}.{key}"))).collect()
        }
        _ if a == b => String::new(),
        _ => format!("{path}:\n- {a:#}\n+ {b:#}\n"),
    }
}
