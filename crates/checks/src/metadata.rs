//! The metadata service as an instance meets it: the host that is to lead it there, the rule by which it does, and
//! what the console says of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use ipnet::IpNet;
use model::Netns;
use model::finding::{Evidence, EvidenceKind};
use model::http::Page;
use model::intent::Instance;
use model::netfilter::{Action, NfRule, Test};
use model::path::{Direction, Disposition, Hop, Stage};
use model::probe::{Asked, ProbeResult};
use model::service::{ConsoleEventKind, NovaOptions};
use model::snapshot::{Gap, Host};
use sim::World;

use crate::dhcp_told;
use crate::diagnose::{Case, probe_of};
use crate::dns;
use crate::evidence;
use crate::ladder::{Purpose, Rung, Symptom};
use crate::nova::{self, line::Then, options::Options};
use crate::said;
use crate::view::View;

/// Where instances look for it.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// The port that instances ask.
const HTTP_PORT: u16 = 80;

/// An instance's question for metadata that its host did not get answered.
pub(crate) struct Unserved<'v> {
    pub(crate) instance: &'v Instance,
    /// The host that is to lead it on, and its main namespace.
    pub(crate) server: &'v Host,
    pub(crate) ns: &'v Netns,
    /// The question, and its place in the ladder.
    pub(crate) rung: &'v Rung,
    pub(crate) at: usize,
}

/// Questions for metadata that came as far as the host that serves the instance, and died there or beyond, or left
/// the site: nobody outside has that address.
pub(crate) fn unserved<'v>(view: &View<'v>) -> Vec<Unserved<'v>> {
    let asked = view.rungs.iter().enumerate().filter(|(_, rung)| rung.purpose == Purpose::Metadata);
    let of_rung = |(at, rung): (usize, &'v Rung)| {
        let instance = view.intent().instances.get(rung.instance)?;
        let name = *view.intent().servers_of(instance).first()?;
        let server = view.snapshot().host(name)?;
        let ns = view.snapshot().main_netns(name)?;
        let went = |hop: &Hop| {
            let routed = matches!(hop.at.stage, Stage::Nat | Stage::Route | Stage::Local | Stage::Service);
            hop.at.host == ns.machine && hop.at.netns == ns.name && routed
        };
        let mut paths = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
        let lost = |end: &Disposition| matches!(end, Disposition::Dropped(_) | Disposition::LeftSite);
        let is_lost = paths.any(|path| path.hops.iter().any(went) && lost(&path.disposition));
        is_lost.then_some(Unserved { instance, server, ns, rung, at })
    };
    asked.filter_map(of_rung).collect()
}

/// Where nova.conf wants a host to lead the question; `None` where it does not tell.
pub(crate) fn meant(server: &Host, ns: &Netns) -> Option<Then> {
    Options::of(server, ns).metadata_target()
}

/// Whether the host that serves the instance is meant to lead it to the metadata service: nova-network does.
pub(crate) fn is_served(world: &World, at: usize) -> bool {
    let Some(instance) = world.intent.instances.get(at) else { return false };
    let servers = world.intent.servers_of(instance);
    let read = |name: &&str| world.snapshot.host(name).zip(world.snapshot.main_netns(name));
    servers.iter().find_map(read).is_some_and(|(host, ns)| nova::manages(host, ns))
}

/// The service as the host that leads an instance to it reaches it itself: where nova.conf tells, and where inside the
/// instance nobody can ask.
pub(crate) fn at_home(world: &World, at: usize) -> Option<SocketAddrV4> {
    let instance = world.intent.instances.get(at).filter(|instance| !instance.entered)?;
    let name = *world.intent.servers_of(instance).first()?;
    let (server, ns) = world.snapshot.host(name).zip(world.snapshot.main_netns(name))?;
    match meant(server, ns)? {
        Then::Redirect(port) => Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)),
        Then::Dnat(address, port) => Some(SocketAddrV4::new(address, port.unwrap_or(HTTP_PORT))),
        Then::Accept | Then::Drop | Then::Call(_) | Then::Snat(_) | Then::FillChecksum => None,
    }
}

/// The rules of a host that lead the question somewhere.
pub(crate) fn rules(ns: &Netns) -> impl Iterator<Item = &NfRule> {
    let nat = nova::iptables(ns).filter(|table| table.name == "nat").flat_map(|table| &table.chains);
    let rules = nat.filter(|chain| chain.name.ends_with("PREROUTING")).flat_map(|chain| &chain.rules);
    rules.filter(|rule| matches!(rule.action, Action::Dnat(_) | Action::Redirect(_)) && is_for_it(rule))
}

fn is_for_it(rule: &NfRule) -> bool {
    let holds = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&IpAddr::V4(ADDRESS)));
    rule.matches.iter().any(|m| matches!(&m.test, Test::Destination(nets) if !m.negated && holds(nets)))
}

/// Whether a rule leads to where it is meant to; any will do where that is not known.
pub(crate) fn leads_right(rule: &NfRule, meant: Option<&Then>) -> bool {
    meant.is_none_or(|meant| Then::of(&rule.action).as_ref() == Some(meant))
}

/// What answers leave open: one that came late is no fault, for cloud-init waits, and what the service says to the
/// instance's host tells whom the service knows only where it knows everybody.
pub(crate) fn doubts(case: &Case, rungs: &[Rung], symptom: Symptom) -> Vec<Gap> {
    let asked = rungs.iter().filter_map(|rung| {
        let (name, probe) = (&case.intent.instances.get(rung.instance)?.name, probe_of(case, rung)?);
        let Asked::Connection { page: Some(page), .. } = &probe.asked else { return None };
        Some((rung, name, probe, page))
    });
    let gap = |(rung, name, probe, page): (&Rung, &String, &ProbeResult, &Page)| {
        let status = page.answer.code()?;
        let is_at_home = matches!(rung.purpose, Purpose::MetadataAtHome(_));
        if page.took_us >= dns::LATE_US {
            return Some(Gap {
                what: "whether the metadata service is always slow".to_owned(),
                why: format!("it was so once: {}", said::told(probe)),
                would_need: "the same question again".to_owned(),
            });
        }
        if LEADS_ELSEWHERE.contains(&status) {
            return Some(Gap {
                what: format!("whether {name} is served metadata"),
                why: format!("nova's own service never leads elsewhere: {}", said::told(probe)),
                would_need: format!("in {name}: curl -iL http://{ADDRESS}{}", page.path),
            });
        }
        let is_unknown = is_at_home && symptom == Symptom::Metadata && CLIENT_ERRORS.contains(&status);
        is_unknown.then(|| Gap {
            what: format!("whether the metadata service knows {name}"),
            why: format!("it need not know who asks: {}", said::told(probe)),
            would_need: format!("in {name}: curl -i http://{ADDRESS}{}", page.path),
        })
    };
    asked.filter_map(gap).collect()
}

/// Statuses that send the asker to another place.
const LEADS_ELSEWHERE: Range<u16> = 300..400;

/// Statuses that say that the asker is wrong.
const CLIENT_ERRORS: Range<u16> = 400..500;

/// What an instance's console last said of metadata, where it did not get any.
pub(crate) fn console(view: &View, instance: &Instance) -> Option<Evidence> {
    let console = dhcp_told::console_of(view.snapshot().host(&instance.host)?, instance)?;
    let failed = |kind: &ConsoleEventKind| matches!(kind, ConsoleEventKind::MetadataUnreachable(_));
    let event = console.events.iter().rev().find(|event| failed(&event.kind))?;
    let source = format!("{}:{}", console.file, event.line);
    Some(evidence::record(EvidenceKind::Log, source, event.text.clone()))
}

/// The line of nova.conf that an answer to the question hangs on.
pub(crate) fn configured(nova: &NovaOptions) -> Evidence {
    let said = |option: &str, default: &str| nova.get(option).unwrap_or(default).to_owned();
    let (host, port) = (said("metadata_host", "$my_ip"), said("metadata_port", "8775"));
    let text = format!("metadata_host = {host}, metadata_port = {port}");
    evidence::record(EvidenceKind::Config, nova.file.clone(), text)
}
