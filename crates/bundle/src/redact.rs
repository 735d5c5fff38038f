//! A bundle under other names: whoever gets it finds the same faults in it, and not whose cloud it is.
//!
//! [`Key`] and the original decide which pseudonym an address (`v4`, `v6`), a MAC (`mac`), an id or a name (`names`)
//! gets, so that it is the same in every file and every bundle of the key. `gather` learns which names there are,
//! `scan` finds them in texts, `ruleset` in numbers, [`captures`] in packets. What is counted stays: rows' numbers,
//! and names made of them; ports, times, lengths.
//!
//! A whole bundle is taken and another written, since most names are known only when all has been read.

mod captures;
mod fields;
mod files;
mod gather;
mod key;
mod lookup;
mod mac;
mod names;
mod pseudonyms;
mod ruleset;
mod scan;
mod tree;
mod v4;
mod v6;
mod words;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_bundles;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Read, Seek, Write};

use collect::Machine;
use model::snapshot::Gap;
use serde::{Serialize, de::DeserializeOwned};

use crate::assemble::Member;
use crate::error::{ReadError, WriteError};
use crate::manifest::{CloudFacts, DATABASE, FACTS_SCHEMA, FactsOf, MachineFacts, Manifest};
use crate::mapped;
use crate::read::{self, Bundle};
use crate::write::{Facts, Writer};

pub use captures::redact as redact_capture;
use files::Files;
use gather::Gathered;
pub use key::{Key, KeyError};
use names::Kind;
pub use pseudonyms::Pseudonyms;

/// Keys that are tried until no network of the site has another's name for a pseudonym.
const KEYS_MAX: usize = 100;

/// Longest name of a device (`IFNAMSIZ` without its end).
const DEVICE_MAX: usize = 15;

/// Why no redacted bundle was made.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The bundle could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its plain files could not be read a second time.
    #[error("the bundle's files cannot be read again: {source}")]
    Again {
        /// What the system said.
        source: io::Error,
    },
    /// It is redacted already.
    #[error("it is redacted already: of its pseudonyms none could be translated back")]
    Already,
    /// Facts could not be put into words, or not be read from them: a mistake of ours.
    #[error("facts cannot be put into words: {source}")]
    Json {
        /// What serde said.
        source: serde_json::Error,
    },
    /// There is no randomness.
    #[error("no key can be drawn: {source}")]
    Key {
        /// What the system said.
        source: io::Error,
    },
    /// The redacted bundle could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A redacted bundle that was written.
pub struct Redacted {
    /// How long it is.
    pub bytes: u64,
    /// Machines whose facts are in it.
    pub machines: usize,
    /// What is not.
    pub gaps: usize,
    /// The pseudonyms, to be translated back.
    pub pseudonyms: Pseudonyms,
}

/// Writes the bundle that is read from `source` under other names: those of `key`, or of one that is drawn. `name` is
/// what gaps call it; `spool` is empty, and goes away by itself.
pub fn redact(
    source: impl Read + Seek,
    name: &str,
    key: Option<Key>,
    spool: impl Read + Write + Seek,
    out: impl Write,
) -> Result<Redacted, RedactError> {
    within(source, name, key, (spool, out), read::PLAIN_MAX)
}

fn within(
    mut source: impl Read + Seek,
    name: &str,
    key: Option<Key>,
    (spool, out): (impl Read + Write + Seek, impl Write),
    text_max: u64,
) -> Result<Redacted, RedactError> {
    let bundle = read::read(&mut source, name)?;
    if bundle.manifest.redacted {
        return Err(RedactError::Already);
    }
    let mut files = Files::of(&bundle, text_max);
    let (mut manifest, mut machines, mut cloud) = parts(bundle);
    let mut gathered = Gathered::default();
    for (name, inside, outcome) in &mut machines {
        gathered.names.add(if *inside { Kind::Instance } else { Kind::Host }, name);
        if let Ok(machine) = outcome {
            gathered.machine(machine);
        }
    }
    gathered.cloud(&mut cloud);
    files.gather(&mut source, &mut gathered)?;
    let pseudonyms = settled(key, gathered, &machines)?;

    manifest.redacted = true;
    manifest.captures.retain(|entry| files.stays(entry));
    manifest.gaps.extend(files.gaps());
    let vantages: Vec<Option<String>> = manifest.captures.iter().map(|entry| entry.vantage.clone()).collect();
    let mut manifest: Manifest = mapped_over(&pseudonyms, &manifest)?;
    manifest.redacted_by = Some(pseudonyms.key().print());
    for (entry, vantage) in manifest.captures.iter_mut().zip(vantages) {
        entry.vantage = vantage.map(|vantage| pseudonyms.vantage(&vantage));
    }
    manifest.machines.clear();
    let writer = Writer::new(spool, manifest.taken_at)?;
    files.write(&mut source, &pseudonyms, &writer)?;
    for (name, _, outcome) in &mut machines {
        *name = pseudonyms.name(name);
        match outcome {
            Ok(machine) => *machine = of_machine(&pseudonyms, machine)?,
            Err(missing) => *missing = mapped_over(&pseudonyms, missing)?,
        }
    }
    fields::of_cloud(&mut cloud, &mut |_, name| pseudonyms.name_in_place(name));
    let cloud: CloudFacts = mapped_over(&pseudonyms, &cloud)?;
    let facts = Facts { manifest, machines, cloud };
    let bytes = writer.finish(&facts, out)?.bytes;
    let read = facts.machines.iter().filter_map(|(_, _, outcome)| outcome.as_ref().ok());
    let gaps = read.clone().map(|machine| machine.gaps.len()).sum::<usize>() + facts.manifest.gaps.len();
    Ok(Redacted { bytes, machines: read.count(), gaps, pseudonyms })
}

type Machines = Vec<(String, bool, Result<Machine, crate::Missing>)>;

/// What a bundle says, as it is written anew.
fn parts(bundle: Bundle) -> (Manifest, Machines, CloudFacts) {
    // Its captures are told of by the manifest too, which is written anew.
    let Bundle { mut manifest, mut members, cloud, captures: _, is_sosreport: _, lacks_cloud, mut gaps } =
        bundle;
    if lacks_cloud && !gaps.iter().any(|gap| gap.what == DATABASE) {
        let why = "it is not in the bundle that was redacted".to_owned();
        gaps.push(Gap { what: DATABASE.to_owned(), why, would_need: "the whole bundle".to_owned() });
    }
    manifest.gaps = gaps;
    members.sort_by_key(|member| member.position);
    let machines = members.into_iter().map(|Member { name, inside, outcome, .. }| (name, inside, outcome));
    (manifest, machines.collect(), cloud)
}

/// The pseudonyms of a given key, or of one that is drawn for the site.
fn settled(key: Option<Key>, gathered: Gathered, machines: &Machines) -> Result<Pseudonyms, RedactError> {
    let Gathered { mut names, mut known, networks } = gathered;
    known.add_networks(networks.iter().copied().filter(|net| v4::has_others(*net)).collect());
    let devices = || {
        let machines = machines.iter().filter_map(|(_, _, outcome)| outcome.as_ref().ok());
        machines.flat_map(|machine| &machine.netns.links).map(|link| link.name.as_str())
    };
    devices().for_each(|device| names.remove(device));
    let key = match key {
        Some(key) => key,
        None => drawn(&networks).map_err(|source| RedactError::Key { source })?,
    };
    let pseudonyms = Pseudonyms::new(key.clone(), &names, known);
    let long: Vec<&str> = devices().filter(|device| pseudonyms.text(device).len() > DEVICE_MAX).collect();
    if long.is_empty() {
        return Ok(pseudonyms);
    }
    long.into_iter().for_each(|device| names.add(Kind::Device, device));
    Ok(Pseudonyms::new(key, &names, pseudonyms.into_known()))
}

/// Of some keys the one that gives the fewest networks the true name of another: a few networks have none there, and of
/// thousands each key has some. Its own name none gets by any.
fn drawn(networks: &[ipnet::Ipv4Net]) -> io::Result<Key> {
    let wide: Vec<ipnet::Ipv4Net> = networks.iter().copied().filter(|net| v4::is_wide(*net)).collect();
    // Routes to one address are many, and say no network's name.
    let named: BTreeSet<std::net::Ipv4Addr> = networks
        .iter()
        .filter(|net| net.prefix_len() < net.max_prefix_len() && v4::has_others(**net))
        .map(ipnet::Ipv4Net::network)
        .collect();
    let mut best: Option<(usize, Key)> = None;
    for _ in 0..KEYS_MAX {
        let key = Key::draw()?.with_networks(wide.clone());
        let is_anothers = |net: &&std::net::Ipv4Addr| named.contains(&v4::permute(&key, **net, false));
        let count = named.iter().filter(is_anothers).count();
        if best.as_ref().is_none_or(|(fewest, _)| count < *fewest) {
            best = Some((count, key));
        }
        if count == 0 {
            break;
        }
    }
    best.map(|(_, key)| key).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn of_machine(pseudonyms: &Pseudonyms, machine: &mut Machine) -> Result<Machine, RedactError> {
    fields::of_machine(machine, &mut |_, name| pseudonyms.name_in_place(name));
    ruleset::redact(pseudonyms, &mut machine.netns.ruleset);
    let facts =
        FactsOf { schema: FACTS_SCHEMA, netns: &machine.netns, host: &machine.host, gaps: &machine.gaps };
    let MachineFacts { netns, host, gaps, .. } = mapped_over(pseudonyms, &facts)?;
    Ok(Machine { netns, host, gaps })
}

/// A value with every text in it passed through the pseudonyms.
fn mapped_over<T: DeserializeOwned>(
    pseudonyms: &Pseudonyms,
    value: &impl Serialize,
) -> Result<T, RedactError> {
    let json = mapped::to_vec(value, pseudonyms).and_then(|json| serde_json::from_slice(&json));
    json.map_err(|source| RedactError::Json { source })
}

/// The table for who translates back what the other side says: a pseudonym and what it stands for on each line.
pub fn table(pseudonyms: &Pseudonyms) -> String {
    let mut out = "# pseudonym\toriginal: this stays with you\n".to_owned();
    let rows = pseudonyms.table();
    let also = rows.values().filter(|original| rows.contains_key(*original)).count();
    if also > 0 {
        let _ = writeln!(
            out,
            "# {also} of these pseudonyms are true names of others, too: what the other side says is on the left"
        );
    }
    for (pseudonym, original) in rows {
        let _ = writeln!(out, "{pseudonym}\t{}", original.escape_debug());
    }
    out
}
