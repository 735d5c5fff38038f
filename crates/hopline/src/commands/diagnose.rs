//! `hopline diagnose`: predict, probe, observe, conclude.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use checks::Protocol;
use model::Path;
use report::Recorded;

use crate::asking::{self, Answers};
use crate::conclude::{self, Asked, Probed};
use crate::dropping;
use crate::failure::Failure;
use crate::gather::{self, Facts, Words};
use crate::holders;
use crate::inconsistent;
use crate::output;
use crate::plan::{DiagnoseQuestion, Plan};
use crate::probes::{self, Beside, Probe};
use crate::proof;
use crate::queues;
use crate::recorded;
use crate::sheets::Sheets;
use crate::site_file::Site;
use crate::watching;
use crate::who;

pub(super) fn run(plan: &Plan, question: &DiagnoseQuestion) -> Result<u8, Failure> {
    let started = Instant::now();
    let sheets = Sheets::of(&plan.pages)?;
    let site = plan.find_site()?;
    sheets.must_differ_from(&site.files)?;
    let captures: Vec<PathBuf> = question.captures.iter().map(|given| given.file.clone()).collect();
    sheets.must_differ_from(&captures)?;
    // Loaded while the machines are read: whoever only reads has no use for it.
    let dropping = (!plan.passive && !site.is_offline()).then(dropping::start);
    let ends: Vec<&str> = question.to.as_deref().into_iter().collect();
    let words = Words { instance: question.instance.as_deref(), ends: &ends };
    let mut facts = gather::of_site(&site, plan.timeout, &words)?;
    let instance = question.instance.as_deref().map(|name| subject(&facts, name)).transpose()?;
    let to = question.to.as_deref().map(|name| who::destination(&facts, name, false)).transpose()?;
    to.map(|to| who::must_be_another(&facts, instance, to)).transpose()?;
    let asked = Asked { instance, to, symptom: question.symptom };
    let own = instance.and_then(|at| facts.intent.instances.get(at)).and_then(|own| own.id);
    let whose = inconsistent::whose(&facts, |other| instance.is_none() || other.id == own);
    let (mut probed, rows) = thread::scope(|scope| {
        // A database far away takes its time, and so do answers.
        let rows = scope.spawn(|| inconsistent::ask(&site, &whose, plan.timeout));
        let probed = match dropping {
            Some(dropping) => probe(&site, &mut facts, &asked, (plan.timeout, dropping)),
            None => Probed::default(),
        };
        (probed, rows.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let rows = rows.unwrap_or_else(|| Ok(inconsistent::kept(&mut facts, &whose)));
    inconsistent::note(&mut facts, rows);
    recorded::add(&question.captures, &mut facts, &asked, &mut probed)?;
    let diagnosis = conclude::diagnose(&facts, &probed, &asked);
    let own = instance.and_then(|at| facts.intent.instances.get(at));
    sheets.write(&diagnosis, Some(Recorded { intent: &facts.intent, asked: own }))?;
    output::diagnosis(&diagnosis, plan.format, report::terminal, started)
}

/// Questions up to which the devices on their way are watched: what each hop of each way has seen is looked up.
const WATCHED_MAX: usize = 512;

/// The questions asked for real, with the devices on their way watched; of one instance, with the rules there, too.
fn probe(
    site: &Site,
    facts: &mut Facts,
    asked: &Asked,
    (timeout, dropping): (Duration, dropping::Starting),
) -> Probed {
    let addresses = holders::plan(site, facts, asked);
    let questions = conclude::questions(facts, asked);
    let neighbours = conclude::neighbours(facts, asked);
    let questions = probes::plan(site, facts, questions, asked.to);
    let own = questions.iter().flat_map(|question| question.probes.iter().chain(&question.then));
    let probes: Vec<Probe> = own.cloned().collect();
    if probes.is_empty() {
        return Probed::default();
    }
    let more = questions.iter().flat_map(|question| question.more.iter().cloned());
    let watched: Vec<Probe> = probes.iter().cloned().chain(more).collect();
    let is_watched = probes.len() <= WATCHED_MAX;
    let ways =
        questions.iter().filter(|_| is_watched).flat_map(|question| question.rung.answer.paths.clone());
    let mut ways: Vec<Path> = ways.collect();
    let (mut traced, mut watching, mut beside_ids) = (Vec::new(), None, BTreeSet::new());
    if is_watched {
        if asked.instance.is_some() {
            traced = proof::start(site, facts, &ways, &probes);
        }
        // Whoever asks a neighbour something asks who has its address first.
        let own = neighbours.iter().map(|neighbour| neighbour.asked);
        let sought: BTreeSet<IpAddr> = own.chain(probes.iter().map(|probe| probe.to)).collect();
        ways.extend(neighbours.into_iter().flat_map(|neighbour| neighbour.paths));
        let sides = || questions.iter().filter_map(|question| question.beside.as_ref());
        ways.extend(sides().flat_map(|beside| way_of(facts, beside)));
        beside_ids = sides().map(|beside| beside.id).collect();
        watching = watching::start(site, facts, &ways, (&watched, beside_ids.clone()), sought);
    }
    let dropping = dropping.watch(facts, &watched, &beside_ids);
    // Of many instances each has its share of the questions for addresses.
    let instances = asked.instance.map_or(facts.intent.instances.len().max(1), |_| 1);
    let beside = holders::packets(&addresses).div_ceil(u32::try_from(instances).unwrap_or(u32::MAX));
    let (answers, (held, unasked)) = thread::scope(|scope| {
        let held = scope.spawn(|| holders::ask(&addresses));
        let answers = asking::ask(&questions, facts, timeout, beside);
        (answers, held.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    facts.snapshot.gaps.extend(unasked);
    let Answers { results, turns, left, mut holders, traces, sizes, mut sides, others, is_out_of_time } =
        answers;
    holders.extend(held);
    let drops = dropping::finish(dropping, facts, &watched, &results, &mut sides);
    let watched = watching.map(|watching| watching::finish(watching, facts, &watched, &mut sides));
    let (watches, seen) = watched.unwrap_or_default();
    let queues = queues::after(site, facts, &ways);
    let rules = proof::finish(facts, traced);
    Probed {
        probes: results,
        rules,
        queues,
        watches,
        seen,
        drops,
        holders,
        traces,
        sizes,
        sides,
        others,
        turns,
        left,
        is_out_of_time,
        captures: Vec::new(),
    }
}

/// The way of what may be asked beside a question, which others than its own asker may ask.
fn way_of(facts: &Facts, beside: &Beside<'_>) -> Vec<Path> {
    let asker = who::sender(facts, &beside.machine.name);
    let way = |from| conclude::path(facts, from, beside.to.into(), Protocol::Icmp, true).paths;
    asker.map(way).unwrap_or_default()
}

/// The instance, whose host must be in reach. Its inside need not be: that it is gone may be what is wrong.
fn subject(facts: &Facts, name: &str) -> Result<usize, Failure> {
    let at = who::instance(facts, name)?;
    if let Some(instance) = facts.intent.instances.get(at) {
        facts.must_reach(&instance.host)?;
    }
    Ok(at)
}
