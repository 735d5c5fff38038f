//! A finding on its way to the diagnosis: with what would mend it in the model, and its place.

use model::Netns;
use model::finding::{Confidence, Evidence, Finding, Remedy};
use model::path::{Direction, Exchange, Place, Stage};

use crate::mend::Mend;
use crate::view::{Order, Stopped};

/// A finding and what belongs to it while the diagnosis is being made.
pub struct Found {
    /// The finding.
    pub finding: Finding,
    /// What mends it in the model, so that the walk can go on; empty where that is not known.
    pub mend: Vec<Mend>,
    /// Where in the ladder it stops a packet; `None` for what stops nothing.
    pub order: Option<Order>,
    /// How far it goes beyond what walks foresee.
    pub(crate) reach: Reach,
    /// Where packets are lost by it, where that is another device than the one to mend.
    pub(crate) lost_at: Option<Place>,
    /// It has its place in the ladder from a walk that ends at it.
    pub(crate) is_foreseen: bool,
}

/// How far the consequences of a fault go that no walk foresees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To nothing else.
    Nothing,
    /// To what is lost at its device.
    Device,
    /// To whatever its host loses: every device of it is one at which packets are lost.
    Host,
    /// To what is meant for the instances that it hits, wherever that is lost: it goes now to the one who has their
    /// address, and now to the other.
    Instances,
    /// The same where it is an IPv6 address.
    Instances6,
}

impl Found {
    /// Its consequences go so far.
    pub(crate) fn reaching(self, reach: Reach) -> Found {
        Found { reach, ..self }
    }

    /// Packets are lost by it at another device.
    pub(crate) fn losing_at(self, lost_at: Option<Place>) -> Found {
        Found { lost_at, ..self }
    }

    /// What no walk stops at is told with the conversation that it breaks all the same, behind what a walk does.
    pub(crate) fn breaks(self, exchange: Exchange, direction: Direction) -> Found {
        self.breaks_at((usize::MAX - 1, 0, 0), exchange, direction)
    }

    /// The same of what breaks connections that are open, and no new one: it comes behind what does.
    pub(crate) fn breaks_open_ones(self, exchange: Exchange, direction: Direction) -> Found {
        self.breaks_at((usize::MAX - 1, 1, 0), exchange, direction)
    }

    fn breaks_at(mut self, order: Order, exchange: Exchange, direction: Direction) -> Found {
        if self.finding.exchange == Exchange::None {
            self.finding.exchange = exchange;
            self.finding.direction = direction;
            self.order = Some(order);
        }
        self
    }

    /// What no walk stops at is met here all the same, and told in the order of what a walk stops at.
    pub(crate) fn met_at(self, order: Option<Order>) -> Found {
        Found { order: order.or(self.order), is_foreseen: order.is_none() && self.is_foreseen, ..self }
    }
}

/// What a check says of a fault; the rest follows from where it stops the ladder.
pub(crate) struct Fault<'f> {
    pub(crate) code: &'static str,
    pub(crate) hop: Place,
    pub(crate) summary: String,
    pub(crate) cause: String,
    pub(crate) confidence: Confidence,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) owner: &'static str,
    pub(crate) remedy: Vec<Remedy>,
    pub(crate) instances: Vec<String>,
    pub(crate) stopped: Option<Stopped<'f>>,
    pub(crate) mend: Vec<Mend>,
}

impl Fault<'_> {
    /// The fault as a finding. One that stops nothing has exchange `none`.
    pub(crate) fn found(self) -> Found {
        let stopped = self.stopped;
        let finding = Finding {
            code: self.code.to_owned(),
            hop: self.hop,
            direction: stopped.map_or(Direction::Both, |s| s.direction),
            exchange: stopped.map_or(Exchange::None, |s| s.exchange),
            summary: self.summary,
            cause: self.cause,
            confidence: self.confidence,
            evidence: self.evidence,
            owner: self.owner.to_owned(),
            remedy: self.remedy,
            instances: self.instances,
        };
        Found {
            finding,
            mend: self.mend,
            order: stopped.map(|s| s.order),
            reach: Reach::Device,
            lost_at: None,
            is_foreseen: true,
        }
    }
}

/// A place at a device of a namespace.
pub(crate) fn at(ns: &Netns, device: &str, stage: Stage) -> Place {
    Place { host: ns.machine.clone(), netns: ns.name.clone(), device: device.to_owned(), stage }
}
