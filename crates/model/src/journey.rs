//! Journeys: the packets of a question that was really asked, and at which vantages of its way each was seen, when.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::path::{Direction, Exchange};

/// What was seen of one question's packets, whoever sent them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionSeen {
    /// Who asked: host or instance, as in [`crate::probe::ProbeResult`].
    pub from: String,
    /// Whom.
    pub to: IpAddr,
    /// The kind of conversation.
    pub exchange: Exchange,
    /// Of an echo, the length of its packets, as in [`crate::probe::Asked::octets`].
    pub octets: Option<u16>,
    /// Of a connection, the port that it is to, as in [`crate::probe::Asked::port`].
    #[serde(default)]
    pub port: Option<u16>,
    /// Where it was watched for, in no order; journeys number them as they stand here.
    pub vantages: Vec<Vantage>,
    /// Its packets, in the order in which they were first seen.
    pub journeys: Vec<Journey>,
    /// How often it was asked beyond what is told here.
    pub left_out: usize,
}

/// A place to look, and whose clock stamps what is seen there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vantage {
    /// Host, or instance whose inside is meant.
    pub machine: String,
    /// Empty for its main namespace.
    pub netns: String,
    /// Device.
    pub device: String,
    /// Times of vantages of one clock may be compared.
    pub clock: u16,
    /// How far the times told here may be off those of that clock, in nanoseconds.
    pub doubt_ns: i64,
    /// It shows each of these packets that comes to it: one that it lacks did not come.
    pub is_complete: bool,
}

impl fmt::Display for Vantage {
    /// `HOST/NETNS/DEVICE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.machine, self.netns, self.device)
    }
}

/// A packet, and where it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    /// It asks, or it answers.
    pub direction: Direction,
    /// What a question and its answer have in common, and another question does not.
    pub key: u64,
    /// As it was where it was first seen: `10.0.2.24 > 1.2.3.4: ICMP echo request, id 7, seq 1, length 64`.
    pub packet: String,
    /// In the order of its way.
    pub stops: Vec<Stop>,
    /// How it ends, as far as that is known.
    pub end: End,
}

/// A packet at a vantage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Index of the vantage.
    pub vantage: usize,
    /// By the clock that its vantage names, in nanoseconds since the epoch.
    pub time_ns: i64,
    /// Source and destination here: `203.0.113.30 > 1.2.3.4`.
    pub ends: String,
    /// Time to live here; 0 where unknown.
    pub ttl: u8,
    /// How many copies of it were seen here.
    pub copies: u16,
    /// Where a file has it, and when by that: `packet 17 of a.pcap, 2026-11-24T02:24:42.435672000Z`; empty where it was
    /// seen live.
    pub recorded: String,
}

/// How a packet's journey ends: a closed set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It arrived, or nothing that was seen tells.
    Open,
    /// No answer to it was seen, though it came to the last vantage on its way.
    Unanswered,
    /// This vantage was next on its way and would have shown it, and did not: its index.
    LostBefore(usize),
    /// No answer to it was seen, and the walk says why it goes no further than its last vantage.
    DiesBehind(String),
}

/// The way of a question as its packets were seen to go it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenWay {
    /// Index of the way there among the diagnosis' paths.
    pub path: usize,
    /// In the order of the way there; what only answers pass stands where these pass it.
    pub vantages: Vec<Vantage>,
    /// In the order in which they were first seen; what was seen nowhere comes first.
    pub journeys: Vec<Journey>,
    /// How often it was asked beyond what is told here.
    pub left_out: usize,
}
