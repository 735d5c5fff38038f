//! A sosreport (sosreport(1), `sos report`) as a bundle: one host, out of what its plugins copied and what tools
//! printed.
//!
//! The layouts of sos 3 and sos 4 are told apart by nothing: each fact is looked for under every name that some release
//! gives it. What is not there is a gap that names the file or the command that would tell it, and where a packet's way
//! would depend on it, the walk says that it does not know. An archive, packed with xz or gzip or not at all, is read
//! straight through, with a bundle's limits; an unpacked one is read as a folder. Links are followed as names within
//! it, never out of it.

mod archive;
mod bounds;
mod files;
mod folder;
mod host;
mod iptables;
mod links;
mod long_names;
mod netns;
mod nft_tables;
mod packages;
mod queues;
mod services;
mod starts;
mod told;
mod wanted;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use collect::Machine;
use model::snapshot::Gap;

use crate::assemble::{Member, Missing};
use crate::error::ReadError;
use crate::manifest::Manifest;
use crate::read::{Bundle, plainly};
use files::Files;

pub use archive::{Packing, packing};

/// Reads an archive. `name` is what its gaps call it.
pub fn read(source: impl Read, packing: Packing, name: &str) -> Result<Bundle, ReadError> {
    Ok(bundle(archive::read(source, packing, name)?, name))
}

/// Reads one that is unpacked already.
pub fn read_folder(folder: &Path, name: &str) -> Result<Bundle, ReadError> {
    Ok(bundle(folder::read(folder)?, name))
}

fn bundle(files: Files, name: &str) -> Bundle {
    let taken_at = files.newest;
    let host = host::name(&files).unwrap_or_else(|| name.to_owned());
    let gaps = files.gaps.clone();
    // Numbers of namespaces are made up here, so they mean nothing in another archive of the very same kernel.
    let member = |outcome| Member {
        name: host.clone(),
        inside: false,
        position: 0,
        boot_id: format!("of {name}"),
        taken_at,
        outcome,
    };
    let mut versions = BTreeMap::new();
    // A sosreport holds what runs, and nothing of what nova's database means.
    let mut lacks_cloud = false;
    let members = match netns::read(&files, &host) {
        Err(missing) => vec![member(Err(with_left_out(missing, &gaps)))],
        Ok((main, further)) => {
            let (told, mut more) = host::read(&files, &host, &main.0);
            let (told_of, lacking) = packages::versions(&files, &told);
            versions = told_of;
            more.extend(lacking);
            lacks_cloud = host::runs_nova(&told);
            let gaps = [main.1, more].concat();
            let machine = Machine { netns: main.0, host: Some(told), gaps };
            let others = further.into_iter().map(|(netns, gaps)| Machine { netns, host: None, gaps });
            [machine].into_iter().chain(others).map(|machine| member(plainly(machine))).collect()
        }
    };
    let manifest = Manifest { taken_at, versions, ..Manifest::default() };
    Bundle { manifest, members, is_sosreport: true, lacks_cloud, gaps, ..Bundle::default() }
}

/// The members of a sosreport, under the name that a site file gives its host.
pub fn called(name: &str, members: Vec<Member>) -> Vec<Member> {
    let renamed = members.into_iter().map(|mut member| {
        let own = std::mem::replace(&mut member.name, name.to_owned());
        if let Ok(machine) = &mut member.outcome {
            name.clone_into(&mut machine.netns.machine);
            machine.host.iter_mut().for_each(|host| name.clone_into(&mut host.name));
            for gap in &mut machine.gaps {
                for word in [" of ", " on "] {
                    if let Some(what) = gap.what.strip_suffix(&own).and_then(|what| what.strip_suffix(word)) {
                        gap.what = format!("{what}{word}{name}");
                    }
                }
            }
        }
        member
    });
    renamed.collect()
}

/// What is missing, with the one thing that would settle it.
fn gap(what: impl Into<String>, why: impl Into<String>, would_need: impl Into<String>) -> Gap {
    Gap { what: what.into(), why: why.into(), would_need: would_need.into() }
}

/// Nothing can be said of the host without this.
fn missing(what: &str, would_need: &str) -> Missing {
    Missing { why: format!("the sosreport has no {what}"), would_need: would_need.to_owned() }
}

/// A file of the network that is there and was left out may be the one that is missing.
fn with_left_out(missing: Missing, gaps: &[Gap]) -> Missing {
    let left_out = gaps.iter().find(|gap| gap.what.starts_with("sos_commands/networking/"));
    let told = left_out.map(|gap| format!("; {} was left out: {}", gap.what, gap.why)).unwrap_or_default();
    Missing { why: missing.why + &told, ..missing }
}

/// The places of a file that could not be read: the first in full, the rest as a count.
fn unparsed(path: &str, problems: &[parse::Problem]) -> Option<Gap> {
    let first = problems.first()?;
    let more = problems.len() - 1;
    let why = if more == 0 { first.to_string() } else { format!("{first}; {more} more places") };
    Some(gap(format!("part of {path}"), why, format!("{path}, line {}", first.line)))
}

#[cfg(test)]
mod tests;
