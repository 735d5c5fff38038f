//! `hopline path`: the predicted way, there and back.

use std::time::Instant;

use checks::{Endpoint, Protocol};

use crate::conclude;
use crate::failure::Failure;
use crate::gather::{self, Words};
use crate::output;
use crate::plan::{PathQuestion, Plan};
use crate::sheets::Sheets;
use crate::who;

pub(super) fn run(plan: &Plan, question: &PathQuestion) -> Result<u8, Failure> {
    let started = Instant::now();
    let sheets = Sheets::of(&plan.pages)?;
    let site = plan.find_site()?;
    sheets.must_differ_from(&site.files)?;
    let words = Words { instance: None, ends: &[&question.from, &question.to] };
    let facts = gather::of_site(&site, plan.timeout, &words)?;
    let from = who::asker(&facts, &question.from)?;
    let to = match question.to.parse() {
        Ok(ip) => ip,
        Err(_) => who::destination(&facts, &question.to, who::is_outside(&facts, from))?.into(),
    };
    if matches!((from, question.protocol), (Endpoint::Beyond(_), Protocol::Arp)) {
        let failure = Failure::new(format!("no machine of the site carries the address {}", question.from));
        return Err(failure.hint("ARP is asked by neighbours: name a host or an instance of the site"));
    }
    let diagnosis = conclude::path(&facts, from, to, question.protocol, question.reply);
    sheets.write(&diagnosis, None)?;
    output::diagnosis(&diagnosis, plan.format, report::path_report, started)
}
