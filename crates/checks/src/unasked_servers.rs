//! Servers for names that are asked in an instance's interest, and that hopline leaves out: names are asked over IPv4
//! alone, and no file but resolv.conf is read for servers.

use std::net::{IpAddr, Ipv6Addr};

use model::probe::ProbeResult;
use model::service::ResolvConf;
use model::snapshot::Gap;
use sim::World;

use crate::diagnose::{Case, Request};
use crate::dns::{self, Server};
use crate::ladder::{Purpose, Rung, Symptom};
use crate::looked_up::{self, Word};
use crate::scope::Subject;

const OVER_IPV4_ALONE: &str = "names are asked over IPv4 alone";

/// Tells each of them. Where it is all that one instance asks, or all that stand behind a resolver which found out
/// nothing, whether names are found out is open.
pub(crate) fn tell(case: &Case, request: &Request, rungs: &[Rung], open: &mut Vec<Gap>, gaps: &mut Vec<Gap>) {
    match request.symptom {
        Symptom::Auto | Symptom::Dns | Symptom::Ssh => {}
        Symptom::Ping | Symptom::Dhcp | Symptom::Metadata => return,
    }
    // Of many asked about, one of which too little is known takes nothing away from what the others told.
    let is_one = matches!(request.subject, Subject::Instance(_));
    let mut put = |told: Vec<Gap>, is_all: bool| {
        (if is_one && is_all { &mut *open } else { &mut *gaps }).extend(told);
    };
    let world = World::new(case.snapshot, case.intent);
    for rung in rungs.iter().filter(|rung| rung.purpose == Purpose::Resolver) {
        if let Some(server) = dns::server(&world, rung.instance) {
            put(behind(&server), server.upstreams().is_empty() && finds_nothing(case.probes, rung));
        }
        if let Some((name, conf)) = inside(&world, rung.instance) {
            put(asked_by(name, conf), conf.servers.iter().all(IpAddr::is_ipv6));
        }
    }
}

/// A resolver that was asked for a name of others, and has not told it.
fn finds_nothing(probes: &[ProbeResult], rung: &Rung) -> bool {
    let asked = looked_up::put(probes, rung).filter(|probe| looked_up::reverse(probe).is_some());
    let mut words = asked.filter_map(looked_up::word).peekable();
    words.peek().is_some()
        && words.all(|word| match word {
            Word::Refused | Word::Failed(_) | Word::Unreadable(_) | Word::Strays(_) | Word::Nothing => true,
            Word::Told | Word::CutShort | Word::NoTcp => false,
        })
}

/// Servers of an instance's own file.
fn asked_by(name: &str, conf: &ResolvConf) -> Vec<Gap> {
    let gap = |server: &IpAddr| Gap {
        what: format!("whether {name} is answered by {server}"),
        why: format!("{OVER_IPV4_ALONE}, and {} inside it names that server", conf.file),
        would_need: format!("`dig @{server} NAME` inside {name}"),
    };
    conf.servers.iter().filter(|server| server.is_ipv6()).map(gap).collect()
}

/// An instance's name and its own resolv.conf, where that is known.
fn inside<'w>(world: &World<'w>, at: usize) -> Option<(&'w str, &'w ResolvConf)> {
    let conf = world.ns(world.inside(at)?).resolver.as_ref()?;
    Some((world.intent.instances.get(at)?.name.as_str(), conf))
}

/// Whom the network's dnsmasq asks besides those that are known.
fn behind(server: &Server) -> Vec<Gap> {
    let host = &server.host.name;
    let named = server
        .dnsmasq
        .servers
        .iter()
        .filter_map(|word| Some((v6(word)?, asked_at(word), format!("--server={word}"))));
    let conf = server.resolv_conf();
    let of_conf = |conf: &ResolvConf| {
        let file = conf.file.clone();
        let address = |server: &IpAddr| match server {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(*ip),
        };
        let servers: Vec<Ipv6Addr> = conf.servers.iter().filter_map(address).collect();
        servers.into_iter().map(move |ip| (ip, format!("@{ip}"), format!("nameserver {ip} in {file}")))
    };
    let over_ipv6 = named.chain(conf.into_iter().flat_map(of_conf)).map(|(ip, at, by)| Gap {
        what: format!("whether dnsmasq on {host} is answered by {ip}"),
        why: format!("{OVER_IPV4_ALONE}, and `{by}` has it ask that server"),
        would_need: format!("`dig {at} NAME` on {host}"),
    });
    let unread = server.elsewhere().map(|by| Gap {
        what: format!("whom dnsmasq on {host} asks"),
        why: format!("`{by}` may name servers, and is not read for them"),
        would_need: "a look at that file; `--server=` in their place is read".to_owned(),
    });
    over_ipv6.chain(unread).collect()
}

/// `ADDRESS[%LINK][#PORT][@SOURCE]`, over IPv6; `None` for a server of single domains.
fn v6(server: &str) -> Option<Ipv6Addr> {
    server.split(['%', '#', '@']).next()?.parse().ok()
}

/// The same as dig is told it: `@ADDRESS%LINK -p PORT`.
fn asked_at(server: &str) -> String {
    let (place, port) = server.split_once('#').unwrap_or((server, ""));
    let place = place.split('@').next().unwrap_or(place);
    match port.split('@').next().filter(|port| !port.is_empty()) {
        Some(port) => format!("@{place} -p {port}"),
        None => format!("@{place}"),
    }
}

#[cfg(test)]
mod tests {
    use model::Diagnosis;
    use model::dns::Rcode;
    use model::finding::Outcome;

    use super::*;
    use crate::fixture::{Cloud, healthy};

    fn conf(servers: &[&str]) -> ResolvConf {
        let servers = servers.iter().map(|ip| ip.parse().unwrap()).collect();
        ResolvConf { file: "/etc/resolv.conf".to_owned(), servers, ..ResolvConf::default() }
    }

    fn is_told(found: &Diagnosis, what: &str) -> bool {
        found.coverage.gaps.iter().any(|gap| gap.what == what)
    }

    /// A cloud whose web1 asks these servers.
    fn asking(servers: &[&str]) -> Cloud {
        let mut cloud = healthy();
        cloud.netns("web1").resolver = Some(conf(servers));
        cloud
    }

    #[test]
    fn an_instance_that_asks_over_ipv6_alone_leaves_open_whether_it_is_answered() {
        let what = "whether web1 is answered by 2001:db8::53";
        let alone = asking(&["2001:db8::53"]);
        for symptom in [Symptom::Auto, Symptom::Dns, Symptom::Ssh] {
            let found = alone.diagnose_for("web1", symptom);
            assert_eq!(found.outcome, Outcome::Undetermined, "{symptom:?}");
            assert_eq!(found.coverage.gaps[0].what, what, "{symptom:?}");
        }
        for symptom in [Symptom::Ping, Symptom::Dhcp, Symptom::Metadata] {
            let found = alone.diagnose_for("web1", symptom);
            assert!(found.outcome == Outcome::Healthy && !is_told(&found, what), "{symptom:?}");
        }
        let of_all = alone.diagnose_all();
        assert!(of_all.outcome == Outcome::Healthy && is_told(&of_all, what));
    }

    #[test]
    fn one_that_asks_another_server_too_is_told_of() {
        for servers in [["10.0.0.42", "2001:db8::53"], ["2001:db8::53", "1.2.3.4"]] {
            let found = asking(&servers).diagnose_for("web1", Symptom::Dns);
            assert_eq!(found.outcome, Outcome::Healthy, "{servers:?}");
            assert!(is_told(&found, "whether web1 is answered by 2001:db8::53"), "{servers:?}");
        }
    }

    /// What the question for a client's name, put to a dnsmasq that asks over IPv6 alone, leaves.
    fn behind_ipv6_alone(rcode: Option<Rcode>) -> Outcome {
        let mut cloud = healthy();
        cloud.dnsmasq("compute1").servers = vec!["2001:db8::53".to_owned()];
        cloud.probes = vec![crate::fixture::looked_up("web1", [10, 0, 0, 42].into(), rcode)];
        cloud.diagnose_for("web1", Symptom::Dns).outcome
    }

    #[test]
    fn a_dnsmasq_that_finds_out_nothing_from_whom_it_asks_unseen_leaves_names_open() {
        assert_eq!(behind_ipv6_alone(Some(Rcode::NxDomain)), Outcome::Healthy);
        assert_eq!(behind_ipv6_alone(Some(Rcode::Refused)), Outcome::Undetermined);
    }

    #[test]
    fn whom_dnsmasq_asks_unseen_is_told() {
        let what = "whether dnsmasq on compute1 is answered by fe80::1";
        let mut cloud = healthy();
        cloud.netns("compute1").resolver = Some(conf(&["9.9.9.9", "fe80::1"]));
        let names = |cloud: &Cloud| cloud.diagnose_for("web1", Symptom::Dns);
        assert!(!is_told(&names(&cloud), what), "it is told to read no file");
        for (word, at) in [("fe80::1%eth0#5353", "@fe80::1%eth0 -p 5353"), ("fe80::1@eth0", "@fe80::1")] {
            assert_eq!(asked_at(word), at);
            let mut named = cloud.clone();
            named.dnsmasq("compute1").servers.push(word.to_owned());
            let found = names(&named);
            assert!(is_told(&found, what) && found.outcome == Outcome::Healthy, "{word}");
        }
        cloud.dnsmasq("compute1").no_resolv = false;
        assert!(is_told(&names(&cloud), what));
        let unread = "whom dnsmasq on compute1 asks";
        assert!(!is_told(&names(&cloud), unread));
        cloud.dnsmasq("compute1").argv.push("--resolv-file=/run/resolv.conf".to_owned());
        let found = names(&cloud);
        assert!(is_told(&found, unread) && !is_told(&found, what), "the other file is not read");
        cloud.dnsmasq("compute1").no_resolv = true;
        assert!(!is_told(&names(&cloud), unread), "no such file is read");
        cloud.dnsmasq("compute1").conf_file = Some("/etc/dnsmasq-nova.conf".to_owned());
        assert!(is_told(&names(&cloud), unread));
        assert!(!is_told(&cloud.diagnose_for("web1", Symptom::Ping), unread), "names are no matter");
    }
}
