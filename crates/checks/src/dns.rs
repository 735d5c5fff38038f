//! Where an instance's names come from: the dnsmasq that serves its bridge, and the servers which that one asks.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

pub(crate) use model::dns::PORT;
use model::dns::Rcode;
use model::finding::Evidence;
use model::path::Exchange;
use model::probe::ProbeResult;
use model::service::{DhcpHost, Dnsmasq, NovaOptions, ResolvConf};
use model::snapshot::{Gap, Host};
use model::{Intent, Mac, Netns, Snapshot};
use sim::World;

use crate::diagnose::{Case, is_probe_of};
use crate::evidence;
use crate::ipv6_names;
use crate::ladder::{Purpose, Rung, gateway};
use crate::looked_up;
use crate::own_names;
use crate::said;
use crate::servers_behind;
use crate::view::View;

/// The dnsmasq that answers an instance, and where it runs.
#[derive(Clone, Copy)]
pub(crate) struct Server<'w> {
    pub(crate) host: &'w Host,
    pub(crate) ns: &'w Netns,
    pub(crate) dnsmasq: &'w Dnsmasq,
    /// The instances' bridge.
    pub(crate) bridge: &'w str,
}

/// A server that dnsmasq asks, and what made it do so: `--server=1.2.3.4`, or a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddrV4,
    pub(crate) by: String,
}

/// The dnsmasq of an instance's network.
pub(crate) fn server<'w>(world: &World<'w>, at: usize) -> Option<Server<'w>> {
    let instance = world.intent.instances.get(at)?;
    let gateway = IpAddr::V4(gateway(world, at)?);
    let name = *world.intent.servers_of(instance).first()?;
    let (host, ns) = world.snapshot.host(name).zip(world.snapshot.main_netns(name))?;
    let bridge = instance.vifs.iter().find_map(|vif| vif.bridge.as_deref())?;
    let serves = |d: &&Dnsmasq| d.listen.contains(&gateway) || d.interfaces.iter().any(|i| i == bridge);
    // One for addresses alone may stand beside it.
    let dnsmasq = host.dnsmasq.iter().filter(serves).min_by_key(|d| d.is_told_no_names())?;
    Some(Server { host, ns, dnsmasq, bridge })
}

impl Server<'_> {
    /// Whom it asks for what it does not know itself, over IPv4. Servers of single domains are left out.
    pub(crate) fn upstreams(&self) -> Vec<Upstream> {
        let named = self.dnsmasq.servers.iter().filter_map(|server| {
            Some(Upstream { address: address(server)?, by: format!("--server={server}") })
        });
        named.chain(self.by_resolv_conf()).collect()
    }

    /// dnsmasq asks whom its host asks, unless it is told not to, or to look elsewhere (dnsmasq(8)).
    fn by_resolv_conf(&self) -> Vec<Upstream> {
        let conf = self.resolv_conf().into_iter();
        let servers = conf.flat_map(|conf| conf.servers.iter().map(|server| (&conf.file, server)));
        let upstream = |(file, server): (&String, &IpAddr)| match server {
            IpAddr::V4(ip) => {
                let by = format!("nameserver {ip} in {file}");
                Some(Upstream { address: SocketAddrV4::new(*ip, PORT), by })
            }
            IpAddr::V6(_) => None,
        };
        servers.filter_map(upstream).collect()
    }

    /// Its host's file of servers, where it goes by that.
    pub(crate) fn resolv_conf(&self) -> Option<&ResolvConf> {
        let is_told = self.dnsmasq.no_resolv || self.elsewhere().next().is_some();
        self.ns.resolver.as_ref().filter(|_| !is_told)
    }

    /// What tells it of servers in files that are not read for them.
    pub(crate) fn elsewhere(&self) -> impl Iterator<Item = String> {
        let is_file = |word: &&String| word.starts_with("--resolv-file") || word.starts_with("-r");
        let files = self.dnsmasq.argv.iter().filter(|_| !self.dnsmasq.no_resolv).filter(is_file).cloned();
        files.chain(self.dnsmasq.conf_file.iter().map(|file| format!("--conf-file={file}")))
    }

    /// The server that nova.conf wants it to ask, where it names one. Of several lines only the last is known.
    pub(crate) fn meant(&self) -> Option<Ipv4Addr> {
        self.host.nova.as_ref().and_then(|nova: &NovaOptions| nova.get("dns_server")?.parse().ok())
    }

    /// What makes it ask a server.
    pub(crate) fn asks(&self, address: SocketAddrV4) -> Evidence {
        let by =
            self.upstreams().into_iter().find(|upstream| upstream.address == address).map(|found| found.by);
        let text = format!("pid {}: {}", self.dnsmasq.pid, by.unwrap_or_else(|| address.to_string()));
        evidence::state(self.ns, "ps -fC dnsmasq", text)
    }
}

/// What makes dnsmasq ask the server that this is a question to.
pub(crate) fn asked_by(world: &World, rung: &Rung) -> Option<Evidence> {
    let (Purpose::Upstream(address) | Purpose::Reverse(address)) = rung.purpose else { return None };
    Some(server(world, rung.instance)?.asks(address))
}

/// `[/DOMAIN/]ADDRESS[#PORT][@SOURCE]`; `None` for a server of single domains, and for IPv6.
fn address(server: &str) -> Option<SocketAddrV4> {
    let address = server.split('@').next()?;
    let (ip, port) = address.split_once('#').unwrap_or((address, ""));
    let port = if port.is_empty() { PORT } else { port.parse().ok()? };
    Some(SocketAddrV4::new(ip.parse().ok()?, port))
}

/// The name by which the network's dnsmasq knows an instance's NIC, domain and all: from its line of the hosts file.
/// `None` where nobody has told, or the name alone is known.
pub fn own_name(snapshot: &Snapshot, intent: &Intent, at: usize) -> Option<String> {
    let instance = intent.instances.get(at)?;
    let host = snapshot.host(intent.servers_of(instance).first()?)?;
    let is_own = |line: &&DhcpHost| instance.vifs.iter().any(|vif| vif.mac == Some(line.mac));
    let of_server = |server: &Dnsmasq| {
        let name = server.hosts.iter().flatten().find(is_own)?.hostname.clone()?;
        whole(server, &name)
    };
    host.dnsmasq.iter().find_map(of_server)
}

/// A name of the hosts file with its domain: its own, or the server's.
fn whole(server: &Dnsmasq, name: &str) -> Option<String> {
    if name.contains('.') {
        return Some(name.to_owned());
    }
    server.domain.as_ref().map(|domain| format!("{name}.{domain}"))
}

/// Addresses that the cloud means a name of a server's hosts file to have: the fixed ones of every instance of that
/// name, for names may be shared, and the floating ones, by which a zone of their own may have named them.
pub(crate) fn meant(server: &Dnsmasq, intent: &Intent, name: &str) -> BTreeSet<Ipv4Addr> {
    let is_so_named = |line: &&DhcpHost| {
        let own = line.hostname.as_deref().and_then(|own| whole(server, own));
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    let macs: BTreeSet<Mac> =
        server.hosts.iter().flatten().filter(is_so_named).map(|line| line.mac).collect();
    let vifs = intent
        .instances
        .iter()
        .filter(|instance| instance.vifs.iter().filter_map(|vif| vif.mac).any(|mac| macs.contains(&mac)));
    vifs.flat_map(|instance| instance.fixed().chain(instance.floating().map(|f| f.address))).collect()
}

/// Whom programs inside an instance ask beside their network's own server: none where that is not known.
pub(crate) fn asked_inside(world: &World, at: usize) -> Vec<Ipv4Addr> {
    let Some(conf) = world.inside(at).and_then(|ns| world.ns(ns).resolver.as_ref()) else {
        return Vec::new();
    };
    let own = gateway(world, at);
    // Without any, glibc asks the machine itself.
    let local = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let servers = if conf.servers.is_empty() { &local[..] } else { &conf.servers };
    let v4 = servers.iter().filter_map(|server| match server {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    });
    v4.filter(|ip| Some(*ip) != own).collect()
}

/// Whom an instance is told to ask by DHCP, other than its network's own server.
pub(crate) fn offered(world: &World, at: usize) -> Vec<Ipv4Addr> {
    let own = gateway(world, at);
    let mut offered = server(world, at).map(|server| server.dnsmasq.offered_dns.clone()).unwrap_or_default();
    offered.retain(|ip| Some(*ip) != own);
    offered
}

/// From here on an answer is late, in microseconds: whoever waits for it notices.
pub(crate) const LATE_US: u64 = 1_000_000;

/// It was answered, and late.
pub(crate) fn is_late(probe: &ProbeResult) -> bool {
    probe.received > 0 && probe.rtt_us.is_some_and(|us| us >= LATE_US)
}

/// What answers for names leave open.
pub(crate) fn doubts(case: &Case, rungs: &[Rung]) -> Vec<Gap> {
    let of_names = late(case, rungs).into_iter().chain(failed(case, rungs)).chain(silent_back(case, rungs));
    of_names.chain(ipv6_names::doubts(case, rungs)).chain(own_names::doubts(case, rungs)).collect()
}

/// Whether other names are found out is not known: the servers behind fail at the one that was asked for, and did not
/// answer for the root either.
pub(crate) fn is_untold(case: &Case, rungs: &[Rung]) -> bool {
    let resolvers = rungs.iter().filter(|rung| rung.purpose == Purpose::Resolver);
    resolvers.filter(|rung| shared_failure(case.probes, rungs, rung).is_some()).any(|rung| {
        let is_behind =
            |other: &&Rung| other.instance == rung.instance && matches!(other.purpose, Purpose::Upstream(_));
        let mut behind = rungs.iter().filter(is_behind).peekable();
        behind.peek().is_some() && !behind.any(|other| servers_behind::knows_the_root(case.probes, other))
    })
}

/// A failure that the servers behind share: the zone of that one name may be broken far away, or all of them. Where
/// they fail at the root, too, that is told as a fault.
fn failed(case: &Case, rungs: &[Rung]) -> Vec<Gap> {
    let is_at_all = |rung: &Rung| {
        let mut behind = rungs.iter().filter(|other| other.instance == rung.instance);
        behind.any(|other| {
            matches!(other.purpose, Purpose::Upstream(_)) && servers_behind::fails_at_all(case.probes, other)
        })
    };
    let resolvers = rungs.iter().filter(|rung| rung.purpose == Purpose::Resolver && !is_at_all(rung));
    let gap = |(probe, behind): (&ProbeResult, &ProbeResult)| Gap {
        what: format!("whether {} finds out other names", said::server(probe)),
        why: format!("whom it asks fails: {}; {}", said::told(probe), said::told(behind)),
        would_need: "the same questions for names of other zones".to_owned(),
    };
    resolvers.filter_map(|rung| shared_failure(case.probes, rungs, rung)).map(gap).collect()
}

/// Servers behind that tell of the root and have no word for an address: whoever waits for its name waits in vain, and
/// whether of that zone's alone nobody knows.
fn silent_back(case: &Case, rungs: &[Rung]) -> Vec<Gap> {
    let behind = rungs.iter().filter(|rung| matches!(rung.purpose, Purpose::Upstream(_)));
    let behind = behind.filter(|rung| servers_behind::knows_the_root(case.probes, rung));
    let gap = |rung: &Rung| {
        let mut put = case.probes.iter().filter(|probe| rung.is_put_to(probe));
        let silent = put.find(|probe| looked_up::reverse(probe).is_some() && probe.received == 0)?;
        Some(Gap {
            what: format!("whether {} tells names of addresses, for which sshd waits", said::server(silent)),
            why: format!("it answers other questions: {}", said::told(silent)),
            would_need: format!("`dig @{} -x ADDRESS` for addresses of other zones", rung.to),
        })
    };
    behind.filter_map(gap).collect()
}

/// The question for a client's name that all servers behind a resolver fail at, to it and to one of them. dnsmasq
/// passes a failure on to those who ask with EDNS, as dig does; others hear nothing, and wait.
pub(crate) fn shared_failure<'p>(
    probes: &'p [ProbeResult],
    rungs: &[Rung],
    rung: &Rung,
) -> Option<(&'p ProbeResult, &'p ProbeResult)> {
    let of = |rung: &Rung| {
        let put = looked_up::put(probes, rung);
        put.filter(|probe| looked_up::reverse(probe).is_some())
    };
    let fails = |probe: &&ProbeResult| looked_up::rcode(probe) == Some(Rcode::ServFail);
    let is_behind = |other: &&Rung| {
        let asked = matches!(other.purpose, Purpose::Upstream(_) | Purpose::Reverse(_));
        asked && other.instance == rung.instance
    };
    let behind: Option<Vec<&ProbeResult>> =
        rungs.iter().filter(is_behind).map(|other| of(other).find(fails)).collect();
    let first = behind?.first().copied()?;
    let own = of(rung).find(|probe| probe.received == 0 || fails(probe))?;
    Some((own, first))
}

/// Answers for names that came late: one of them is no fault, for a name that nobody has asked for in a while has to be
/// looked for. Where ssh is complained of, that is told for itself.
fn late(case: &Case, rungs: &[Rung]) -> Vec<Gap> {
    if rungs.iter().any(|rung| matches!(rung.purpose, Purpose::Reverse(_))) {
        return Vec::new();
    }
    let of_names = |rung: &&Rung| matches!(rung.purpose, Purpose::Resolver | Purpose::Upstream(_));
    let asked = rungs
        .iter()
        .filter(of_names)
        .flat_map(|rung| case.probes.iter().filter(|probe| rung.is_put_to(probe)));
    let is_of_names = |probe: &&ProbeResult| probe.asked.exchange() == Exchange::Dns && is_late(probe);
    let gap = |probe: &ProbeResult| Gap {
        what: format!("whether {} is always slow to tell names", said::server(probe)),
        why: format!("it was so once: {}", said::told(probe)),
        would_need: "the same question again, and for other names".to_owned(),
    };
    asked.filter(is_of_names).map(gap).collect()
}

/// Silence to a question for a name is the server's own where somebody says so, or where the instance reaches others
/// outside.
pub(crate) fn is_nobody(view: &View, rung: &Rung) -> bool {
    let Some(silent) = view.silent(rung) else { return false };
    let outside = view.rungs.iter().filter(|other| other.instance == rung.instance);
    let mut outside = outside.filter(|other| other.purpose == Purpose::Outside);
    let is_answered = |other: &Rung| view.probes.iter().any(|p| is_probe_of(p, other) && p.received > 0);
    !silent.errors.is_empty() || outside.any(is_answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_dnsmasq_reads_them() {
        let read = |text: &str| address(text).map(|a| a.to_string());
        assert_eq!(read("1.2.3.4").as_deref(), Some("1.2.3.4:53"));
        assert_eq!(read("1.2.3.4#5353@eth0").as_deref(), Some("1.2.3.4:5353"));
        for other in ["/example.net/1.2.3.4", "/novalocal/", "fe80::1", "", "1.2.3.4#x"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn the_hosts_own_file_counts_unless_dnsmasq_is_told_otherwise() {
        let mut cloud = crate::fixture::healthy();
        let conf = model::service::ResolvConf {
            file: "/etc/resolv.conf".to_owned(),
            servers: vec!["9.9.9.9".parse().unwrap(), "fe80::1".parse().unwrap()],
            ..Default::default()
        };
        cloud.netns("compute1").resolver = Some(conf);
        let asked = |cloud: &crate::fixture::Cloud| {
            let world = World::new(&cloud.snapshot, &cloud.intent);
            let upstreams = server(&world, 0).unwrap().upstreams();
            upstreams.into_iter().map(|u| u.by).collect::<Vec<_>>()
        };
        assert_eq!(asked(&cloud), ["--server=1.2.3.4"]);
        cloud.dnsmasq("compute1").no_resolv = false;
        assert_eq!(asked(&cloud), ["--server=1.2.3.4", "nameserver 9.9.9.9 in /etc/resolv.conf"]);
        cloud.dnsmasq("compute1").argv.push("--resolv-file=/run/resolv.conf".to_owned());
        assert_eq!(asked(&cloud), ["--server=1.2.3.4"]);
    }
}
