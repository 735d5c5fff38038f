//! How many packets questions cost, all that are sent for them: what a machine asks itself costs none.

use model::probe::{Asked, ProbeResult};
use probe::as_instance::{Asks, Then};

use super::{From, Probe};

/// A connection's, at most: a SYN, an acknowledgement and a reset, or a SYN that is sent again twice, after one second
/// and two (`TCP_TIMEOUT_INIT`).
pub(super) const CONNECTION_PACKETS: u32 = 3;
/// Those of a page over it, as a rule: its SYN, an acknowledgement and a reset, the question, and acknowledgements of
/// the answer's two segments.
pub(super) const PAGE_PACKETS: u32 = CONNECTION_PACKETS + 3;
/// Those of a greeting over it: one more acknowledgement.
const GREETING_PACKETS: u32 = CONNECTION_PACKETS + 1;
/// A name's over TCP: those of a connection, the question, and the acknowledgement of its answer.
pub(super) const NAME_OVER_TCP_PACKETS: u32 = 5;

impl Probe<'_> {
    /// How many it costs at most, those that end a connection included. A name's over TCP are asked for when it comes
    /// to that.
    pub(super) fn packets_max(&self) -> u32 {
        match self.asks {
            Asks::Echo(_) | Asks::Address => self.pace.count,
            Asks::Name(_) => self.pace.count * self.of_name(),
            Asks::Connection { .. } if self.is_at_home => 0,
            Asks::Connection { then, .. } => match (then, &self.from) {
                (Then::Page(_), From::Inside(_)) => PAGE_PACKETS,
                (Then::Greeting, From::Inside(_)) => GREETING_PACKETS,
                (Then::Nothing, _) | (_, From::Outside(_)) => CONNECTION_PACKETS,
            },
        }
    }

    /// How many of these are not sent where the first question is answered.
    pub(crate) fn packets_spared(&self) -> u32 {
        let again = self.pace.count.saturating_sub(1);
        match self.asks {
            Asks::Name(_) => again * self.of_name(),
            Asks::Address => again,
            Asks::Echo(_) | Asks::Connection { .. } => 0,
        }
    }

    /// What one question for a name costs: itself, and what it makes the server ask.
    fn of_name(&self) -> u32 {
        u32::from(!self.is_at_home) + self.passed_on
    }

    /// How many it took: of a connection those that end it, too, and of a silent one those that the kernel has sent
    /// again; of a name those of the servers behind.
    pub(super) fn packets(&self, result: &ProbeResult) -> u32 {
        match result.asked {
            Asked::Echo { .. } | Asked::Address { .. } => result.sent,
            Asked::Name { .. } => result.sent * self.of_name(),
            Asked::Connection { .. } if self.is_at_home => 0,
            Asked::Connection { page: Some(_), .. } => PAGE_PACKETS,
            Asked::Connection { greeting: Some(_), .. } => GREETING_PACKETS,
            Asked::Connection { accepted: true, .. } => CONNECTION_PACKETS,
            Asked::Connection { .. } if result.received == 0 && !result.by_host => CONNECTION_PACKETS,
            Asked::Connection { .. } => result.sent,
        }
    }

    /// It is what came of this probe, and of no other question to the same.
    pub(super) fn has_asked(&self, result: &ProbeResult) -> bool {
        let is_its = match (&self.asks, &result.asked) {
            (Asks::Name(name), Asked::Name { question, server_port, .. }) => {
                (name.to_string(), self.server_port) == (question.clone(), *server_port)
            }
            (Asks::Echo(size), Asked::Echo { octets }) => size.octets == *octets,
            (Asks::Connection { port, .. }, Asked::Connection { port: asked, .. }) => port == asked,
            (Asks::Address, Asked::Address { .. }) => true,
            (Asks::Name(_) | Asks::Echo(_) | Asks::Connection { .. } | Asks::Address, _) => false,
        };
        is_its && (self.asks == Asks::Address || self.to == result.to)
    }
}
