//! # dns-answer-wrong
//!
//! The network's dnsmasq gives an instance's name an address that the cloud does not mean it to have.
//!
//! ## What it means
//! Whoever connects to the instance by its name comes to another machine, or to none; by its address all is well.
//! A name is dnsmasq's from the first that has it: its options, its hosts files, and only then its leases. A line that
//! was left in one of those files, or an `--address` by hand, has the last word over what nova says.
//!
//! ## How hopline knows
//! The name that stands in dnsmasq's hosts file for the instance's MAC was asked for as the instance, and the answer
//! holds an address that no instance of that name has, fixed or floating, by the database. An address that the hosts
//! file itself gives is `dnsmasq-stale-hosts-file`'s. The option that gives it is named where it stands in dnsmasq's
//! arguments, and the line where it stands in a file of `--addn-hosts`. Where nobody asked, such a line tells it alone.
//!
//! ## What it looks like
//! `dig @GATEWAY NAME` in the instance prints the wrong address; in dnsmasq's log, after a SIGHUP: `not giving name
//! NAME to the DHCP lease of ADDRESS because the name exists in FILE`.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-stale-hosts-file`: the line by which addresses are given is the wrong one.
//! * a name that is asked of another server (`guest-resolv-conf-wrong`): the network's own is right.
//! * an instance that was made anew under its old name: until the old lease ends the old address is told.
//!
//! ## Fix
//! Take the line out of the file, and have dnsmasq read it again (SIGHUP); or start dnsmasq without the option. Undo:
//! the old line.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; dnsmasq(8) `--addn-hosts`, `--address`, `--host-record`;
//! nova `linux_net.py` `update_dns`, `restart_dhcp`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::dns::{Found as Record, Rcode};
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::path::{Direction, Exchange, Stage};
use model::probe::ProbeResult;
use model::service::{Dnsmasq, HostsLine};

use crate::dns::{self, Server};
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{Purpose, Rung};
use crate::looked_up;
use crate::restart;
use crate::said;
use crate::view::View;

/// What a fresh start does.
const WITHOUT: &str = "a dnsmasq that nova starts has no such option";

/// Looks for names of instances that lead astray: one finding a name and place.
pub fn check(view: &View) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    let resolvers = view.rungs.iter().filter(|rung| rung.purpose == Purpose::Resolver);
    let told = resolvers.flat_map(|rung| {
        let mut asked =
            looked_up::put(view.probes, rung).filter(|p| looked_up::forward(p).is_some()).peekable();
        let unasked = asked.peek().is_none().then_some((rung, None));
        asked.map(move |probe| (rung, Some(probe))).chain(unasked)
    });
    let found = told.filter_map(|(rung, probe)| {
        let server = dns::server(view.world, rung.instance)?;
        let own = || dns::own_name(view.snapshot(), view.intent(), rung.instance);
        let name = match probe {
            Some(probe) => looked_up::forward(probe)?.to_owned(),
            None => own()?,
        };
        let wrong = match probe {
            Some(probe) => wrong_of(view, &server, &name, &answered(probe)),
            None => {
                wrong_of(view, &server, &name, &lines(&server, &name).map(|line| line.ip).collect::<Vec<_>>())
            }
        }?;
        let is_first = seen.insert((server.host.name.clone(), server.dnsmasq.pid, name.clone()));
        is_first.then(|| finding(view, rung, &server, (&name, wrong), probe))?
    });
    found.collect()
}

/// Lines of dnsmasq's hosts files that name something so.
fn lines<'s>(server: &Server<'s>, name: &str) -> impl Iterator<Item = &'s HostsLine> {
    let is_it = move |line: &&HostsLine| line.names.iter().any(|own| own.eq_ignore_ascii_case(name));
    server.dnsmasq.named.iter().filter(is_it)
}

fn answered(probe: &ProbeResult) -> Vec<IpAddr> {
    let answer = looked_up::answer(probe).filter(|answer| answer.rcode == Rcode::NoError);
    let found = answer.into_iter().flat_map(|answer| &answer.found);
    let addresses = found.filter_map(|record| match record {
        Record::Address(ip) => Some(*ip),
        Record::Name(_) => None,
    });
    addresses.collect()
}

/// The first of these addresses that nobody of that name is meant to have.
fn wrong_of(view: &View, server: &Server, name: &str, addresses: &[IpAddr]) -> Option<Ipv4Addr> {
    let meant = dns::meant(server.dnsmasq, view.intent(), name);
    if meant.is_empty() {
        return None;
    }
    let by_line = server.dnsmasq.hosts.iter().flatten().filter_map(|line| line.ip);
    // One that was made anew under its old name: dnsmasq tells the old address until that lease ends.
    let host = name.split('.').next().unwrap_or_default();
    let leases = server.dnsmasq.leases.iter().flatten();
    let leased = leases.filter(|lease| lease.hostname.eq_ignore_ascii_case(host)).map(|lease| lease.ip);
    let known: BTreeSet<Ipv4Addr> = meant.into_iter().chain(by_line).chain(leased).collect();
    let v4 = addresses.iter().filter_map(|ip| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    });
    v4.into_iter().find(|ip| !known.contains(ip))
}

fn finding(
    view: &View,
    rung: &Rung,
    server: &Server,
    (name, wrong): (&str, Ipv4Addr),
    probe: Option<&ProbeResult>,
) -> Option<Found> {
    let instance = view.intent().instances.get(rung.instance)?;
    let dnsmasq = server.dnsmasq;
    let option = giving(dnsmasq, wrong);
    let files: Vec<&str> = dnsmasq.addn_hosts.iter().map(String::as_str).collect();
    let fixed: Vec<String> = instance.fixed().map(|ip| ip.to_string()).collect();
    let record = if view.intent().from_database { EvidenceKind::Db } else { EvidenceKind::Config };
    let source = if view.intent().from_database { "fixed_ips" } else { "the records of the instance" };
    let line = lines(server, name).find(|line| line.ip == IpAddr::V4(wrong));
    let mut evidence: Vec<Evidence> = probe.map(said::evidence).into_iter().collect();
    evidence.push(evidence::record(record, source, format!("{} has {}", instance.name, fixed.join(" "))));
    evidence.extend(line.map(|line| {
        let text = format!("{} {}", line.ip, line.names.join(" "));
        evidence::record(EvidenceKind::Config, format!("{}:{}", line.file, line.line), text)
    }));
    evidence.extend(option.map(|option| {
        evidence::state(server.ns, "ps -fC dnsmasq", format!("pid {}: {option}", dnsmasq.pid))
    }));
    evidence.extend(line_of(dnsmasq, name));
    let cause = match (option, files.as_slice()) {
        (Some(option), _) => format!("`{option}` of dnsmasq (pid {}) gives it", dnsmasq.pid),
        (None, _) if line.is_some() => {
            format!("a line of a hosts file of dnsmasq's (pid {}) gives it", dnsmasq.pid)
        }
        (None, []) => "dnsmasq has it from a file, or from a lease of before".to_owned(),
        (None, files) => {
            format!(
                "dnsmasq has it from elsewhere than that: a line of {}, or a lease of before",
                files.join(" ")
            )
        }
    };
    let fault = Fault {
        code: "dns-answer-wrong",
        hop: at(server.ns, server.bridge, Stage::Service),
        summary: format!(
            "{name} is {} by the cloud's records, and {} tells {} that it is {wrong}",
            fixed.join(" "),
            rung.to,
            instance.name
        ),
        cause,
        confidence: if option.is_some() { Confidence::Proven } else { Confidence::Likely },
        evidence,
        owner: if option.is_some() { "operator" } else { "nova-network" },
        remedy: remedy(view, server, (name, option.is_some()), &files),
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Reply))
}

/// The argument that names this address.
fn giving(dnsmasq: &Dnsmasq, address: Ipv4Addr) -> Option<&str> {
    let names = |word: &&String| {
        let gives = ["--address=", "--host-record=", "-A"].iter().any(|option| word.starts_with(option));
        gives && word.split(['/', ',', '=']).any(|part| part.parse() == Ok(address))
    };
    dnsmasq.argv.iter().find(names).map(String::as_str)
}

/// The line by which the name is meant to be known.
fn line_of(dnsmasq: &Dnsmasq, name: &str) -> Option<Evidence> {
    let is_it = |own: &String| name.starts_with(own.as_str());
    let mut lines = dnsmasq.hosts.iter().flatten();
    let line = lines.find(|line| line.hostname.as_ref().is_some_and(is_it))?;
    let source = format!("{}:{}", dnsmasq.hosts_file.as_deref().unwrap_or("dhcp-hostsfile"), line.line);
    let ip = line.ip.map(|ip| format!(",{ip}")).unwrap_or_default();
    let text = format!("{},{}{ip}", line.mac, line.hostname.as_deref().unwrap_or_default());
    Some(evidence::record(EvidenceKind::Config, source, text))
}

fn remedy(view: &View, server: &Server, (name, is_option): (&str, bool), files: &[&str]) -> Vec<Remedy> {
    if is_option {
        let mut seats = view.seats_of_all();
        let seat = seats.find(|seat| std::ptr::eq(seat.server, server.host));
        let of = |seat| restart::dnsmasq(view, seat, server.dnsmasq, "TERM", WITHOUT);
        return seat.map(of).unwrap_or_default();
    }
    let words: Vec<String> = files.iter().map(|file| restart::typed(file)).collect();
    let look = (!files.is_empty()).then(|| {
        let command = format!("grep -n {} {}", restart::typed(name), words.join(" "));
        evidence::remedy(server.ns, &command, "", "the line is to be taken out")
    });
    let read = evidence::remedy(
        server.ns,
        &format!("kill -HUP {}", server.dnsmasq.pid),
        "",
        "dnsmasq reads its hosts files again and forgets what it has learned; leases stay",
    );
    look.into_iter().chain([read]).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::dns::Found;
    use model::finding::Confidence;
    use model::service::HostsLine;

    use crate::fixture::{Cloud, broken, codes, found, healthy};

    const NAME: &str = "web1.novalocal A";

    fn told(cloud: &mut Cloud, addresses: &[[u8; 4]]) -> Vec<String> {
        let addresses: Vec<Found> = addresses.iter().map(|ip| Found::Address((*ip).into())).collect();
        cloud.probes = vec![found(NAME, "web1", [10, 0, 0, 42].into(), &addresses)];
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn fires_on_an_address_of_nobodys_by_that_name_and_tells_both() {
        let diagnosis = broken("dns-answer-wrong").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dns-answer-wrong compute1//br100"]);
        let finding = &diagnosis.findings[0];
        assert_eq!(finding.confidence, Confidence::Likely);
        let said: Vec<&str> = finding.evidence.iter().map(|e| e.text.as_str()).collect();
        assert!(said.iter().any(|text| text.contains("10.0.2.99")), "{said:?}");
        assert!(said.contains(&"web1 has 10.0.2.24"), "{said:?}");
        // One of two leads astray too.
        let mut two = healthy();
        assert_eq!(told(&mut two, &[[10, 0, 2, 24], [10, 0, 2, 99]]), ["dns-answer-wrong compute1//br100"]);
    }

    #[test]
    fn names_the_option_that_gives_it() {
        let mut cloud = broken("dns-answer-wrong");
        cloud.dnsmasq("compute1").argv.push("--address=/web1.novalocal/10.0.2.99".to_owned());
        let diagnosis = cloud.diagnose("web1");
        let finding = &diagnosis.findings[0];
        assert_eq!(finding.confidence, Confidence::Proven);
        assert!(finding.cause.contains("`--address=/web1.novalocal/10.0.2.99`"), "{finding:?}");
    }

    #[test]
    fn stays_silent_on_every_address_that_the_name_may_have() {
        let mut cloud = healthy();
        assert_eq!(told(&mut cloud, &[[10, 0, 2, 24]]), [""; 0]);
        assert_eq!(told(&mut cloud, &[[203, 0, 113, 30]]), [""; 0], "its floating address");
        assert_eq!(told(&mut cloud, &[]), [""; 0], "no lease, no name");
        // A second instance of the same name: whoever of them asked last has it.
        let lines = cloud.dnsmasq("compute1").hosts.as_mut().unwrap();
        lines.iter_mut().for_each(|line| line.hostname = Some("web1.novalocal".to_owned()));
        assert_eq!(told(&mut cloud, &[[10, 0, 2, 25]]), [""; 0]);
    }

    #[test]
    fn leaves_what_the_hosts_file_says_to_the_finding_of_that() {
        let mut cloud = healthy();
        let lines = cloud.dnsmasq("compute1").hosts.as_mut().unwrap();
        lines[0].ip = Some([10, 0, 2, 99].into());
        let found = told(&mut cloud, &[[10, 0, 2, 99]]);
        assert!(!found.iter().any(|code| code.starts_with("dns-answer-wrong")), "{found:?}");
    }

    #[test]
    fn a_line_of_a_hosts_file_tells_it_unasked_and_not_against_what_was_answered() {
        let mut cloud = healthy();
        let line = |ip: [u8; 4]| HostsLine {
            file: "/var/lib/nova/networks/nova-br100.hosts".to_owned(),
            line: 3,
            ip: IpAddr::from(ip),
            names: vec!["web1.novalocal".to_owned()],
        };
        cloud.dnsmasq("compute1").named = vec![line([203, 0, 113, 30])];
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "its floating address, as nova writes it");
        cloud.dnsmasq("compute1").named = vec![line([10, 0, 2, 99])];
        let unasked = cloud.diagnose("web1");
        assert_eq!(codes(&unasked), ["dns-answer-wrong compute1//br100"]);
        let evidence = &unasked.findings[0].evidence;
        assert!(evidence.iter().any(|e| e.source.ends_with("nova-br100.hosts:3")), "{evidence:?}");
        // A file that dnsmasq has not read again yet.
        assert_eq!(told(&mut cloud, &[[10, 0, 2, 24]]), [""; 0]);
    }
}
