//! Who answers for an address on a link: ARP for IPv4, neighbour solicitation for IPv6 (RFC 826, RFC 4861), and all
//! who do. Two of them are an address that two machines have.
//!
//! The question teaches nobody anything that is not so. It bears the link's own MAC, and as its sender an address
//! that the asking namespace has on that link: of IPv4 the one in whose prefix the asked one lies, of IPv6 the
//! link-local one before any other. Where there is none it comes from nobody (RFC 5227, RFC 4862), as it does where the
//! asked IPv4 address is the asker's own. Whoever answers IPv6 to nobody tells everybody, and then neighbours that know
//! the address follow the last who spoke; of two that have it that may be the other one.
//!
//! Sent are at most 3 questions, and no second one once somebody has answered. The asking namespace's own stack
//! hears the answers too: it makes no neighbour entry of them, but one that it has for the address follows them, as it
//! would any answer: of two machines the first that spoke ARP (net/ipv4/arp.c `arp_process`, `locktime`), and the last
//! that spoke IPv6 (net/ipv6/ndisc.c `ndisc_recv_na`). One that was right is made so again, where the caller says which
//! is. Needs `CAP_NET_RAW`.

mod question;
mod right;
pub(crate) mod solicit;
mod wire;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant, SystemTime};

use collect::netlink::{NetlinkError, addresses};
use model::Mac;
use model::route::{Address, Standing};
use sys::netns::{self, NetnsError};

use self::question::{Question, Told};
use self::wire::Wire;
use crate::socket::{Asker, NotSent, SentAt, Took};

/// As often as the kernel asks everybody (`mcast_solicit`, arp(7)), and as long between two questions
/// (`retrans_time_ms`).
const ASKED_MAX: u32 = 3;
const AGAIN: Duration = Duration::from_secs(1);
/// Two are one too many; whoever sends more floods.
const MACS_MAX: usize = 8;
/// Answers after which listening on is pointless, whatever they say.
const ANSWERS_MAX: u32 = 10_000;

/// What to ask, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub struct NeighbourPlan<'a> {
    /// Name of the link to ask on.
    pub link: &'a str,
    /// The address that is asked for.
    pub asked: IpAddr,
    /// Ask for an IPv4 address as nobody: nobody learns anything of the question, and who answers for others is silent
    /// (net/ipv4/arp.c `arp_process`).
    pub as_nobody: bool,
    /// The MAC that the address is meant to have, where that is known. Where the asking stack's own entry had it,
    /// and followed another's answer, this one is asked alone once more, when the entry may change again.
    pub right: Option<Mac>,
    /// How much longer than the first answer others may take. Machines answer at once; who answers for another waits
    /// up to 0.8 s (`proxy_delay`, arp(7)).
    pub gather: Duration,
    /// From the first question to giving up.
    pub timeout: Duration,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourResult {
    /// Address that the question bore as its sender; `None` for nobody's, whom a machine that answers ARP for others
    /// does not answer (net/ipv4/arp.c `arp_process`).
    pub asked_as: Option<IpAddr>,
    /// Questions sent.
    pub sent: u32,
    /// Each MAC once, in the order of their coming; no more than 8.
    pub macs: Vec<Answer>,
    /// What that means.
    pub outcome: NeighbourOutcome,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The MAC that it says the address has, which is where neighbours would send to.
    pub mac: Mac,
    /// Who sent the frame: another one than `mac` speaks for somebody else.
    pub sent_by: Mac,
    /// Whoever knows another MAC is to take this one: an advertisement's override flag. Who answers for another does
    /// not set it, nor does one of several who share an address (RFC 4861, 7.2.7 and 7.2.8). ARP has no such word, and
    /// its answers all override.
    pub overrides: bool,
    /// When the kernel received it.
    pub at: SystemTime,
    /// Since the last question before it.
    pub took: Took,
}

/// What can come of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeighbourOutcome {
    /// One MAC answered.
    Answered,
    /// Several did, or one for an address that the asking namespace has itself on that link: it is had twice, or
    /// somebody answers for others (proxy ARP).
    Duplicate,
    /// Nobody said anything.
    Silent,
    /// The link is down.
    LinkDown,
    /// Our own stack did not send it.
    NotSent(NotSent),
    /// More than 8 MACs or 10000 answers came; the rest is not looked at.
    Flooded,
}

/// The question could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum NeighbourError {
    /// The namespace could not be entered.
    #[error("cannot enter the network namespace of {name} to ask from it")]
    Enter {
        /// Who was to ask.
        name: String,
        /// Why.
        source: NetnsError,
    },
    /// Its links and addresses could not be read.
    #[error("cannot read the addresses of {name}'s link {link}")]
    Read {
        /// Who was to ask.
        name: String,
        /// The link.
        link: String,
        /// Why.
        source: NetlinkError,
    },
    /// There is no such link.
    #[error("{name} has no link {link} to ask on")]
    NoLink {
        /// Who was to ask.
        name: String,
        /// The link.
        link: String,
    },
    /// Neighbours are asked for on Ethernet only, by a link that has a MAC of its own.
    #[error(
        "{name}'s link {link} is no Ethernet link with a MAC of its own: it has no neighbours to ask for"
    )]
    NotEthernet {
        /// Who was to ask.
        name: String,
        /// The link.
        link: String,
    },
    /// No neighbour can have it: it is a group's, everybody's, nobody's or the loopback's.
    #[error("{asked} is no address that one neighbour could have")]
    NotOnes {
        /// The address.
        asked: IpAddr,
    },
    /// The source that was asked for may not be borne.
    #[error(
        "{source_address} is not a usable address of {name}'s link {link}: neighbours would learn what is not so"
    )]
    NotOwn {
        /// The source.
        source_address: IpAddr,
        /// Who was to ask.
        name: String,
        /// The link.
        link: String,
    },
    /// A step with the packet socket failed.
    #[error("cannot {step} on {name}'s link {link} (it needs root or CAP_NET_RAW): {source}")]
    Socket {
        /// `open a packet ring`, `listen`.
        step: &'static str,
        /// Who was to ask.
        name: String,
        /// The link.
        link: String,
        /// Why.
        source: io::Error,
    },
}

/// Asks, until somebody has answered and others have had their time, or nobody has after three questions. A source that
/// the asker has chosen must be an address of the link, and not the asked one.
pub fn ask(asker: &Asker<'_>, plan: &NeighbourPlan<'_>) -> Result<NeighbourResult, NeighbourError> {
    if !is_ones(plan.asked) {
        return Err(NeighbourError::NotOnes { asked: plan.asked });
    }
    let opened = netns::within(asker.netns, || open(asker, plan));
    let place = opened.map_err(|source| NeighbourError::Enter { name: asker.name.to_owned(), source })??;
    // Only of an entry that was right it is known what it should be again.
    let known = || plan.right.and_then(|_| right::known(asker, plan).ok().flatten());
    let right = known().filter(|known| Some(*known) == plan.right);
    let mut inquiry = Inquiry::new(plan, place);
    let ended = inquiry.run();
    // Though a single one answered: the right machine may be slower than is waited for.
    if let Some(mac) = right.filter(|_| known() != right) {
        right::ask(asker, &mut inquiry, mac)?;
    }
    let Inquiry { place, sent, macs, .. } = inquiry;
    let outcome = match ended {
        Ok(Some(outcome)) => outcome,
        Ok(None) if macs.is_empty() => NeighbourOutcome::Silent,
        Ok(None) if macs.len() + usize::from(place.is_own) > 1 => NeighbourOutcome::Duplicate,
        Ok(None) => NeighbourOutcome::Answered,
        Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => NeighbourOutcome::LinkDown,
        Err(source) => return Err(failed(asker, plan, "listen")(source)),
    };
    Ok(NeighbourResult { asked_as: place.source, sent, macs, outcome })
}

fn failed(
    asker: &Asker<'_>,
    plan: &NeighbourPlan<'_>,
    step: &'static str,
) -> impl FnOnce(io::Error) -> NeighbourError {
    let (name, link) = (asker.name.to_owned(), plan.link.to_owned());
    move |source| NeighbourError::Socket { step, name, link, source }
}

fn is_ones(address: IpAddr) -> bool {
    let is_everybodys = address == Ipv4Addr::BROADCAST;
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || is_everybodys)
}

/// Where it is asked, and as whom.
struct Place {
    wire: Wire,
    mac: Mac,
    source: Option<IpAddr>,
    /// The asked address is the namespace's own on that link.
    is_own: bool,
}

fn open(asker: &Asker<'_>, plan: &NeighbourPlan<'_>) -> Result<Place, NeighbourError> {
    let (name, link) = (|| asker.name.to_owned(), || plan.link.to_owned());
    let found = addresses::of_link(plan.link).map_err(|source| NeighbourError::Read {
        name: name(),
        link: link(),
        source,
    })?;
    let (found, own) = found.ok_or_else(|| NeighbourError::NoLink { name: name(), link: link() })?;
    let not_ethernet = || NeighbourError::NotEthernet { name: name(), link: link() };
    let mac = found.mac.filter(|mac| !mac.is_group() && *mac != Mac::ZERO).ok_or_else(not_ethernet)?;
    let wished = if plan.as_nobody && plan.asked.is_ipv4() {
        Ok(None)
    } else {
        source(plan.asked, asker.source, &own)
    };
    let source = wished.map_err(|source_address| NeighbourError::NotOwn {
        source_address,
        name: name(),
        link: link(),
    })?;
    let wire = Wire::open(found.index, plan.asked).map_err(failed(asker, plan, "open a packet ring"))?;
    let is_own = own.iter().any(|address| address.net.addr() == plan.asked);
    Ok(Place { wire: wire.ok_or_else(not_ethernet)?, mac, source, is_own })
}

/// As whom to ask; the address that was wished for where that will not do.
fn source(asked: IpAddr, wished: Option<IpAddr>, own: &[Address]) -> Result<Option<IpAddr>, IpAddr> {
    let usable = || own.iter().filter(|address| may_ask(address.standing) && address.net.addr() != asked);
    if let Some(wished) = wished {
        let is_usable =
            wished.is_ipv4() == asked.is_ipv4() && usable().any(|address| address.net.addr() == wished);
        return if is_usable { Ok(Some(wished)) } else { Err(wished) };
    }
    let chosen = match asked {
        // Elsewhere its address may be another machine's.
        IpAddr::V4(_) if own.iter().any(|address| address.net.addr() == asked) => None,
        IpAddr::V4(_) => usable().find(|address| address.net.contains(&asked)),
        IpAddr::V6(_) => usable()
            .filter(|address| address.net.addr().is_ipv6())
            .min_by_key(|address| !is_link_local(address.net.addr())),
    };
    Ok(chosen.map(|address| address.net.addr()))
}

/// An address that is still being asked for itself may be another's; an optimistic one may not tell its MAC either
/// (RFC 4429).
fn may_ask(standing: Standing) -> bool {
    match standing {
        Standing::Preferred | Standing::Deprecated => true,
        Standing::Tentative | Standing::Duplicate | Standing::Optimistic => false,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// One running question.
struct Inquiry<'a> {
    plan: &'a NeighbourPlan<'a>,
    place: Place,
    question: Question,
    sent: u32,
    last: SentAt,
    macs: Vec<Answer>,
    /// Frames that the filter took.
    came: u32,
}

impl<'a> Inquiry<'a> {
    fn new(plan: &'a NeighbourPlan<'a>, place: Place) -> Inquiry<'a> {
        let question = Question::new(place.source, plan.asked);
        Inquiry { plan, place, question, sent: 0, last: SentAt::now(), macs: Vec::new(), came: 0 }
    }

    /// Asks and hears; an outcome that the answers do not tell by themselves.
    fn run(&mut self) -> io::Result<Option<NeighbourOutcome>> {
        let question = self.question.frame(self.place.mac);
        let deadline = Instant::now() + self.plan.timeout;
        let mut end = deadline;
        loop {
            let now = Instant::now();
            let next = if self.sent == 0 { now } else { self.last.steady + AGAIN };
            let is_unanswered = self.macs.is_empty();
            if now >= end || (is_unanswered && self.sent == ASKED_MAX && now >= next) {
                return Ok(None);
            }
            if is_unanswered && now >= next {
                self.last = SentAt::now();
                match self.place.wire.send(&question) {
                    Ok(()) => self.sent += 1,
                    Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => return Err(error),
                    Err(error) => return Ok(Some(NeighbourOutcome::NotSent(NotSent::of(&error)))),
                }
                continue;
            }
            self.hear(if is_unanswered { next.min(end) } else { end } - now)?;
            if self.macs.len() > MACS_MAX || self.came >= ANSWERS_MAX {
                self.macs.truncate(MACS_MAX);
                return Ok(Some(NeighbourOutcome::Flooded));
            }
            if is_unanswered && !self.macs.is_empty() {
                end = deadline.min(Instant::now() + self.plan.gather);
            }
        }
    }

    /// Hears for so long, whatever comes.
    fn pause(&mut self, length: Duration) -> io::Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end && self.came < ANSWERS_MAX {
            self.hear(end.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    fn hear(&mut self, wait: Duration) -> io::Result<()> {
        let (macs, last, own, question) = (&mut self.macs, self.last, self.place.mac, self.question);
        let came = self.place.wire.hear(wait, &mut |frame, at| {
            let Some(Told { mac, sent_by, overrides }) = question.answer(own, frame) else { return };
            if let Some(known) = macs.iter_mut().find(|known| known.mac == mac) {
                known.overrides |= overrides;
            } else if macs.len() <= MACS_MAX {
                macs.push(Answer { mac, sent_by, overrides, at, took: last.until(Some(at)) });
            }
        })?;
        self.came = self.came.saturating_add(came);
        Ok(())
    }
}
