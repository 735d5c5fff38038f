//! `hopline collect`: all that is read of the site, or of some of its hosts, as one file.

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

use bundle::{CloudFacts, Facts, Manifest, Missing, Writer};
use capture::replace::{self, Replacement};
use collect::{Keep, MachinePlan};
use model::snapshot::Gap;

use crate::failure::Failure;
use crate::gather;
use crate::output;
use crate::plan::{CollectQuestion, Format, Plan};
use crate::progress;
use crate::site_file::Site;
use crate::who;

mod captures;
mod redacting;
mod rows;

/// The bundle holds less than was asked for.
const EXIT_INCOMPLETE: u8 = 3;

pub(super) fn run(plan: &Plan, question: &CollectQuestion) -> Result<u8, Failure> {
    let output = &question.output;
    let Some(redaction) = &question.redaction else {
        let site = site(plan, question)?;
        let _progress = progress::start("collecting");
        let mut bundle = Replacement::private(output).map_err(|error| cannot_write(output, &error))?;
        let (told, bytes) = collect_into(&site, plan, question, &mut bundle.file)?;
        bundle.commit().map_err(|error| cannot_write(output, &error))?;
        return told.print(output, bytes, plan.format);
    };
    if let Some(bundle) = &redaction.bundle {
        redacting::must_differ(output, std::slice::from_ref(bundle))?;
        let key = redacting::key(redaction, output)?;
        let _progress = progress::start("redacting");
        let redacted = redacting::write(&mut redacting::open(bundle)?, bundle, key, output)?;
        let (lacking, untold) = (Vec::new(), Vec::new());
        let told = Told { machines: redacted.machines, lacking, gaps: redacted.gaps, untold };
        return told.print(output, redacted.bytes, plan.format);
    }
    let site = site(plan, question)?;
    let key = redacting::key(redaction, output)?;
    let _progress = progress::start("collecting");
    // It never gets a name: nobody shall send the wrong one.
    let mut plain = spool(output)?;
    let (told, _) = collect_into(&site, plan, question, &mut plain)?;
    let redacted = redacting::write(&mut plain, output, key, output)?;
    told.print(output, redacted.bytes, plan.format)
}

/// The site that is to be collected, of which nothing that is read is written over.
fn site(plan: &Plan, question: &CollectQuestion) -> Result<Site, Failure> {
    let site = plan.find_site()?;
    let captures = question.captures.iter().map(|given| given.file.clone());
    redacting::must_differ(
        &question.output,
        &captures.chain(site.files.iter().cloned()).collect::<Vec<_>>(),
    )?;
    if site.is_offline() {
        return Err(Failure::new(
            "the site file takes machines from bundles, which cannot be collected again",
        )
        .hint("collect where the machines can be reached; a bundle is read with `at = \"bundle:FILE\"`"));
    }
    Ok(site)
}

fn collect_into(
    site: &Site,
    plan: &Plan,
    question: &CollectQuestion,
    out: &mut File,
) -> Result<(Told, u64), Failure> {
    let wanted = wanted(site, &question.hosts)?;
    let captures = captures::open_all(&question.captures)?;
    let output = &question.output;
    let cannot = |error: &dyn Display| cannot_write(output, error);
    let taken_at = collect::now();
    let writer = Writer::new(spool(output)?, taken_at).map_err(|error| cannot(&error))?;
    let keep = |machine: &str, file: &str, text: &str| {
        writer.add(machine, file, text);
        if let Some(name) = file.strip_prefix("main/nft-").and_then(|name| name.strip_suffix(".txt")) {
            writer.add(machine, &format!("main/nft-{name}.json"), &parse::nft_text::json(text).to_string());
        }
    };
    let facts = facts(site, &wanted, plan, taken_at, &keep);
    bundle::add_plain(&writer, &facts);
    captures::add(&writer, captures).map_err(|error| cannot(&error))?;
    let written = writer.finish(&facts, io::BufWriter::new(out)).map_err(|error| cannot(&error))?;
    let mut told = Told::of(&facts, &wanted);
    let is_machine = |name: &str| facts.machines.iter().any(|(machine, ..)| machine == name);
    told.machines -= written.lacking.iter().filter(|(name, _)| is_machine(name)).count();
    told.lacking.extend(written.lacking);
    Ok((told, written.bytes))
}

fn cannot_write(output: &Path, error: &dyn Display) -> Failure {
    Failure::new(format!("cannot write the bundle {}: {error}", output.display()))
        .hint("`-o FILE.tar.zst` names a file in a folder that can be written to")
}

/// A file beside the bundle that goes away by itself.
fn spool(output: &Path) -> Result<File, Failure> {
    replace::unnamed(output).map_err(|error| cannot_write(output, &error))
}

/// The machines to be read: the hosts that were named, and the instances on them that can be entered.
fn wanted<'s>(site: &'s Site, hosts: &[String]) -> Result<Vec<&'s MachinePlan>, Failure> {
    let known: Vec<&str> = site.machines.iter().filter(|m| !m.instance).map(|m| m.name.as_str()).collect();
    for host in hosts {
        who::among(&known, host)?;
    }
    let on_them = |machine: &&MachinePlan| {
        let entry = site.instances.iter().find(|entry| machine.instance && entry.name == machine.name);
        let host = entry.and_then(|entry| entry.host.as_ref()).unwrap_or(&machine.name);
        hosts.is_empty() || hosts.contains(host)
    };
    Ok(site.machines.iter().filter(on_them).collect())
}

fn facts(site: &Site, wanted: &[&MachinePlan], plan: &Plan, taken_at: u64, keep: Keep<'_>) -> Facts {
    let plans: Vec<MachinePlan> = wanted.iter().copied().cloned().collect();
    let (outcomes, versions) = thread::scope(|scope| {
        let versions = scope.spawn(collect::versions);
        (collect::machines(&plans, keep), versions.join().unwrap_or_default())
    });
    let mut outcomes: Vec<_> = plans.iter().map(|plan| &plan.name).zip(outcomes).collect();
    let mut outcome = |machine: &MachinePlan| {
        let Some(at) = outcomes.iter().position(|(name, _)| **name == machine.name) else {
            return Err(not_asked_for(machine));
        };
        let (name, outcome) = outcomes.swap_remove(at);
        outcome.map_err(|error| gather::missing(name, &error))
    };
    let machines = site
        .machines
        .iter()
        .map(|machine| (machine.name.clone(), machine.instance, outcome(machine)))
        .collect();
    let manifest = Manifest { versions, ..manifest(taken_at) };
    let mut facts = Facts { manifest, machines, cloud: CloudFacts::default() };
    rows::add(site, &mut facts, plan.timeout);
    facts
}

fn not_asked_for(machine: &MachinePlan) -> Missing {
    Missing {
        why: "it was left out when the bundle was made".to_owned(),
        would_need: format!("hopline collect -o FILE.tar.zst {}, and that file too", machine.name),
    }
}

fn manifest(taken_at: u64) -> Manifest {
    Manifest {
        hopline: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at,
        boot_id: gather::boot_id(),
        read_as: reader(),
        ..Manifest::default()
    }
}

/// As whom it was read.
fn reader() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next().map(str::to_owned))
    };
    let uid = field("Uid:").unwrap_or_default();
    let user = if uid == "0" { "root".to_owned() } else { format!("user {uid}") };
    format!("{user}, capabilities {}", field("CapEff:").unwrap_or_default())
}

/// What is told when the bundle is there.
struct Told {
    machines: usize,
    /// Asked for, and not read.
    lacking: Vec<(String, String)>,
    gaps: usize,
    /// Each of them, with the machine that it is of; none where the facts were not looked into here.
    untold: Vec<(Option<String>, Gap)>,
}

impl Told {
    fn of(facts: &Facts, wanted: &[&MachinePlan]) -> Told {
        let read = facts.machines.iter().filter_map(|(_, _, outcome)| outcome.as_ref().ok());
        let of_machines =
            facts.machines.iter().filter_map(|(name, _, outcome)| Some((name, outcome.as_ref().ok()?)));
        let of_machines = of_machines
            .flat_map(|(name, machine)| machine.gaps.iter().map(|gap| (Some(name.clone()), gap.clone())));
        let of_site = facts.manifest.gaps.iter().map(|gap| (None, gap.clone()));
        let untold: Vec<_> = of_site.chain(of_machines).collect();
        let lacking = facts.machines.iter().filter_map(|(name, _, outcome)| {
            let missing = outcome.as_ref().err()?;
            let asked_for = wanted.iter().any(|machine| machine.name == *name);
            asked_for.then(|| (name.clone(), missing.why.clone()))
        });
        let unread = facts.manifest.gaps.iter().filter(|gap| gap.what == bundle::DATABASE);
        let lacking = lacking.chain(unread.map(|gap| (gap.what.clone(), gap.why.clone())));
        Told { machines: read.count(), lacking: lacking.collect(), gaps: untold.len(), untold }
    }

    fn print(&self, output: &Path, bytes: u64, format: Format) -> Result<u8, Failure> {
        let file = output.display();
        for (name, why) in &self.lacking {
            let failure = Failure::new(format!("{name} is not in the bundle: {why}"));
            let _ = failure.print(&mut io::stderr().lock());
        }
        let code = if self.lacking.is_empty() { 0 } else { EXIT_INCOMPLETE };
        let (machines, gaps) = (self.machines, self.gaps);
        match format {
            Format::Json => output::json(&serde_json::json!({
                "schema": "hopline.collected/1", "file": file.to_string(), "bytes": bytes, "machines": machines,
                "missing": self.lacking.iter().map(|(name, _)| name).collect::<Vec<_>>(), "gaps": gaps,
            }))?,
            Format::Terminal(_) | Format::Minimal => output::print(|out| {
                let name = report::clean(&file.to_string()).into_owned();
                writeln!(out, "{name}: {machines} machines, {gaps} gaps, {bytes} bytes")?;
                let is_verbose = matches!(format, Format::Terminal(style) if style.verbose);
                self.untold.iter().filter(|_| is_verbose).try_for_each(|(machine, gap)| {
                    let Gap { what, why, would_need } = gap;
                    let of = machine.as_ref().map(|machine| format!("{machine}: ")).unwrap_or_default();
                    writeln!(out, "  {}", report::clean(&format!("{of}{what}: {why}; it needs {would_need}")))
                })
            })?,
        }
        Ok(code)
    }
}
