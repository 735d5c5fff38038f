//! # dns-name-withheld
//!
//! The network's dnsmasq says that a name does not exist which the server behind it knows: an option makes it say so.
//!
//! ## What it means
//! dnsmasq answers by itself for what it takes to be local, and asks nobody: `--local=/DOMAIN/` and
//! `--server=/DOMAIN/` without an address, `--address=/DOMAIN/` without one, `--bogus-priv` for the names of private
//! addresses. Instances get `NXDOMAIN` at once, and the host, which asks the server itself, finds the name.
//!
//! ## How hopline knows
//! The name of a client outside was asked for as the instance and, from the host, of the server behind dnsmasq: one
//! says NXDOMAIN, the other has it, and dnsmasq's arguments hold the option by which that comes about, the longest
//! domain first. Without such an option nothing is told: dnsmasq may remember a time when the name was not there.
//! Names of the cloud's own networks are local by design, and never told. Where nobody answered, an option that denies
//! the name of a public address, as of the site's host outside, is told as possible: private ones may be local by
//! design.
//!
//! ## What it looks like
//! `dig @GATEWAY -x ADDRESS` in the instance: `status: NXDOMAIN`; `dig @UPSTREAM -x ADDRESS` on the host: the name.
//! With `--log-queries`: `config ... is NXDOMAIN`.
//!
//! ## Nearest look-alikes
//! * `dns-lookup-fails`: a refusal or a failure, not a name that is said not to exist.
//! * a name that is new: dnsmasq remembers NXDOMAIN for as long as the zone says.
//!
//! ## Fix
//! Start dnsmasq without the option, or name the server that knows (`--server=/DOMAIN/ADDRESS`). Undo: the option
//! again.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; dnsmasq(8) `--local`, `--server`, `--address`,
//! `--bogus-priv`.

use std::net::{IpAddr, Ipv4Addr};

use model::dns::Rcode;
use model::finding::{Confidence, Evidence};
use model::path::{Direction, Exchange, Stage};
use model::probe::ProbeResult;

use crate::dns;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{self, Purpose, Rung};
use crate::looked_up::{self, answer, rcode};
use crate::restart;
use crate::said;
use crate::view::View;

/// What a fresh start does.
const WITHOUT: &str = "a dnsmasq that nova starts has no such option";

/// Looks for names that dnsmasq denies and its server knows: one finding a place.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for new in view.rungs.iter().filter_map(|rung| withheld(view, rung)) {
        match found.iter_mut().find(|known| known.finding.hop == new.finding.hop) {
            Some(known) => known.finding.instances.extend(new.finding.instances),
            None => found.push(new),
        }
    }
    found
}

fn withheld(view: &View, rung: &Rung) -> Option<Found> {
    if rung.purpose != Purpose::Resolver {
        return None;
    }
    let asked: Vec<&ProbeResult> = looked_up::put(view.probes, rung).filter(|p| is_of_v4(p)).collect();
    let denied = asked.iter().copied().find(|probe| rcode(probe) == Some(Rcode::NxDomain));
    let is_unanswered = asked.iter().all(|probe| rcode(probe).is_none());
    let address = match denied {
        Some(denied) => looked_up::reverse(denied)?,
        None => IpAddr::V4(ladder::outside(view.world).filter(|ip| is_unanswered && !is_private(*ip))?),
    };
    let IpAddr::V4(address) = address else { return None };
    let is_the_clouds =
        view.intent().networks.iter().filter_map(|n| n.cidr).any(|cidr| cidr.contains(&address));
    if is_the_clouds {
        return None;
    }
    let knows = |probe: &&ProbeResult| {
        let has_it = answer(probe).is_some_and(|answer| !answer.found.is_empty());
        looked_up::reverse(probe) == Some(address.into()) && has_it
    };
    let known = looked_up::upstreams(view, rung).into_iter().find_map(|(_, probe)| probe.filter(knows));
    if denied.is_some() && known.is_none() {
        return None;
    }
    let server = dns::server(view.world, rung.instance)?;
    let seat = view.seats_of_all().find(|seat| std::ptr::eq(seat.server, server.host))?;
    let option = denying(&server.dnsmasq.argv, address)?;
    let instance = view.intent().instances.get(rung.instance)?;
    let process = format!("pid {}: {option}", server.dnsmasq.pid);
    let said = [denied, known].into_iter().flatten().map(said::evidence);
    let evidence: Vec<Evidence> =
        said.chain([evidence::state(server.ns, "ps -fC dnsmasq", process)]).collect();
    let fault = Fault {
        code: "dns-name-withheld",
        hop: at(server.ns, server.bridge, Stage::Service),
        summary: match known {
            Some(known) => format!(
                "{} is told by {} that {address} has no name, and {}, which dnsmasq does not ask for it, knows one",
                instance.name, rung.to, known.to
            ),
            None => format!(
                "{} is told by {} that {address} has no name, whatever the servers behind know",
                instance.name, rung.to
            ),
        },
        cause: format!("`{option}` makes dnsmasq (pid {}) answer for that itself", server.dnsmasq.pid),
        confidence: if known.is_some() { Confidence::Likely } else { Confidence::Possible },
        evidence,
        owner: "operator",
        remedy: restart::dnsmasq(view, seat, server.dnsmasq, "TERM", WITHOUT),
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Dns, Direction::Reply))
}

fn is_of_v4(probe: &ProbeResult) -> bool {
    looked_up::reverse(probe).is_some_and(|address| address.is_ipv4())
}

/// The option by which dnsmasq denies the name of this address: of domains that hold it the longest decides, and it
/// comes before what is said of private addresses.
fn denying(argv: &[String], address: Ipv4Addr) -> Option<String> {
    let [a, b, c, d] = address.octets();
    let name = format!("{d}.{c}.{b}.{a}.in-addr.arpa");
    let of_name = domains(argv).filter(|(_, domain, _)| holds(domain, &name));
    if let Some((option, _, to)) = of_name.max_by_key(|(_, domain, _)| domain.len()) {
        return to.is_empty().then_some(option);
    }
    let is_it = |word: &&String| matches!(word.as_str(), "--bogus-priv" | "-b");
    argv.iter().find(is_it).filter(|_| is_private(address)).cloned()
}

/// `--server=/DOMAIN/.../[ADDRESS]` and its like: the argument, each domain, and whom it is asked of.
fn domains(argv: &[String]) -> impl Iterator<Item = (String, &str, &str)> {
    const OPTIONS: [&str; 5] = ["--local", "--server", "--address", "-S", "-A"];
    let next = argv.iter().skip(1).map(String::as_str).chain([""]);
    let valued = argv.iter().zip(next).filter_map(|(word, next)| {
        let of = |option: &&str| {
            let rest = word.strip_prefix(*option)?;
            match rest.strip_prefix('=') {
                Some(value) => Some((word.clone(), value)),
                None if rest.is_empty() => Some((format!("{word} {next}"), next)),
                None => Some((word.clone(), rest)).filter(|_| !option.starts_with("--")),
            }
        };
        OPTIONS.iter().find_map(of)
    });
    valued.flat_map(|(option, value)| {
        let (domains, to) =
            value.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).unwrap_or_default();
        let domains = domains.split('/').filter(|domain| !domain.is_empty());
        domains.map(move |domain| (option.clone(), domain, to)).collect::<Vec<_>>()
    })
}

fn holds(domain: &str, name: &str) -> bool {
    let domain = domain.trim_start_matches(['*', '.']).to_ascii_lowercase();
    name == domain || name.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

/// As dnsmasq counts (src/rfc1035.c `private_net`): those of RFC 1918, link-local ones, and those of examples.
fn is_private(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_link_local() || address.is_loopback() || address.is_documentation()
}

#[cfg(test)]
mod tests {
    use model::dns::Found;
    use model::finding::Confidence;

    use super::denying;
    use crate::fixture::{Cloud, broken, codes, found, healthy};

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn fires_on_what_the_server_behind_knows_and_names_the_option() {
        let diagnosis = broken("dns-name-withheld").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dns-name-withheld compute1//br100"]);
        assert!(diagnosis.findings[0].cause.contains("`--local=/4.3.2.1.in-addr.arpa/`"), "{diagnosis:?}");
    }

    /// What is denied and known; `None` for what the server behind does not know either.
    fn withheld(cloud: &mut Cloud, client: &str, known: Option<&str>) -> Vec<String> {
        let known: Vec<Found> = known.iter().map(|name| Found::Name((*name).to_owned())).collect();
        let question = format!("-x {client}");
        cloud.probes = vec![
            found(&question, "web1", [10, 0, 0, 42].into(), &[]),
            found(&question, "compute1", [1, 2, 3, 4].into(), &known),
        ];
        codes(&cloud.diagnose("web1"))
    }

    #[test]
    fn stays_silent_without_such_an_option_or_where_nobody_knows_the_name() {
        let mut cloud = healthy();
        assert_eq!(withheld(&mut cloud, "1.2.3.4", Some("ext.test.")), [""; 0], "it may remember");
        cloud.dnsmasq("compute1").argv.push("--local=/4.3.2.1.in-addr.arpa/".to_owned());
        assert_eq!(withheld(&mut cloud, "1.2.3.4", None), [""; 0]);
    }

    #[test]
    fn stays_silent_on_names_of_the_clouds_own_networks() {
        let mut cloud = healthy();
        cloud.dnsmasq("compute1").argv.push("--bogus-priv".to_owned());
        assert_eq!(withheld(&mut cloud, "10.0.9.9", Some("old.test.")), [""; 0]);
        assert_eq!(
            withheld(&mut cloud, "10.9.9.9", Some("office.test.")),
            ["dns-name-withheld compute1//br100"]
        );
    }

    #[test]
    fn the_longest_domain_decides() {
        let of = |line: &str, ip: [u8; 4]| denying(&argv(line), ip.into());
        let local = "--local=/2.1.in-addr.arpa/";
        assert_eq!(of(local, [1, 2, 3, 4]).as_deref(), Some(local));
        assert_eq!(of(local, [1, 22, 3, 4]), None);
        assert_eq!(of(&format!("{local} --server=/3.2.1.in-addr.arpa/9.9.9.9"), [1, 2, 3, 4]), None);
        assert_eq!(of("-S /a.test/in-addr.arpa/", [1, 2, 3, 4]).as_deref(), Some("-S /a.test/in-addr.arpa/"));
        assert_eq!(of("--bogus-priv --server=/10.in-addr.arpa/9.9.9.9", [10, 1, 1, 1]), None);
        assert_eq!(of("-b", [192, 168, 1, 1]).as_deref(), Some("-b"));
        for other in ["--server=9.9.9.9", "--local=/test/", "--server", "--address=/in-addr.arpa/#", "-b"] {
            assert_eq!(of(other, [1, 2, 3, 4]), None, "{other}");
        }
    }

    #[test]
    fn an_option_that_denies_a_public_name_is_possible_unasked() {
        let unasked = |option: &str| {
            let mut cloud = healthy();
            cloud.dnsmasq("compute1").argv.push(option.to_owned());
            cloud.diagnose("web1")
        };
        let told = unasked("--local=/4.3.2.1.in-addr.arpa/");
        assert_eq!(codes(&told), ["dns-name-withheld compute1//br100"]);
        assert_eq!(told.findings[0].confidence, Confidence::Possible);
        for other in ["--bogus-priv", "--local=/10.in-addr.arpa/", "--server=/3.2.1.in-addr.arpa/9.9.9.9"] {
            assert_eq!(codes(&unasked(other)), [""; 0], "{other}");
        }
    }
}
