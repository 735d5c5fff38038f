//! Being an instance that cannot be entered: frames that its host receives at the instance's NIC as if the instance
//! had sent them, and the answers as they leave through that NIC.
//!
//! They pass what the real ones pass: ebtables, the bridge, br_netfilter, routing and NAT. Only the guest's own stack
//! and its driver are left out, and what they leave to the NIC: checksums are whole and segments cut. The instance gets
//! the answers too, and ignores those that it did not ask for; but it believes what ARP tells it, asked or not.
//! Therefore who is known to be the next hop is asked alone, and nobody in a bridge that is not the instance's.
//!
//! Nothing is configured: the program that makes the device receive is never attached, the packet ring belongs to its
//! socket, and the kernel removes both with the process. What stays is what the instance's own packets leave: its
//! entry in the bridge's FDB is as fresh as if it had spoken, and connections are tracked until they time out.
//! `guard` refuses all that would leave more. Counters of the NIC do not move, since its driver takes no part.
//!
//! In the same way a host receives what somebody outside would send in: see [`Seat::Uplink`].
//!
//! Needs `CAP_BPF`, `CAP_NET_ADMIN` and `CAP_NET_RAW` over the machine, which root has.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use collect::netlink::NetlinkError;
use collect::netlink::bridges;
use model::Mac;
use model::probe::ProbeResult;
use sys::ingress::IngressError;
use sys::netns::{self, NetnsError, NetnsFd};

use crate::dns;
use crate::echo::EchoSize;

mod exchange;
pub(crate) mod frame;
mod guard;
mod heard;
mod listeners;
mod neighbour;
mod nic;
mod others;
mod ping;
mod question;

pub use guard::Refusal;

/// Whoever is spoken for, as a rule an instance, as far as its packets tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its name, for the result.
    pub name: String,
    /// Its NIC on the host's side: a tap, or a veth.
    pub device: String,
    /// The NIC's MAC as the instance has it, from the cloud's records.
    pub mac: Mac,
    /// Its addresses, from the cloud's records.
    pub addresses: Vec<IpAddr>,
    /// What the device is.
    pub seat: Seat,
}

/// Where frames are made to come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seat {
    /// An instance's NIC, and the bridge that it belongs in, from the cloud's records: in another one strangers would
    /// answer.
    Port(String),
    /// The link by which a host receives what comes from outside: frames are for its own MAC, handed over by a router,
    /// and nobody is asked for anything by ARP. Nobody learns from them: the host believes ARP alone. Their answers
    /// leave for an address that should be nobody's.
    Uplink,
}

/// Whom to ask, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Source: one of the instance's addresses.
    pub source: IpAddr,
    /// Destination.
    pub to: IpAddr,
    /// What it is asked.
    pub asks: Asks,
    /// Whom the instance hands the packet to: its gateway, or the destination itself on the same network. Asked by
    /// ARP for its MAC first, or by neighbour solicitation; at an uplink the host itself, by its MAC.
    pub next_hop: IpAddr,
    /// The next hop's MAC, where it is known who that is: asked alone first, and all only where it is silent. Whoever
    /// answers is believed by the instance, too (`arp_process`, net/ipv4/arp.c: an answer overrides an entry, asked
    /// for or not), so a question to all could make it leave the right one.
    pub next_hop_mac: Option<Mac>,
    /// Number by which the packets are known: the echo requests' identifier, the DNS question's, the source port as
    /// [`own_port`] makes it, the DISCOVER's as [`transaction`] does.
    pub id: u16,
    /// How long its answer is waited for; the plan's timeout ends it in any case.
    pub patience: Duration,
    /// The number of another ping whose answer makes this one's silence mean nothing: it is passed on the way to that.
    /// It is waited for no longer than ten times as long as that took, and no less than 300 ms.
    pub needless_once: Option<u16>,
}

/// What to ask of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// ICMP echo.
    Echo(EchoSize),
    /// An address, by a DISCOVER to everybody, as [`Target::everybody`] is: no lease is taken by it.
    Address,
    /// A name, over UDP.
    Name(dns::Question),
    /// A connection to this port, by a SYN. Its answer is reset by us and by the instance, which never asked for it.
    Connection {
        /// It.
        port: u16,
        /// What is done with it.
        then: Then,
    },
}

/// What is done with a connection that was taken: by a socket only, for the instance's own reset would come before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it is reset.
    Nothing,
    /// A page is asked for, by its path.
    Page(&'static str),
    /// What the server says first is waited for, as sshd does.
    Greeting,
}

/// The source port of a question with this number: outside of what Linux and most guests choose from by themselves
/// (`net.ipv4.ip_local_port_range`, 32768 to 60999) as far as 4536 numbers go, so that no connection of the
/// instance's is mistaken.
pub fn own_port(number: u16) -> u16 {
    PORTS_FIRST + number % PORTS
}

const PORTS_FIRST: u16 = 61_000;
const PORTS: u16 = u16::MAX - PORTS_FIRST + 1;

/// The transaction's number of a DISCOVER with this number.
pub fn transaction(number: u16) -> u32 {
    let [high, low] = number.to_be_bytes();
    u32::from_be_bytes([b'h', b'o', high, low])
}

/// How much longer than the first DHCP server a second may take, where none is known of.
const SECOND_SERVER: Duration = Duration::from_millis(100);

impl Target {
    /// Every DHCP server of the instance's network, asked for an address.
    pub fn everybody(id: u16, patience: Duration) -> Target {
        let (source, to) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        let (asks, next_hop_mac) = (Asks::Address, Some(Mac::BROADCAST));
        Target {
            source: source.into(),
            to: to.into(),
            next_hop: to.into(),
            next_hop_mac,
            asks,
            id,
            patience,
            needless_once: None,
        }
    }

    /// Whom it is handed to needs not be asked for.
    pub(crate) fn is_for_everybody(&self) -> bool {
        self.asks == Asks::Address
    }

    pub(crate) fn own_port(&self) -> u16 {
        match self.asks {
            Asks::Echo(_) => 0,
            Asks::Address => 68,
            Asks::Name(_) | Asks::Connection { .. } => own_port(self.id),
        }
    }

    /// Destination port; 0 of what has none.
    pub(crate) fn port(&self) -> u16 {
        match self.asks {
            Asks::Echo(_) => 0,
            Asks::Address => 67,
            Asks::Name(_) => 53,
            Asks::Connection { port, .. } => port,
        }
    }
}

/// What to send as an instance, and how long to wait.
#[derive(Debug)]
pub struct Plan {
    /// The namespace of its host that its NIC is in.
    pub netns: NetnsFd,
    /// Who sends.
    pub sender: Sender,
    /// Whom to ask, all at the same time.
    pub targets: Vec<Target>,
    /// Requests to each.
    pub count: u32,
    /// Between two requests to one; zero for all at once.
    pub interval: Duration,
    /// From the first frame to giving up.
    pub timeout: Duration,
    /// Devices of the NIC's bridge behind which somebody listens as a DHCP server does.
    pub listeners: Vec<String>,
    /// How long one of those is waited for that looks first whether an address is free. One that does not is waited
    /// for no longer than it takes to see that.
    pub late_server: Duration,
    /// TTL of the requests.
    pub ttl: u8,
}

impl Plan {
    /// Who its next hop is must be asked for.
    fn asks_for_next_hop(&self, target: &Target) -> bool {
        match self.sender.seat {
            Seat::Port(_) => !target.is_for_everybody(),
            Seat::Uplink => false,
        }
    }

    /// A frame that leaves is for who is spoken for; by an uplink it goes to whatever router the host has.
    fn is_to_sender(&self, mac: Mac) -> bool {
        match self.sender.seat {
            Seat::Port(_) => mac == self.sender.mac,
            Seat::Uplink => true,
        }
    }
}

/// Who answered a question for a neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourResult {
    /// Who was asked for.
    pub asked: IpAddr,
    /// Questions sent.
    pub sent: u32,
    /// Who said to have the address, each once, in the order of their answers. Two are one too many: the address is
    /// there twice.
    pub macs: Vec<Mac>,
    /// From the first question to the first answer in microseconds, by the kernel's clock.
    pub answered_us: Option<u64>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// By next hop, in the order in which the targets name them.
    pub neighbours: Vec<NeighbourResult>,
    /// By target: the pings first.
    pub probes: Vec<ProbeResult>,
    /// What the bridge and its host knew of others, and leads elsewhere once all is over: `MAC was behind vnet1 and is
    /// behind vnet2`. It need not be our doing, for a station may move by itself.
    pub changed: Vec<String>,
}

/// The probe itself could not be made; what the network does with it is a result, not an error.
#[derive(Debug, thiserror::Error)]
pub enum AsInstanceError {
    /// The namespace could not be entered.
    #[error("cannot enter the network namespace of {device}: {source}")]
    Enter {
        /// The NIC.
        device: String,
        /// Why.
        source: NetnsError,
    },
    /// Links, FDB or neighbours could not be read just before.
    #[error("cannot read the links, the FDB and the neighbours beside {device}: {source}")]
    Look {
        /// The NIC.
        device: String,
        /// Why.
        source: NetlinkError,
    },
    /// It would do harm, or mean nothing.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The NIC does not receive.
    #[error("cannot have {device} receive a frame: {source}")]
    Ingress {
        /// The NIC.
        device: String,
        /// Why.
        source: IngressError,
    },
    /// The NIC cannot be watched for answers.
    #[error("cannot watch {device} for answers: could not {step}: {source}")]
    Watch {
        /// The NIC.
        device: String,
        /// `open a packet ring`, ...
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Silence means nothing, for something was missed.
    #[error("{dropped} packets at {device} were not looked at in time, and the answer may be among them")]
    Missed {
        /// The NIC.
        device: String,
        /// How many.
        dropped: u64,
    },
    /// Silence means nothing, for the frames never came in.
    #[error(
        "the kernel took {sent} frames for {device}, and none was seen to come in there: an XDP program on it may \
         have taken them (`ip -d link show {device}`)"
    )]
    NotReceived {
        /// The NIC.
        device: String,
        /// How many.
        sent: u32,
    },
}

impl AsInstanceError {
    /// What is missing is a privilege.
    pub fn is_permission(&self) -> bool {
        match self {
            AsInstanceError::Enter { source, .. } => source.is_permission(),
            AsInstanceError::Look { source, .. } => source.is_permission(),
            AsInstanceError::Ingress { source, .. } => source.is_permission(),
            AsInstanceError::Watch { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
            AsInstanceError::Refused(_)
            | AsInstanceError::Missed { .. }
            | AsInstanceError::NotReceived { .. } => false,
        }
    }
}

/// Asks for each next hop by ARP or neighbour solicitation, asks the targets through those that answer, and gathers
/// what leaves through the NIC, until each is answered, an ICMP error settles it, or the time is up.
///
/// What would go by a next hop that nobody answers for is not sent; its `send_error` says so. `tell` hears the number
/// of each target as soon as that has answered.
pub fn ask(plan: &Plan, tell: &mut (dyn FnMut(u16) + Send)) -> Result<Answers, AsInstanceError> {
    guard::volume(plan)?;
    let inside = || {
        let device = || plan.sender.device.clone();
        let look =
            || bridges::stations().map_err(|source| AsInstanceError::Look { device: device(), source });
        let stations = look()?;
        let port = guard::port(&plan.sender, &stations)?;
        guard::neighbours(&plan.sender, port, &stations)?;
        guard::size(plan, port)?;
        let answers = exchange::run(plan, port.index, &stations.links, tell)?;
        match plan.sender.seat {
            Seat::Port(_) => {
                let changed = others::changed(&plan.sender, port, &stations, &look()?);
                Ok(Answers { changed, ..answers })
            }
            Seat::Uplink => Ok(answers),
        }
    };
    // The kernel looks the device up in the namespace of the thread that has it receive.
    netns::within(&plan.netns, inside)
        .map_err(|source| AsInstanceError::Enter { device: plan.sender.device.clone(), source })?
}
