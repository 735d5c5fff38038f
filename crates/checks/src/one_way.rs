//! The way of one packet that somebody asks for, and what stops it.

use std::net::IpAddr;

use model::finding::{Coverage, Diagnosis, Finding, Outcome};
use model::snapshot::Gap;
use sim::{Endpoint, Protocol, Question, World};

use crate::diagnose::{Case, look, looked_at};
use crate::found::Found;
use crate::ladder::{Purpose, Rung};
use crate::view::View;

/// The predicted way from one place to another, there and, where asked, back; and what stops it.
pub fn path(case: &Case, from: Endpoint, to: IpAddr, protocol: Protocol, reply: bool) -> Diagnosis {
    let world = World::new(case.snapshot, case.intent);
    let answer = sim::ask(&world, &Question { from, to, protocol, reply });
    let name = from.name(&world).to_owned();
    let instance = case.intent.instances.iter().position(|i| i.name == name);
    let rungs = [Rung {
        instance: instance.unwrap_or(usize::MAX),
        purpose: Purpose::Outside,
        from: name.clone(),
        to,
        answer,
    }];
    let hosts: Vec<String> = case.snapshot.hosts.iter().map(|h| h.name.clone()).collect();
    let instances: Vec<usize> = instance.into_iter().collect();
    let mut view = View { rungs: &rungs, hosts: &hosts, ..View::of_facts(&world, &instances) };
    let mut found = stopping(&view);
    if found.is_empty() {
        view.claimed = Some(&[]);
        found = stopping(&view);
    }
    let findings: Vec<Finding> = found.into_iter().map(|f| f.finding).collect();
    let [rung] = rungs;
    let subject = format!("{name} {to}");
    let mut gaps = case.snapshot.gaps.clone();
    gaps.extend(rung.undecided().map(|(why, would_need)| Gap {
        what: format!("the way of {subject}"),
        why: why.to_owned(),
        would_need: would_need.to_owned(),
    }));
    let dies = rung.answer.paths.iter().any(|p| p.stop().is_some());
    let outcome = match (dies, rung.undecided().is_some()) {
        (true, _) => Outcome::Fault,
        (false, true) => Outcome::Undetermined,
        (false, false) => Outcome::Healthy,
    };
    Diagnosis {
        command: "path".to_owned(),
        subject,
        outcome,
        findings,
        paths: rung.answer.paths,
        seen: Vec::new(),
        excused: Vec::new(),
        coverage: Coverage { looked_at: looked_at(case), gaps },
    }
}

/// What stops the path that is looked at; what is wrong elsewhere was not asked for.
fn stopping(view: &View) -> Vec<Found> {
    look(view, |_| true).into_iter().filter(|found| found.order.is_some()).collect()
}
