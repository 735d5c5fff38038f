//! Questions that were really asked with packets of our own: what came of them, where they were seen, and which
//! rules they met.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Mac;
use crate::dhcp::{HeardReply, UnreadableReply};
use crate::dns::{self, DnsAnswer, Strays};
use crate::http::Page;
use crate::journey::QuestionSeen;
use crate::kernel_drop::KernelDrop;
use crate::netfilter::Ruleset;
use crate::path::{Exchange, RuleRef};
use crate::queueing::Qdisc;
use crate::ssh::Greeting;

/// The length of a usual ping's packets in octets, IP header included: over IPv4 it is that of ping(8)'s default of 56
/// octets of data.
pub const PING_OCTETS: u16 = 84;

/// What came of a question that was really asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// Who asked: host or instance.
    pub from: String,
    /// The instance's host asked in its stead: what came back was seen to leave through the instance's NIC, and
    /// whether it arrived inside nobody knows.
    pub by_host: bool,
    /// Whom: the limited broadcast of DHCP, the server of DNS.
    pub to: IpAddr,
    /// What was asked, and what the answers say.
    pub asked: Asked,
    /// Questions sent.
    pub sent: u32,
    /// Answers received.
    pub received: u32,
    /// TTL of the answers, where any and known.
    pub reply_ttl: Option<u8>,
    /// Median round-trip time in microseconds, where any.
    pub rtt_us: Option<u64>,
    /// ICMP errors that came instead: who sent them and what they say.
    pub errors: Vec<(IpAddr, String)>,
    /// It could not be sent: why.
    pub send_error: Option<String>,
    /// Nothing of ours was sent: somebody else asked, and a capture has it.
    #[serde(default)]
    pub recorded: Option<Recorded>,
}

/// By what a question is told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionId {
    /// Who asks: host or instance.
    pub from: String,
    /// Whom.
    pub to: IpAddr,
    /// The conversation that it is of.
    pub exchange: Exchange,
    /// How long its packets are, of an echo: see [`Asked::octets`].
    pub octets: Option<u16>,
    /// The port that it is asked at: a connection's or a name server's.
    pub port: Option<u16>,
}

/// Where a capture has the packets of a question that somebody else has asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The command that shows them.
    pub shown_by: String,
    /// The first of them, by its number in the file and its time; empty where there is none.
    pub packet: String,
    /// It was recorded when the facts were read, and as far as to who asked: so an answer takes back what a walk
    /// foresees.
    pub is_telling: bool,
}

/// What was asked, and what the answers say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// ICMP echo, whose answer says nothing but that it is one.
    Echo {
        /// The length of its packets, their IP headers included.
        octets: u16,
    },
    /// A DISCOVER.
    Address {
        /// What servers offer, in the order of their coming.
        offers: Vec<HeardReply>,
        /// What was sent that no client could take.
        unreadable: Vec<UnreadableReply>,
    },
    /// A question for a name's address or an address's name.
    Name {
        /// As it is read: `www.example.net`, `the name of 1.2.3.4`.
        question: String,
        /// The server's port: two at one address are different servers.
        #[serde(default = "dns_port")]
        server_port: u16,
        /// What was asked over last: TCP, after a truncated answer or from the start.
        over_tcp: bool,
        /// The answer over UDP was cut short (RFC 1035, 4.1.1, TC): the whole of it is had over TCP only.
        cut_short: bool,
        /// What the server says; `None` where no answer came, or none that can be read.
        answer: Option<DnsAnswer>,
        /// It answered what cannot be read: why.
        unreadable: Option<String>,
        /// What came beside it, or in its stead.
        #[serde(default)]
        strays: Strays,
    },
    /// A SYN.
    Connection {
        /// To this port.
        port: u16,
        /// It was answered by a SYN; `false` with an answer is a reset.
        accepted: bool,
        /// The page that was asked for over it, where one was.
        #[serde(default)]
        page: Option<Page>,
        /// What a server that speaks first said, where that was waited for.
        #[serde(default)]
        greeting: Option<Greeting>,
    },
}

impl ProbeResult {
    /// Which question it is that this came of.
    pub fn id(&self) -> QuestionId {
        QuestionId {
            from: self.from.clone(),
            to: self.to,
            exchange: self.asked.exchange(),
            octets: self.asked.octets(),
            port: self.asked.service_port(),
        }
    }

    /// An answer to it, or its silence, is known to be of the time at which the facts were read.
    pub fn is_telling(&self) -> bool {
        self.recorded.as_ref().is_none_or(|recorded| recorded.is_telling)
    }

    /// Of its pings some were answered and some were not; `None` of other questions, which end with their answer.
    pub fn lost_some(&self) -> Option<bool> {
        match self.asked {
            Asked::Echo { .. } => Some((1..self.sent).contains(&self.received)),
            Asked::Address { .. } | Asked::Name { .. } | Asked::Connection { .. } => None,
        }
    }

    /// An answer came over UDP that was cut short.
    pub fn is_cut_short(&self) -> bool {
        match self.asked {
            Asked::Name { cut_short, .. } => cut_short,
            Asked::Echo { .. } | Asked::Address { .. } | Asked::Connection { .. } => false,
        }
    }

    /// An answer came that is none of the service's: the machine is there, and nobody listens, or a rule rejects.
    pub fn is_refused(&self) -> bool {
        match self.asked {
            Asked::Connection { accepted, .. } => self.received > 0 && !accepted,
            Asked::Echo { .. } | Asked::Address { .. } | Asked::Name { .. } => false,
        }
    }
}

impl Asked {
    /// The conversation that it is of.
    pub fn exchange(&self) -> Exchange {
        match self {
            Asked::Echo { .. } => Exchange::Icmp,
            Asked::Address { .. } => Exchange::Dhcp,
            Asked::Name { .. } => Exchange::Dns,
            Asked::Connection { .. } => Exchange::Tcp,
        }
    }

    /// How long its packets are, of an echo: two of different lengths are different questions.
    pub fn octets(&self) -> Option<u16> {
        match self {
            Asked::Echo { octets } => Some(*octets),
            Asked::Address { .. } | Asked::Name { .. } | Asked::Connection { .. } => None,
        }
    }

    /// The port of the server that a name is asked of.
    pub fn server_port(&self) -> Option<u16> {
        match self {
            Asked::Name { server_port, .. } => Some(*server_port),
            Asked::Echo { .. } | Asked::Address { .. } | Asked::Connection { .. } => None,
        }
    }

    /// The port of whom a name or a connection is asked: what one server of an address loses is not another's.
    pub fn service_port(&self) -> Option<u16> {
        self.server_port().or(self.port())
    }

    /// The port by which packets seen of it are told from those of others to the same machine: of a connection its own,
    /// of a name that of a server which is asked elsewhere than at DNS's.
    pub fn told_port(&self) -> Option<u16> {
        self.server_port().filter(|port| *port != dns::PORT).or(self.port())
    }

    /// The port that a connection is to: two to different ports are different questions.
    pub fn port(&self) -> Option<u16> {
        match self {
            Asked::Connection { port, .. } => Some(*port),
            Asked::Echo { .. } | Asked::Address { .. } | Asked::Name { .. } => None,
        }
    }
}

fn dns_port() -> u16 {
    dns::PORT
}

/// An echo beside a silent question, to learn more of its way; where it was seen, and what was said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideEcho {
    /// The TTL that it was sent with, where its way is asked for by that.
    pub ttl: Option<u8>,
    /// The router beyond that said that its TTL ran out there; `None` where another answered, or nobody.
    pub router: Option<IpAddr>,
    /// The question, of one packet, and what came of it: an ICMP error about it is an answer as well.
    pub came: ProbeResult,
    /// Its echo identifier and sequence number, by which it is known.
    pub number: u32,
    /// What was seen of it at each device that was watched.
    pub watches: Vec<DeviceWatch>,
    /// Its way over them.
    pub seen: Option<QuestionSeen>,
    /// Where and why the kernel dropped it.
    pub drops: Vec<KernelDrop>,
}

/// Which machines a question passes, as they said themselves of packets whose TTL ran out there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// Who asked: host or instance.
    pub from: String,
    /// Whom the way leads to.
    pub to: IpAddr,
    /// How many TTLs were tried, from 1.
    pub ttl_max: u8,
    /// Those that said anything, by TTL.
    pub hops: Vec<TracedHop>,
}

/// A machine that a question passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedHop {
    /// The TTL that ran out there.
    pub ttl: u8,
    /// The address that it answers with.
    pub router: IpAddr,
    /// Source and destination of the packet as it had it, where others than were sent: NAT lies before it.
    pub quoted: Option<(IpAddr, IpAddr)>,
    /// What it said where not that the TTL ran out: it turned the packet away, or answered it.
    pub said: Option<String>,
}

/// How large a packet may be on a way, by echoes of several sizes that nobody may fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizesTried {
    /// Who asked: host or instance.
    pub from: String,
    /// Whom.
    pub to: IpAddr,
    /// Length in octets of the largest that was answered, its IP header included.
    pub lives: u16,
    /// Of the smallest beyond it; `None` where the largest that was tried lives.
    pub dies: Option<u16>,
    /// Who said that it is too large, and how large it may be; `None` where nobody did.
    pub said: Option<(IpAddr, Option<u32>)>,
}

/// Who has an address, as those say who answered the question for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// Host in whose main namespace it was asked.
    pub machine: String,
    /// The link that it was asked on.
    pub link: String,
    /// The address.
    pub address: IpAddr,
    /// The asking namespace has it itself on that link: it does not answer itself.
    pub is_own: bool,
    /// Who answered, each once, in the order of their coming.
    pub stations: Vec<Station>,
}

/// A machine as others on its link know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// Its MAC.
    pub mac: Mac,
    /// The port of the asking host's bridge that it is behind, by what the bridge has learned.
    pub port: Option<String>,
}

/// What of our own probes was seen at a device while they were under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceWatch {
    /// Host, or instance whose inside is meant.
    pub machine: String,
    /// Empty for its main namespace.
    pub netns: String,
    /// Device.
    pub device: String,
    /// By probe: those of which anything was seen.
    pub probes: Vec<ProbeSeen>,
    /// By DHCP client, ours aside: those that asked meanwhile.
    pub clients: Vec<ClientSeen>,
    /// Questions who has an address, by asker and address: those on which our probes depend, whoever asked.
    #[serde(default)]
    pub neighbours: Vec<NeighbourSeen>,
    /// A capture tells it: of questions that are not listed it tells nothing, neither that they came nor that they did
    /// not.
    #[serde(default)]
    pub is_recorded: bool,
}

/// What was seen of a DHCP client of somebody else's at one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSeen {
    /// The station that sent its questions.
    pub mac: Mac,
    /// Messages from it.
    pub questions: u32,
    /// Servers' messages of the same transactions.
    pub answers: u32,
}

/// What was seen at one device of a question who has an address, by ARP or neighbour solicitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourSeen {
    /// Who asks; unspecified where as nobody.
    pub asker: IpAddr,
    /// The address.
    pub asked: IpAddr,
    /// Questions.
    pub questions: u32,
    /// Answers.
    pub answers: u32,
}

/// How often a probe's packets were seen at one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSeen {
    /// Who sent it: host or instance, as in [`ProbeResult`].
    pub from: String,
    /// Destination.
    pub to: IpAddr,
    /// The kind of conversation.
    pub exchange: Exchange,
    /// Of an echo, the length of its packets, as in [`Asked::octets`].
    pub octets: Option<u16>,
    /// The port that it is to, as in [`Asked::told_port`].
    #[serde(default)]
    pub port: Option<u16>,
    /// Questions.
    pub requests: u32,
    /// Answers.
    pub replies: u32,
    /// Whom their frames were for; of many different ones the first few.
    #[serde(default)]
    pub frames: Vec<FrameSeen>,
    /// Where a capture has them.
    #[serde(default)]
    pub recorded: Option<Recorded>,
}

/// Whom frames with packets of a probe's were for at one device: one station may be who it is taken for, and not
/// whose address that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FrameSeen {
    /// The frames' destination.
    pub station: Mac,
    /// The packets' destination.
    pub destination: IpAddr,
    /// The packets are answers; else questions.
    pub is_answer: bool,
}

/// What our own probes met of a namespace's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesSeen {
    /// Host.
    pub machine: String,
    /// Empty for its main namespace.
    pub netns: String,
    /// Packets that were sent on their way through it.
    pub sent: u32,
    /// The rules after the probes, with their counters; `None` where they could not be read again.
    pub after: Option<Ruleset>,
    /// Rules and policies that our packets met, in order, as the kernel traced them; `None` where it
    /// did not: why.
    pub met: Result<Vec<MetRule>, String>,
}

/// A rule that one of our packets met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetRule {
    /// The kernel's number for the packet: events of one packet in one family share it.
    pub packet: u32,
    /// The rule, or policy.
    pub rule: RuleRef,
    /// Source and destination of the packet, where the kernel told.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// What it did: `drop`, `accept`, `jump nova-compute-local`.
    pub verdict: String,
    /// It ended the packet's way.
    pub drops: bool,
}

/// The queueing disciplines of a namespace after our probes: their counters have moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuesSeen {
    /// Host, or instance whose inside is meant.
    pub machine: String,
    /// Empty for its main namespace.
    pub netns: String,
    /// By link's name.
    pub queues: Vec<(String, Vec<Qdisc>)>,
}
