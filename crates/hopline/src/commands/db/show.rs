//! `hopline db show`: what the database records of one instance, and what the hosts really have of it.

mod lines;
mod seen;
mod seen_network;

use bundle::Assembled;
use cloud::{Record, ShowError};
use model::snapshot::Gap;
use report::Sheet;

use self::seen::Seen;
use super::no_database;
use super::unnamed::short;
use crate::failure::Failure;
use crate::gather;
use crate::output;
use crate::plan::{Format, Plan};
use crate::site_file::{self, Site};

/// A host lacks what is recorded.
const EXIT_LACKS: u8 = 1;

pub(crate) fn show(plan: &Plan, wanted: &str) -> Result<u8, Failure> {
    let site = site_file::find(plan.site.as_deref())?;
    let url = site.database.as_ref().ok_or_else(|| no_database(&site))?;
    let record = cloud::show(url, plan.timeout, wanted).map_err(|error| refused(&error))?;
    let named = hosts_of(&record);
    let hosts = hosts(&site, &named);
    let sheet = sheet(record, &site, hosts)?;
    match plan.format {
        Format::Json => output::json(&sheet.json())?,
        Format::Minimal => output::print(|out| match sheet.lacking().as_slice() {
            [] => writeln!(out, "{} ok", report::clean(&sheet.name)),
            lacking => writeln!(out, "{} lacks {}", report::clean(&sheet.name), lacking.join(",")),
        })?,
        Format::Terminal(style) => output::print(|out| report::sheet(&sheet, &style, out))?,
    }
    Ok(if sheet.lacking().is_empty() { 0 } else { EXIT_LACKS })
}

fn refused(error: &ShowError) -> Failure {
    let failure = Failure::of(error);
    match error {
        ShowError::Deleted { .. } => {
            failure.hint("`hopline db check` names what is still recorded of it, and the repair of each")
        }
        ShowError::Database(_)
        | ShowError::Ambiguous { .. }
        | ShowError::Unseen { .. }
        | ShowError::Unknown { .. } => failure,
    }
}

/// Hosts that are to have anything of the instance, by nova's names.
fn hosts_of(record: &Record) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for instance in &record.records.instances {
        named.push(instance.host.clone());
        named.extend(instance.floating().filter_map(|floating| floating.host.clone()));
        let networks = instance.vifs.iter().filter_map(|vif| record.records.networks.get(vif.network?));
        named.extend(networks.map(|network| network.server_for(&instance.host).to_owned()));
    }
    named.retain(|name| !name.is_empty());
    named.sort();
    named.dedup();
    named
}

/// Reads those hosts, as they are now; all, where one goes by a name that only its own nova.conf can tell. Where none
/// can be read: why.
fn hosts(site: &Site, named: &[String]) -> Result<Assembled, String> {
    if site.is_offline() {
        return Err("the hosts are read from bundles, of another time than the database".to_owned());
    }
    let is_it = |machine: &str, name: &String| machine == name || short(machine) == short(name);
    let is_known = |name: &String| site.machines.iter().any(|machine| is_it(&machine.name, name));
    let all_known = named.iter().all(is_known);
    let wanted = |machine: &str| !all_known || named.iter().any(|name| is_it(machine, name));
    Ok(gather::hosts(site, wanted))
}

fn sheet(record: Record, site: &Site, hosts: Result<Assembled, String>) -> Result<Sheet, Failure> {
    let (Assembled { snapshot, missing }, why) = match hosts {
        Ok(assembled) => (assembled, "the site file names no such host".to_owned()),
        Err(why) => (Assembled::default(), why),
    };
    let Record { records, leased, dns, cache } = record;
    let missing_tables = records.missing_tables.clone();
    let intent = cloud::intent(Some(records), &snapshot, &site.instances);
    // The database's instances come first, and this is the only one that was read.
    let instance = intent.instances.first().ok_or_else(|| Failure::new("its row went while it was read"))?;
    let seen = Seen { snapshot: &snapshot, missing: &missing, why: &why };
    let of_database =
        lines::OfDatabase { leased: &leased, dns: &dns, cache: &cache, missing_tables: &missing_tables };
    let lines = lines::of(instance, &intent, &of_database, &seen);
    let mut gaps: Vec<Gap> = snapshot.gaps.clone();
    let not_seen = intent.servers_of(instance).into_iter().chain([instance.host.as_str()]);
    let mut told = std::collections::BTreeSet::new();
    for host in not_seen.filter(|host| !host.is_empty() && told.insert(*host)) {
        if missing.iter().all(|(name, _)| name != host) && snapshot.host(host).is_none() {
            gaps.push(Gap {
                what: format!("everything of {host}"),
                why: why.clone(),
                would_need: format!("{host} in reach, and in the site file"),
            });
        }
    }
    Ok(Sheet { name: instance.name.clone(), uuid: instance.uuid.clone(), id: instance.id, lines, gaps })
}
