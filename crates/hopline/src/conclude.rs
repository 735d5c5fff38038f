//! The questions put to `checks`, and the one thing that it cannot know: which machines of the
//! site were out of reach.

use std::net::{IpAddr, Ipv4Addr};

use checks::{Case, Endpoint, Protocol, Request, Subject, Symptom};
use model::Diagnosis;
use model::finding::Outcome;
use model::sighting::EchoResult;

use crate::gather::Facts;

/// Every check, on these hosts.
pub(crate) fn check(facts: &Facts, hosts: Vec<String>) -> Diagnosis {
    let request = Request { subject: Subject::Hosts(hosts), to: None, symptom: Symptom::Auto };
    doubted(facts, checks::diagnose(&case(facts, &[]), &request))
}

/// One instance, or all of them.
pub(crate) fn diagnose(
    facts: &Facts,
    echoes: &[EchoResult],
    instance: Option<usize>,
    to: Option<Ipv4Addr>,
    symptom: Symptom,
) -> Diagnosis {
    let subject = instance.map_or(Subject::AllInstances, Subject::Instance);
    let diagnosis = checks::diagnose(&case(facts, echoes), &Request { subject, to, symptom });
    if instance.is_some() { diagnosis } else { doubted(facts, diagnosis) }
}

/// The predicted way, and where asked the way back.
pub(crate) fn path(facts: &Facts, from: Endpoint, to: IpAddr, protocol: Protocol, reply: bool) -> Diagnosis {
    checks::path(&case(facts, &[]), from, to, protocol, reply)
}

fn case<'c>(facts: &'c Facts, echoes: &'c [EchoResult]) -> Case<'c> {
    Case { snapshot: &facts.snapshot, intent: &facts.intent, echoes }
}

/// A question about all of a site is not answered with "healthy" while part of it was not seen.
fn doubted(facts: &Facts, mut diagnosis: Diagnosis) -> Diagnosis {
    if diagnosis.outcome == Outcome::Healthy && !facts.unreachable.is_empty() {
        diagnosis.outcome = Outcome::Undetermined;
    }
    diagnosis
}
