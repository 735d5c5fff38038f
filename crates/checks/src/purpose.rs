//! Why the questions of the ladder are asked.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use model::path::Exchange;

use crate::dns;
use crate::ladder::SSH_PORT;
use crate::protocols::Service;

/// Why a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The instance asks for an address.
    Dhcp,
    /// The instance reaches its gateway.
    Gateway,
    /// The instance reaches the outside.
    Outside,
    /// The instance reaches the outside by packets of this many octets that nobody may fragment.
    Large(u16),
    /// The same by another protocol than ping.
    OutsideBy(Service),
    /// The instance reaches this router, which its gateway sends to: asked where the site names nobody beyond it.
    Router(Ipv4Addr),
    /// The outside reaches the instance by this floating address.
    Inbound(Ipv4Addr),
    /// The outside reaches a port by it that the instance's groups open.
    InboundBy(Ipv4Addr, Service),
    /// The instance reaches itself by this floating address: asked where the host that runs it carries that address.
    Itself(Ipv4Addr),
    /// The outside reaches the instance's port for ssh by this floating address.
    Ssh(Ipv4Addr),
    /// The host that is the instance's gateway reaches it: asked where nobody inside can be, for it cannot be entered.
    Served,
    /// That host reaches the instance's port for ssh: asked where nobody outside can, for no floating address leads
    /// there, or the site names nobody outside.
    ServedSsh,
    /// The instance reaches its gateway over IPv6, at this address.
    Gateway6(Ipv6Addr),
    /// That gateway's host reaches the instance over IPv6, at this address.
    Served6(Ipv6Addr),
    /// The instance reaches another of its network over IPv6: index into `Intent::instances`.
    Other6(usize),
    /// The instance reaches the outside over IPv6, at this address.
    Outside6(Ipv6Addr),
    /// The instance reaches another: index into `Intent::instances`.
    Other(usize),
    /// The instance reaches its resolver.
    Resolver,
    /// The instance reaches a server of its own resolv.conf's, which is not its network's.
    Inside(Ipv4Addr),
    /// The instance reaches a server for names that its network's dnsmasq offers it (option 6) and is not.
    Offered(Ipv4Addr),
    /// Its network's dnsmasq reaches the server that it asks.
    Upstream(SocketAddrV4),
    /// The same, asked for the name of who comes by ssh, which the instance waits for.
    Reverse(SocketAddrV4),
    /// The instance itself reaches the server that its network's dnsmasq asks: asked where that one answers the host,
    /// so that it is known to be there.
    UpstreamBy(Ipv4Addr, Service),
    /// The instance reaches its resolver over TCP.
    ResolverTcp(OverTcp),
    /// The host of that resolver asks it the same, itself.
    ResolverAtHome,
    /// The instance reaches the metadata service.
    Metadata,
    /// The host that leads an instance there asks the service itself, where nobody can ask inside the instance.
    MetadataAtHome(SocketAddrV4),
    /// A host on the way reaches what lies beyond: see [`crate::steps`].
    Step,
    /// The same by another protocol than ping.
    StepBy(Service),
}

/// When a resolver is asked over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverTcp {
    /// In any case: names are complained of, and those whose answers are large need it.
    Always,
    /// Where an answer over UDP was cut short.
    WhereCutShort,
}

/// What the instance has to do with a question that is about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is to be reached, or the other one is that it asks.
    IsAsked,
    /// It asks.
    Asks,
    /// It has none: machines ask each other in its interest.
    Neither,
}

impl Purpose {
    /// The instance's part in the question.
    pub(crate) fn part(self) -> Part {
        match self {
            Purpose::Inbound(_)
            | Purpose::InboundBy(..)
            | Purpose::Ssh(_)
            | Purpose::Itself(_)
            | Purpose::Served
            | Purpose::ServedSsh
            | Purpose::Served6(_)
            | Purpose::Other(_)
            | Purpose::Other6(_) => Part::IsAsked,
            Purpose::Dhcp
            | Purpose::Gateway
            | Purpose::Gateway6(_)
            | Purpose::Outside
            | Purpose::Outside6(_)
            | Purpose::OutsideBy(_)
            | Purpose::Router(_)
            | Purpose::Large(_)
            | Purpose::Resolver
            | Purpose::Inside(_)
            | Purpose::Offered(_)
            | Purpose::UpstreamBy(..)
            | Purpose::ResolverTcp(_)
            | Purpose::Metadata => Part::Asks,
            Purpose::Upstream(_)
            | Purpose::Reverse(_)
            | Purpose::ResolverAtHome
            | Purpose::MetadataAtHome(_)
            | Purpose::Step
            | Purpose::StepBy(_) => Part::Neither,
        }
    }

    /// It may be asked by a connection to this port, or by what has none; see [`model::probe::Asked::port`].
    pub(crate) fn has_port(self, port: Option<u16>) -> bool {
        let own = match self {
            Purpose::OutsideBy(Service::Tcp(port))
            | Purpose::InboundBy(_, Service::Tcp(port))
            | Purpose::UpstreamBy(_, Service::Tcp(port))
            | Purpose::StepBy(Service::Tcp(port)) => port,
            Purpose::Ssh(_) | Purpose::ServedSsh => SSH_PORT,
            Purpose::ResolverTcp(_) => dns::PORT,
            Purpose::MetadataAtHome(service) => service.port(),
            Purpose::Dhcp
            | Purpose::Gateway
            | Purpose::Outside
            | Purpose::OutsideBy(Service::Udp(_))
            | Purpose::Router(_)
            | Purpose::Large(_)
            | Purpose::Inbound(_)
            | Purpose::InboundBy(_, Service::Udp(_))
            | Purpose::Itself(_)
            | Purpose::Served
            | Purpose::Gateway6(_)
            | Purpose::Served6(_)
            | Purpose::Other(_)
            | Purpose::Other6(_)
            | Purpose::Outside6(_)
            | Purpose::Resolver
            | Purpose::Inside(_)
            | Purpose::Offered(_)
            | Purpose::Upstream(_)
            | Purpose::Reverse(_)
            | Purpose::UpstreamBy(_, Service::Udp(_))
            | Purpose::ResolverAtHome
            | Purpose::Metadata
            | Purpose::Step
            | Purpose::StepBy(Service::Udp(_)) => return true,
        };
        port.is_none_or(|port| port == own)
    }

    /// It is asked when all else is over: what an instance may be burdened with is for what it is known to need first.
    pub fn comes_last(self) -> bool {
        matches!(self, Purpose::Other6(_) | Purpose::Outside6(_))
    }

    /// The port of the server for names that is asked.
    pub(crate) fn server_port(self) -> u16 {
        if let Purpose::Upstream(server) | Purpose::Reverse(server) = self {
            server.port()
        } else {
            dns::PORT
        }
    }

    /// A server for names is asked at a port of its own, where the walk takes packets for mere datagrams.
    pub(crate) fn is_at_other_port(self) -> bool {
        self.server_port() != dns::PORT
    }

    /// What the walk's exchange is on a path of its question.
    pub(crate) fn exchange_of(self, walked: Exchange) -> Exchange {
        if walked == Exchange::Udp && self.is_at_other_port() { Exchange::Dns } else { walked }
    }

    /// Packets of this exchange that were seen to go to this port are its question's; see
    /// [`model::probe::Asked::told_port`].
    pub(crate) fn is_told_by(self, exchange: Exchange, port: Option<u16>) -> bool {
        match exchange {
            Exchange::Dns => port.unwrap_or(dns::PORT) == self.server_port(),
            Exchange::Arp
            | Exchange::Dhcp
            | Exchange::Icmp
            | Exchange::Tcp
            | Exchange::Udp
            | Exchange::None => self.has_port(port),
        }
    }

    /// The other instance that is to be reached, where that is the question: index into `Intent::instances`.
    pub(crate) fn other(self) -> Option<usize> {
        match self {
            Purpose::Other(at) | Purpose::Other6(at) => Some(at),
            Purpose::Dhcp
            | Purpose::Gateway
            | Purpose::Outside
            | Purpose::OutsideBy(_)
            | Purpose::Router(_)
            | Purpose::Large(_)
            | Purpose::Inbound(_)
            | Purpose::InboundBy(..)
            | Purpose::Itself(_)
            | Purpose::Ssh(_)
            | Purpose::Served
            | Purpose::ServedSsh
            | Purpose::Gateway6(_)
            | Purpose::Served6(_)
            | Purpose::Outside6(_)
            | Purpose::Resolver
            | Purpose::Inside(_)
            | Purpose::Offered(_)
            | Purpose::Upstream(_)
            | Purpose::Reverse(_)
            | Purpose::UpstreamBy(..)
            | Purpose::ResolverTcp(_)
            | Purpose::ResolverAtHome
            | Purpose::Metadata
            | Purpose::MetadataAtHome(_)
            | Purpose::Step
            | Purpose::StepBy(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_to_one_server_are_not_anothers_of_its_address() {
        let at = |port| Purpose::Upstream(SocketAddrV4::new([1, 2, 3, 4].into(), port));
        for (own, told, other) in
            [(53, None, Some(5354)), (5354, Some(5354), None), (5354, Some(5354), Some(5355))]
        {
            assert!(at(own).is_told_by(Exchange::Dns, told), "{own}");
            assert!(!at(own).is_told_by(Exchange::Dns, other), "{own}");
        }
        assert_eq!(at(5354).exchange_of(Exchange::Udp), Exchange::Dns);
        assert_eq!(at(53).exchange_of(Exchange::Udp), Exchange::Udp);
    }
}
