//! The exchange as it runs: neighbours asked for, pings and questions sent through those that answer, and all of it
//! heard at once.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use model::Mac;
use model::link::Link;
use model::probe::Asked;

use super::listeners::{ASKS_WITHIN, Listeners};
use super::neighbour::Neighbour;
use super::nic::{Nic, Seen};
use super::ping::Ping;
use super::question::Question;
use super::{Answers, AsInstanceError, Asks, Plan, SECOND_SERVER, Target};

/// Runs it in the calling thread's namespace, at the device of this index.
pub(super) fn run(
    plan: &Plan,
    index: u32,
    links: &[Link],
    tell: &mut (dyn FnMut(u16) + Send),
) -> Result<Answers, AsInstanceError> {
    let mut nic = Nic::open(plan, index)?;
    let mut listeners = Listeners::open(&plan.listeners, links);
    let started = Instant::now();
    let deadline = started + plan.timeout;
    let mut talk = Talk::new(plan, started);
    loop {
        listeners.look();
        talk.is_late_server = listeners.has_asked;
        let now = Instant::now();
        if now >= deadline || talk.is_settled(now) {
            break;
        }
        talk.send(&mut nic, now)?;
        let until = talk.next_at(now).map_or(deadline, |at| at.min(deadline));
        nic.hear(until, &mut |seen| talk.note(seen))?;
        talk.tell_of_answers(tell);
    }
    // What has come may not have been handed over yet: a second answer for a neighbour, the last reply of a deadline.
    let end = Instant::now() + Nic::delay();
    while Instant::now() < end {
        nic.hear(end, &mut |seen| talk.note(seen))?;
    }
    talk.take_back(&mut nic)?;
    talk.answers(plan, &nic)
}

struct Talk<'p> {
    started: Instant,
    neighbours: Vec<Neighbour<'p>>,
    pings: Vec<Ping<'p>>,
    questions: Vec<Question<'p>>,
    /// Numbers of the targets of whose answer it was told.
    told: BTreeSet<u16>,
    plan: &'p Plan,
    /// One of those who listen as DHCP servers do may still answer.
    is_late_server: bool,
}

impl<'p> Talk<'p> {
    fn new(plan: &'p Plan, now: Instant) -> Talk<'p> {
        let mut neighbours: Vec<Neighbour> = Vec::new();
        for target in plan.targets.iter().filter(|target| plan.asks_for_next_hop(target)) {
            if neighbours.iter().all(|known| known.address() != target.next_hop) {
                neighbours.push(Neighbour::of(&plan.sender, target, now));
            }
        }
        let echo = |target: &'p Target| match target.asks {
            Asks::Echo(size) => Some(Ping::new(plan, target.clone(), size)),
            Asks::Address | Asks::Name(_) | Asks::Connection { .. } => None,
        };
        let pings = plan.targets.iter().filter_map(echo);
        let asked = plan.targets.iter().filter_map(|target| Question::of(plan, target));
        Talk {
            started: now,
            neighbours,
            pings: pings.collect(),
            questions: asked.collect(),
            told: BTreeSet::new(),
            plan,
            is_late_server: false,
        }
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        let pinged = self.pings.iter().map(|ping| &ping.target);
        pinged.chain(self.questions.iter().map(|question| question.target))
    }

    fn neighbour(&self, address: IpAddr) -> Option<&Neighbour<'p>> {
        self.neighbours.iter().find(|neighbour| neighbour.address() == address)
    }

    /// Nothing that may still come would change an answer.
    fn is_settled(&self, now: Instant) -> bool {
        let is_lost = |target: &Target| {
            let hop = self.neighbour(target.next_hop);
            now >= self.started + self.patience(target)
                || self.needless_at(target).is_some_and(|at| now >= at)
                || (self.plan.asks_for_next_hop(target) && hop.is_none_or(|hop| hop.is_given_up(now)))
        };
        let is_heard = |question: &Question| question.is_settled(now, self.second_server());
        self.pings.iter().all(|ping| ping.is_settled(now) || is_lost(&ping.target))
            && self.questions.iter().all(|question| is_heard(question) || is_lost(question.target))
    }

    /// How much longer than the first DHCP server a second is waited for.
    fn second_server(&self) -> Duration {
        match (self.is_late_server, self.plan.listeners.is_empty()) {
            (true, _) => self.plan.late_server,
            (false, true) => SECOND_SERVER,
            (false, false) => ASKS_WITHIN,
        }
    }

    /// How long a target's answer is waited for.
    fn patience(&self, target: &Target) -> Duration {
        let of_servers = if target.is_for_everybody() { self.second_server() } else { Duration::ZERO };
        target.patience.max(of_servers)
    }

    /// When a target's silence means nothing any more.
    fn needless_at(&self, target: &Target) -> Option<Instant> {
        let number = target.needless_once?;
        self.pings.iter().find(|ping| ping.target.id == number).and_then(Ping::others_until)
    }

    /// Whom a question is handed to, once that is known; of DHCP everybody.
    fn next_hop(plan: &Plan, neighbours: &[Neighbour<'_>], target: &Target) -> Option<Mac> {
        if !plan.asks_for_next_hop(target) {
            return target.next_hop_mac;
        }
        neighbours.iter().find(|hop| hop.address() == target.next_hop).and_then(Neighbour::mac)
    }

    /// Sends all that is due.
    fn send(&mut self, nic: &mut Nic<'_>, now: Instant) -> Result<(), AsInstanceError> {
        for neighbour in &mut self.neighbours {
            neighbour.send(nic, now)?;
        }
        for ping in &mut self.pings {
            if let Some(mac) = Talk::next_hop(self.plan, &self.neighbours, &ping.target) {
                ping.send(nic, mac, now)?;
            }
        }
        for question in &mut self.questions {
            if let Some(mac) = Talk::next_hop(self.plan, &self.neighbours, question.target) {
                question.send(nic, mac, now)?;
            }
        }
        Ok(())
    }

    /// Takes back connections that were answered too late to go on.
    fn take_back(&mut self, nic: &mut Nic<'_>) -> Result<(), AsInstanceError> {
        for question in &mut self.questions {
            if let Some(mac) = Talk::next_hop(self.plan, &self.neighbours, question.target) {
                question.take_back(nic, mac)?;
            }
        }
        Ok(())
    }

    /// When something is to be done next.
    fn next_at(&self, now: Instant) -> Option<Instant> {
        let has_hop = |target: &Target| Talk::next_hop(self.plan, &self.neighbours, target).is_some();
        let is_open = |ping: &&Ping| has_hop(&ping.target);
        let pings = self.pings.iter().filter(is_open).filter_map(|ping| ping.next_at(now));
        let is_asked = |question: &&Question| has_hop(question.target);
        let questions = self
            .questions
            .iter()
            .filter(is_asked)
            .filter_map(|question| question.next_at(now, self.second_server()));
        let ends = self.targets().map(|target| self.started + self.patience(target)).filter(|end| *end > now);
        let rests = self.pings.iter().filter_map(Ping::rest_until).filter(|end| *end > now);
        let neighbours = self.neighbours.iter().filter_map(|hop| hop.next_at(now));
        let needless = self.targets().filter_map(|target| self.needless_at(target)).filter(|at| *at > now);
        neighbours.chain(pings).chain(questions).chain(ends).chain(rests).chain(needless).min()
    }

    fn note(&mut self, seen: Seen<'_>) {
        self.neighbours.iter_mut().for_each(|neighbour| neighbour.note(seen));
        self.pings.iter_mut().for_each(|ping| ping.note(seen));
        let now = Instant::now();
        self.questions.iter_mut().for_each(|question| question.note(seen, now));
    }

    fn tell_of_answers(&mut self, tell: &mut (dyn FnMut(u16) + Send)) {
        let pings = self.pings.iter().filter(|ping| ping.is_answered()).map(|ping| ping.target.id);
        let questions = self.questions.iter().filter(|question| question.is_answered());
        for number in pings.chain(questions.map(|question| question.target.id)) {
            if self.told.insert(number) {
                tell(number);
            }
        }
    }

    /// What came back, where silence can be told from what was missed.
    fn answers(self, plan: &Plan, nic: &Nic<'_>) -> Result<Answers, AsInstanceError> {
        let is_received = self.neighbours.iter().any(Neighbour::is_received)
            || self.pings.iter().any(Ping::is_received)
            || self.questions.iter().any(Question::is_received);
        let device = || plan.sender.device.clone();
        let neighbours: Vec<_> = self.neighbours.iter().map(Neighbour::result).collect();
        let echo = |ping: &Ping| {
            let hop = self.neighbour(ping.target.next_hop);
            ping.result(hop.map(Neighbour::silence))
        };
        let mut probes: Vec<_> = self.pings.iter().map(echo).collect();
        let silences: Vec<_> = self.questions.iter().map(|question| self.silence(question)).collect();
        let asked = self.questions.into_iter().zip(silences);
        probes.extend(asked.map(|(question, silence)| question.result(silence)));
        let is_silent = probes.iter().any(|probe| match probe.asked {
            Asked::Echo { .. } => probe.received < probe.sent || probe.send_error.is_some(),
            Asked::Address { .. } | Asked::Name { .. } | Asked::Connection { .. } => probe.received == 0,
        });
        if is_silent && nic.dropped() > 0 {
            return Err(AsInstanceError::Missed { device: device(), dropped: nic.dropped() });
        }
        if !is_received && nic.sent() > 0 {
            return Err(AsInstanceError::NotReceived { device: device(), sent: nic.sent() });
        }
        Ok(Answers { neighbours, probes, changed: Vec::new() })
    }

    /// Why a question's next hop was not known.
    fn silence(&self, question: &Question) -> Option<String> {
        self.neighbour(question.target.next_hop).map(Neighbour::silence)
    }
}
