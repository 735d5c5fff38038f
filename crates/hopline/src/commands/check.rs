//! `hopline check`: every check that needs no traffic.

use std::time::Instant;

use report::Recorded;

use crate::conclude;
use crate::failure::Failure;
use crate::gather::{self, Words};
use crate::inconsistent;
use crate::output;
use crate::plan::Plan;
use crate::sheets::Sheets;
use crate::who;

pub(super) fn run(plan: &Plan, host: Option<&str>) -> Result<u8, Failure> {
    let started = Instant::now();
    let sheets = Sheets::of(&plan.pages)?;
    let site = plan.find_site()?;
    sheets.must_differ_from(&site.files)?;
    let mut facts = gather::of_site(&site, plan.timeout, &Words::NONE)?;
    let hosts = match host {
        Some(name) => {
            facts.must_reach(name)?;
            vec![who::host(&facts.snapshot, name)?.to_owned()]
        }
        None => facts.snapshot.hosts.iter().map(|host| host.name.clone()).collect(),
    };
    let whose = inconsistent::whose(&facts, |instance| hosts.contains(&instance.host));
    let rows = inconsistent::ask(&site, &whose, plan.timeout);
    let rows = rows.unwrap_or_else(|| Ok(inconsistent::kept(&mut facts, &whose)));
    inconsistent::note(&mut facts, rows);
    let diagnosis = conclude::check(&facts, hosts);
    sheets.write(&diagnosis, Some(Recorded { intent: &facts.intent, asked: None }))?;
    output::diagnosis(&diagnosis, plan.format, report::terminal, started)
}
