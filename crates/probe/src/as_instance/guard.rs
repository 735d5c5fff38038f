//! What is never sent as an instance: whatever would harm it or others, or mean nothing.
//!
//! Pure: it is asked with the links and the FDB as they were read just before, and of every frame once more.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use collect::netlink::bridges::Stations;
use model::Mac;
use model::link::{FdbEntry, FdbKind, Link};
use model::route::NeighbourState;

use super::frame::{self, Carried};
use super::{Asks, Plan, Seat, Sender, Target};
use crate::neighbour::solicit;

/// Frames of one call, at most: questions for neighbours, each asked `ASKED_MAX` times, and requests.
const FRAMES_MAX: u64 = 50;
/// How often a neighbour is asked for, at most: as often as the kernel does (`mcast_solicit`, arp(7)).
pub(super) const ASKED_MAX: u32 = 3;
/// Between two requests to one target, at least.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Requests that may go all at once: as many segments as TCP sends at first (RFC 6928).
const BURST_MAX: u32 = 10;
/// What a host sends by default (`net.ipv4.ip_default_ttl`): a loop ends after so many hops.
const TTL_MAX: u8 = 64;
const ETHERNET_BYTES: usize = 14;
/// Where the ports of UDP are behind a header without options, and those of a DHCP client and its server.
const UDP: u8 = 17;
/// ICMPv6's types (RFC 4443, RFC 4861), and the option that tells the sender's MAC.
const ECHO_REQUEST: u8 = 128;
const SOLICITATION: u8 = 135;
const SOURCE_MAC: u8 = 1;
const DHCP_PORTS: [u8; 4] = [0, 68, 0, 67];

/// Why nothing is sent as an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The NIC is not there.
    #[error("there is no device {device}; `ip link` there shows those that are")]
    NoDevice {
        /// Its name.
        device: String,
    },
    /// The NIC would take a frame though it is down, which none of the instance's does.
    #[error(
        "{device} is down: the instance cannot send through it, so nothing is sent as the instance ({state})"
    )]
    Down {
        /// Its name.
        device: String,
        /// As `ip link` prints it.
        state: String,
    },
    /// Nobody is at the other end of the NIC.
    #[error(
        "{device} has no carrier: nobody is at its other end, so nothing is sent as the instance ({state})"
    )]
    NoCarrier {
        /// Its name.
        device: String,
        /// As `ip link` prints it.
        state: String,
    },
    /// The NIC leads nowhere.
    #[error(
        "{device} is in no bridge: what the instance sends ends there, so nothing is sent as it ({state})"
    )]
    NoBridge {
        /// Its name.
        device: String,
        /// As `ip link` prints it.
        state: String,
    },
    /// The NIC leads to another network, where others answer for the same addresses.
    #[error(
        "{device} is in {bridge} and belongs in {wanted}: what is asked there would be answered by strangers, and the \
         instance would believe them"
    )]
    AnotherBridge {
        /// The NIC.
        device: String,
        /// The bridge it is in.
        bridge: String,
        /// The bridge of the instance's network.
        wanted: String,
    },
    /// The host receives nothing of its own by it.
    #[error("nothing of {name} comes in by {device}, which {because} ({state})")]
    NoWayIn {
        /// Who is spoken for.
        name: String,
        /// The link.
        device: String,
        /// `is down`, ...
        because: &'static str,
        /// As `ip link` prints it.
        state: String,
    },
    /// The MAC cannot be a station's.
    #[error("{mac} cannot be an instance's MAC")]
    NoStation {
        /// It.
        mac: Mac,
    },
    /// Another station speaks through the NIC, by the bridge's own book.
    #[error(
        "behind {device} the bridge knows {known} and not {mac}: the NIC is another's, or the instance has another \
         MAC than its records say (`bridge fdb show dev {device}`)"
    )]
    AnotherStation {
        /// The NIC.
        device: String,
        /// Who speaks there.
        known: Mac,
        /// The instance's MAC by its records.
        mac: Mac,
    },
    /// The bridge would learn the MAC at the NIC, and send to it what belongs elsewhere.
    #[error(
        "the bridge knows {mac} behind {port} and not behind {device}: a frame from here would draw that station's \
         traffic away (`bridge fdb show | grep {mac}`)"
    )]
    Elsewhere {
        /// The instance's MAC.
        mac: Mac,
        /// Where it is known.
        port: String,
        /// The NIC.
        device: String,
    },
    /// The host would learn another MAC for the instance's address.
    #[error(
        "the host knows {address} at {known} and not at {mac}: a question from there would change what it knows \
         (`ip neigh show {address}`)"
    )]
    KnownOtherwise {
        /// The instance's address.
        address: IpAddr,
        /// Who has it by the host's neighbour entry.
        known: Mac,
        /// The instance's MAC.
        mac: Mac,
    },
    /// The address is another's.
    #[error("{address} is no address of {name}: neighbours would learn a wrong MAC for it")]
    NotItsAddress {
        /// The source address.
        address: IpAddr,
        /// The instance.
        name: String,
    },
    /// The address stands for nobody, or for many.
    #[error("{address} is no single machine's address, and many would answer or none")]
    NotOneMachine {
        /// The destination.
        address: IpAddr,
    },
    /// More than an instance under diagnosis is to be burdened with.
    #[error("{what} would be {asked}, at most {most} is allowed")]
    TooMuch {
        /// `the TTL`, ...
        what: &'static str,
        /// What was asked for.
        asked: u64,
        /// What is allowed.
        most: u64,
    },
    /// Requests would follow each other too fast.
    #[error(
        "requests would follow each other after {interval:?}, at least {INTERVAL_MIN:?} must lie between"
    )]
    TooFast {
        /// What was asked for.
        interval: Duration,
    },
    /// A frame that is none of those that are asked by.
    #[error(
        "a frame that is neither an ARP request, IPv4, a neighbour solicitation nor an ICMPv6 echo request is not \
         sent as an instance"
    )]
    Kind,
    /// A frame with another's MAC.
    #[error("a frame from {mac} is not sent as an instance that has another MAC")]
    ForeignMac {
        /// The MAC in the frame.
        mac: Mac,
    },
    /// A frame for all or many that needs not be.
    #[error(
        "a packet to {mac}, which many stations take, is not sent as an instance but to ask by ARP or DHCP"
    )]
    Group {
        /// The destination.
        mac: Mac,
    },
}

/// The plan asks for no more than an instance under diagnosis can bear, from its own addresses to single machines.
pub(super) fn volume(plan: &Plan) -> Result<(), Refusal> {
    let Plan { sender, targets, count, interval, ttl, .. } = plan;
    let most =
        |what, asked, most| if asked > most { Err(Refusal::TooMuch { what, asked, most }) } else { Ok(()) };
    if sender.mac.is_group() || sender.mac == Mac::ZERO {
        return Err(Refusal::NoStation { mac: sender.mac });
    }
    let to_one = || targets.iter().filter(|target| !target.is_for_everybody());
    for target in to_one() {
        own_address(sender, target.source)?;
        one_machine(target.to)?;
        one_machine(target.next_hop)?;
    }
    let hops: BTreeSet<IpAddr> = to_one().map(|target| target.next_hop).collect();
    let frames = |each: u32, of: usize| u64::try_from(of).unwrap_or(u64::MAX).saturating_mul(each.into());
    let all = frames(*count, targets.len()).saturating_add(frames(ASKED_MAX, hops.len()));
    most("the number of frames", all, FRAMES_MAX)?;
    most("the TTL", (*ttl).into(), TTL_MAX.into())?;
    let is_burst = interval.is_zero() && *count <= BURST_MAX;
    if *count > 1 && *interval < INTERVAL_MIN && !is_burst {
        return Err(Refusal::TooFast { interval: *interval });
    }
    Ok(())
}

/// The NIC, where the instance could send through it, and the bridge learns nothing from its MAC that is wrong.
pub(super) fn port<'s>(sender: &Sender, stations: &'s Stations) -> Result<&'s Link, Refusal> {
    let Stations { links, fdb, neighbours: _ } = stations;
    let device = || sender.device.clone();
    let Some(link) = links.iter().find(|link| link.name == sender.device) else {
        return Err(Refusal::NoDevice { device: device() });
    };
    let wanted = match &sender.seat {
        Seat::Port(bridge) => bridge,
        Seat::Uplink => return uplink(sender, link),
    };
    if !link.admin_up {
        return Err(Refusal::Down { device: device(), state: link.state_text() });
    }
    if !link.carrier {
        return Err(Refusal::NoCarrier { device: device(), state: link.state_text() });
    }
    let Some(bridge) = link.master else {
        return Err(Refusal::NoBridge { device: device(), state: link.state_text() });
    };
    if link.master_name.as_ref() != Some(wanted) {
        let bridge = link.master_name.clone().unwrap_or_else(|| format!("if{bridge}"));
        return Err(Refusal::AnotherBridge { device: device(), bridge, wanted: wanted.clone() });
    }
    let is_of_bridge = |entry: &&FdbEntry| {
        let port = links.iter().find(|link| link.index == entry.link);
        !entry.on_self && (entry.link == bridge || port.is_some_and(|port| port.master == Some(bridge)))
    };
    let own = |entry: &&FdbEntry| entry.mac == sender.mac;
    if let Some(entry) = fdb.iter().filter(is_of_bridge).filter(own).find(|entry| entry.link != link.index) {
        let port = links.iter().find(|link| link.index == entry.link);
        let port = port.map_or_else(|| format!("if{}", entry.link), |port| port.name.clone());
        return Err(Refusal::Elsewhere { mac: sender.mac, port, device: device() });
    }
    let mut here = fdb.iter().filter(|entry| entry.link == link.index && entry.kind == FdbKind::Learned);
    let is_known = here.clone().any(|entry| entry.mac == sender.mac);
    match here.next().filter(|_| !is_known) {
        Some(entry) => Err(Refusal::AnotherStation { device: device(), known: entry.mac, mac: sender.mac }),
        None => Ok(link),
    }
}

/// The link, where what comes in by it is the host's own to receive: of a port another link would learn where the
/// router is, by a MAC that it has not.
fn uplink<'s>(sender: &Sender, link: &'s Link) -> Result<&'s Link, Refusal> {
    let because = if !link.admin_up {
        "is down"
    } else if !link.carrier {
        "has no carrier"
    } else if link.master.is_some() {
        "is a port of another link"
    } else {
        return Ok(link);
    };
    let (device, state) = (sender.device.clone(), link.state_text());
    Err(Refusal::NoWayIn { name: sender.name.clone(), device, because, state })
}

/// The host's own stack learns no other MAC for the instance's addresses than it has.
pub(super) fn neighbours(sender: &Sender, port: &Link, stations: &Stations) -> Result<(), Refusal> {
    let is_own = |ip: IpAddr| sender.addresses.contains(&ip);
    let on_bridge =
        stations.neighbours.iter().filter(|entry| Some(entry.link) == port.master && !entry.proxy);
    let mut known = on_bridge.filter(|entry| is_own(entry.ip) && entry.state != NeighbourState::Failed);
    let other = known.find_map(|entry| Some((entry.ip, entry.mac.filter(|mac| *mac != sender.mac)?)));
    match other {
        Some((address, known)) => Err(Refusal::KnownOtherwise { address, known, mac: sender.mac }),
        None => Ok(()),
    }
}

/// What the NIC's MTU lets through, and no more than the kernel takes at once.
pub(super) fn size(plan: &Plan, port: &Link) -> Result<(), Refusal> {
    let mtu = usize::try_from(port.mtu).unwrap_or(usize::MAX);
    let most = mtu.min(sys::ingress::FRAME_BYTES_MAX - ETHERNET_BYTES);
    let octets = |target: &Target| match target.asks {
        Asks::Echo(size) => usize::from(size.octets()),
        Asks::Address | Asks::Name(_) | Asks::Connection { .. } => 0,
    };
    let longest = plan.targets.iter().map(octets).max().unwrap_or_default();
    if longest <= most {
        return Ok(());
    }
    let number = |bytes| u64::try_from(bytes).unwrap_or(u64::MAX);
    Err(Refusal::TooMuch { what: "the length of a packet", asked: number(longest), most: number(most) })
}

/// A frame, as it is about to be given to the NIC: it says nothing of anybody but the instance.
pub(super) fn frame(sender: &Sender, bytes: &[u8]) -> Result<(), Refusal> {
    let frame = frame::read(bytes).ok_or(Refusal::Kind)?;
    if frame.source != sender.mac {
        return Err(Refusal::ForeignMac { mac: frame.source });
    }
    match frame.carried {
        Carried::Arp(arp) => {
            if !arp.is_request {
                return Err(Refusal::Kind);
            }
            if arp.sender_mac != sender.mac {
                return Err(Refusal::ForeignMac { mac: arp.sender_mac });
            }
            own_address(sender, arp.sender.into())
        }
        Carried::Ipv4 { source, destination, packet } => {
            let is_dhcp = packet.get(9) == Some(&UDP) && packet.get(20..24) == Some(&DHCP_PORTS);
            if frame.destination.is_group() && !is_dhcp {
                return Err(Refusal::Group { mac: frame.destination });
            }
            if is_dhcp && source.is_unspecified() {
                return Ok(());
            }
            own_address(sender, source.into())?;
            if is_dhcp { Ok(()) } else { one_machine(destination.into()) }
        }
        Carried::Icmp6 { source, destination, hop_limit: _, message } => {
            own_address(sender, source.into())?;
            if message.first() == Some(&SOLICITATION) {
                return solicitation(sender, (frame.destination, destination), message);
            }
            if message.first() != Some(&ECHO_REQUEST) {
                return Err(Refusal::Kind);
            }
            if frame.destination.is_group() {
                return Err(Refusal::Group { mac: frame.destination });
            }
            one_machine(destination.into())
        }
    }
}

/// A question for a neighbour tells the instance's MAC and no other, and goes to those alone who may have the address.
fn solicitation(sender: &Sender, (mac, destination): (Mac, Ipv6Addr), message: &[u8]) -> Result<(), Refusal> {
    let asked = message.get(8..).and_then(|rest| rest.first_chunk::<16>()).ok_or(Refusal::Kind)?;
    let asked = Ipv6Addr::from(*asked);
    let told = message.get(24..).and_then(|option| option.strip_prefix(&[SOURCE_MAC, 1]));
    let told = told.and_then(|mac| <[u8; 6]>::try_from(mac).ok()).map(Mac).ok_or(Refusal::Kind)?;
    if told != sender.mac {
        return Err(Refusal::ForeignMac { mac: told });
    }
    if destination != solicit::group(asked) || (mac.is_group() && mac != solicit::group_mac(asked)) {
        return Err(Refusal::Group { mac });
    }
    one_machine(asked.into())
}

fn own_address(sender: &Sender, address: IpAddr) -> Result<(), Refusal> {
    if sender.addresses.contains(&address) {
        return Ok(());
    }
    Err(Refusal::NotItsAddress { address, name: sender.name.clone() })
}

fn one_machine(address: IpAddr) -> Result<(), Refusal> {
    let is_none = address.is_unspecified() || address.is_loopback();
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if is_none || address.is_multicast() || is_broadcast {
        return Err(Refusal::NotOneMachine { address });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
