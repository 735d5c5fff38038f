//! `hopline diagnose`: predict, probe, observe, conclude.

use std::time::Instant;

use crate::conclude;
use crate::failure::Failure;
use crate::gather::{self, Facts};
use crate::output;
use crate::pings;
use crate::plan::{DiagnoseQuestion, Plan};
use crate::site_file;
use crate::who;

pub(super) fn run(plan: &Plan, question: &DiagnoseQuestion) -> Result<u8, Failure> {
    let started = Instant::now();
    let site = site_file::find(plan.site.as_deref())?;
    let mut facts = gather::gather(&site, plan.timeout)?;
    let instance = question.instance.as_deref().map(|name| subject(&facts, name)).transpose()?;
    let to = question.to.as_deref().map(|name| who::destination(&facts, name, false)).transpose()?;
    let echoes = if plan.passive {
        Vec::new()
    } else {
        let all = (0..facts.intent.instances.len()).collect();
        let instances = instance.map_or(all, |at| vec![at]);
        pings::send(&site, &mut facts, &instances, to, plan.timeout)
    };
    let diagnosis = conclude::diagnose(&facts, &echoes, instance, to, question.symptom);
    output::diagnosis(&diagnosis, plan.format, report::terminal, started)
}

/// The instance, whose host and inside must be in reach.
fn subject(facts: &Facts, name: &str) -> Result<usize, Failure> {
    let at = who::instance(facts, name)?;
    if let Some(instance) = facts.intent.instances.get(at) {
        facts.must_reach(&instance.host)?;
        facts.must_reach(&instance.name)?;
    }
    Ok(at)
}
