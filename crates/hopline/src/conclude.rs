//! The questions put to `checks`, and the one thing that it cannot know: which machines of the
//! site were out of reach.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use checks::{Case, Endpoint, Neighbour, Protocol, Request, Rung, Subject, Symptom};
use model::finding::Outcome;
use model::journey::QuestionSeen;
use model::kernel_drop::KernelDrop;
use model::probe::{DeviceWatch, Holders, ProbeResult, QueuesSeen, RulesSeen, SideEcho, SizesTried, Traced};
use model::{Diagnosis, Finding};

use crate::asking::{Open, Turn};
use crate::gather::Facts;
use crate::holders;
use crate::tree;

/// Every check, on these hosts.
pub(crate) fn check(facts: &Facts, hosts: Vec<String>) -> Diagnosis {
    let request = Request { subject: Subject::Hosts(hosts), to: None, symptom: Symptom::Auto };
    doubted(facts, checks::diagnose(&case(facts, &Probed::default()), &request))
}

/// What these checks alone find on these hosts.
pub(crate) fn check_only(facts: &Facts, hosts: Vec<String>, codes: &[&str]) -> Vec<Finding> {
    let request = Request { subject: Subject::Hosts(hosts), to: None, symptom: Symptom::Auto };
    let mut found = checks::diagnose_only(&case(facts, &Probed::default()), &request, codes).findings;
    found.retain(|finding| codes.contains(&finding.code.as_str()));
    found
}

/// What a diagnosis is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// One instance; all of them where none is named.
    pub(crate) instance: Option<usize>,
    /// The destination complained of.
    pub(crate) to: Option<Ipv4Addr>,
    pub(crate) symptom: Symptom,
}

/// What was really sent, and what it met.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    pub(crate) probes: Vec<ProbeResult>,
    pub(crate) rules: Vec<RulesSeen>,
    /// The queues on its way afterwards.
    pub(crate) queues: Vec<QueuesSeen>,
    pub(crate) watches: Vec<DeviceWatch>,
    /// The way of each packet over the devices that were watched.
    pub(crate) seen: Vec<QuestionSeen>,
    /// Where and why the kernel dropped it.
    pub(crate) drops: Vec<KernelDrop>,
    /// Who answered for the addresses in question.
    pub(crate) holders: Vec<Holders>,
    /// Which machines beyond the site silent questions pass.
    pub(crate) traces: Vec<Traced>,
    /// Which sizes live where a large packet was lost.
    pub(crate) sizes: Vec<SizesTried>,
    /// Each packet of both.
    pub(crate) sides: Vec<SideEcho>,
    /// What became of what others are known by, where frames were sent as an instance.
    pub(crate) others: BTreeSet<String>,
    /// In which order, and why.
    pub(crate) turns: Vec<Turn>,
    /// What was possible when nothing more was asked; `None` where nothing was asked at all.
    pub(crate) left: Option<Vec<Open>>,
    /// Something that the ladder asks of itself was not asked, or not waited for, for the time was up.
    pub(crate) is_out_of_time: bool,
    /// What the captures hold that were given, a line each.
    pub(crate) captures: Vec<String>,
}

/// One instance, or all of them.
pub(crate) fn diagnose(facts: &Facts, probed: &Probed, asked: &Asked) -> Diagnosis {
    let mut diagnosis = checks::diagnose(&case(facts, probed), &request(asked));
    diagnosis.coverage.looked_at.extend(tree::lines(&probed.turns, &probed.probes));
    let left = probed.left.as_ref().map(|open| tree::left(open, &diagnosis));
    diagnosis.coverage.looked_at.extend(left.into_iter().flatten());
    diagnosis.coverage.looked_at.extend(holders::told(&probed.holders));
    diagnosis.coverage.looked_at.extend(probed.others.iter().cloned());
    diagnosis.coverage.looked_at.extend(probed.captures.iter().cloned());
    let own = asked.instance.and_then(|at| facts.intent.instances.get(at));
    let is_in_reach = |name: &str| facts.unreachable.iter().all(|(machine, _)| machine != name);
    let is_seen = own.is_some_and(|own| is_in_reach(&own.name)) && !facts.lacks_cloud;
    let mut diagnosis = if is_seen { diagnosis } else { doubted(facts, diagnosis) };
    if diagnosis.outcome == Outcome::Healthy && probed.is_out_of_time {
        diagnosis.outcome = Outcome::Undetermined;
    }
    diagnosis
}

/// The ladder's questions with what the walk predicts of each, and the steps that part their ways.
pub(crate) fn questions(facts: &Facts, asked: &Asked) -> (Vec<Rung>, Vec<Rung>) {
    checks::climb(&case(facts, &Probed::default()), &request(asked))
}

/// The questions who has an address on which those depend.
pub(crate) fn neighbours(facts: &Facts, asked: &Asked) -> Vec<Neighbour> {
    checks::neighbours(&case(facts, &Probed::default()), &request(asked))
}

fn request(asked: &Asked) -> Request {
    let Asked { instance, to, symptom } = *asked;
    let subject = instance.map_or(Subject::AllInstances, Subject::Instance);
    Request { subject, to, symptom }
}

/// The predicted way, and where asked the way back.
pub(crate) fn path(facts: &Facts, from: Endpoint, to: IpAddr, protocol: Protocol, reply: bool) -> Diagnosis {
    checks::path(&case(facts, &Probed::default()), from, to, protocol, reply)
}

fn case<'c>(facts: &'c Facts, probed: &'c Probed) -> Case<'c> {
    let Probed { probes, rules, queues, watches, seen, drops, holders, traces, sizes, sides, .. } = probed;
    let (snapshot, intent) = (&facts.snapshot, &facts.intent);
    Case { snapshot, intent, probes, rules, queues, watches, seen, drops, holders, traces, sizes, sides }
}

/// A question about all of a site, or about an instance that is to be entered and cannot be, is not answered with
/// "healthy" while part of it was not seen; and none is where the cloud's records should be there and are not.
fn doubted(facts: &Facts, mut diagnosis: Diagnosis) -> Diagnosis {
    let is_whole = facts.unreachable.is_empty() && !facts.lacks_cloud;
    if diagnosis.outcome == Outcome::Healthy && !is_whole {
        diagnosis.outcome = Outcome::Undetermined;
    }
    diagnosis
}
