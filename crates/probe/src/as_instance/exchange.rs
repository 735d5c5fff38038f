//! The exchange as it runs: neighbours asked for, pings sent through those that answer, and all of it heard at once.

use std::net::Ipv4Addr;
use std::time::Instant;

use super::neighbour::Neighbour;
use super::nic::{Nic, Seen};
use super::ping::Ping;
use super::{Answers, AsInstanceError, Plan};

/// Runs it in the calling thread's namespace, at the device of this index.
pub(super) fn run(plan: &Plan, index: u32) -> Result<Answers, AsInstanceError> {
    let mut nic = Nic::open(&plan.sender, index)?;
    let started = Instant::now();
    let deadline = started + plan.timeout;
    let mut talk = Talk::new(plan, started);
    loop {
        let now = Instant::now();
        if now >= deadline || talk.is_settled(now) {
            break;
        }
        talk.send(&mut nic, now)?;
        let until = talk.next_at(now).map_or(deadline, |at| at.min(deadline));
        nic.hear(until, &mut |seen| talk.note(seen))?;
    }
    // What has come may not have been handed over yet: a second answer for a neighbour, the last reply of a deadline.
    let end = Instant::now() + Nic::delay();
    while Instant::now() < end {
        nic.hear(end, &mut |seen| talk.note(seen))?;
    }
    talk.answers(plan, &nic)
}

struct Talk<'p> {
    neighbours: Vec<Neighbour<'p>>,
    pings: Vec<Ping<'p>>,
}

impl<'p> Talk<'p> {
    fn new(plan: &'p Plan, now: Instant) -> Talk<'p> {
        let mut neighbours: Vec<Neighbour> = Vec::new();
        for target in &plan.targets {
            if neighbours.iter().all(|known| known.address() != target.next_hop) {
                neighbours.push(Neighbour::of(&plan.sender, target, now));
            }
        }
        Talk { neighbours, pings: plan.targets.iter().map(|target| Ping::new(plan, *target)).collect() }
    }

    fn neighbour(&self, address: Ipv4Addr) -> Option<&Neighbour<'p>> {
        self.neighbours.iter().find(|neighbour| neighbour.address() == address)
    }

    /// Nothing that may still come would change an answer.
    fn is_settled(&self, now: Instant) -> bool {
        let is_lost =
            |ping: &Ping| self.neighbour(ping.target.next_hop).is_none_or(|hop| hop.is_given_up(now));
        self.pings.iter().all(|ping| ping.is_settled() || is_lost(ping))
    }

    /// Sends all that is due.
    fn send(&mut self, nic: &mut Nic<'_>, now: Instant) -> Result<(), AsInstanceError> {
        for neighbour in &mut self.neighbours {
            neighbour.send(nic, now)?;
        }
        for ping in &mut self.pings {
            let hop = self.neighbours.iter().find(|hop| hop.address() == ping.target.next_hop);
            if let Some(mac) = hop.and_then(Neighbour::mac) {
                ping.send(nic, mac, now)?;
            }
        }
        Ok(())
    }

    /// When something is to be done next.
    fn next_at(&self, now: Instant) -> Option<Instant> {
        let is_open =
            |ping: &&Ping| self.neighbour(ping.target.next_hop).is_some_and(|hop| hop.mac().is_some());
        let pings = self.pings.iter().filter(is_open).filter_map(|ping| ping.next_at(now));
        self.neighbours.iter().filter_map(|hop| hop.next_at(now)).chain(pings).min()
    }

    fn note(&mut self, seen: Seen<'_>) {
        self.neighbours.iter_mut().for_each(|neighbour| neighbour.note(seen));
        self.pings.iter_mut().for_each(|ping| ping.note(seen));
    }

    /// What came back, where silence can be told from what was missed.
    fn answers(&self, plan: &Plan, nic: &Nic<'_>) -> Result<Answers, AsInstanceError> {
        let device = || plan.sender.device.clone();
        let neighbours: Vec<_> = self.neighbours.iter().map(Neighbour::result).collect();
        let echo = |ping: &Ping| {
            let hop = self.neighbour(ping.target.next_hop);
            ping.result(hop.map(Neighbour::silence))
        };
        let echoes: Vec<_> = self.pings.iter().map(echo).collect();
        let is_silent = echoes.iter().any(|echo| echo.received < echo.sent || echo.send_error.is_some());
        if is_silent && nic.dropped() > 0 {
            return Err(AsInstanceError::Missed { device: device(), dropped: nic.dropped() });
        }
        let is_received = self.neighbours.iter().any(Neighbour::is_received);
        if !is_received && !self.pings.iter().any(Ping::is_received) && nic.sent() > 0 {
            return Err(AsInstanceError::NotReceived { device: device(), sent: nic.sent() });
        }
        Ok(Answers { neighbours, echoes })
    }
}
