//! Machines whose facts are in bundles: whole sites of them, or single ones that a site file names. A sosreport is a
//! bundle of one host.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bundle::{Bundle, Member, Missing, sosreport};
use cloud::Hosts;
use model::few;
use model::snapshot::Gap;

use crate::failure::Failure;
use crate::gather::Parts;
use crate::nearest::meant;
use crate::recorded::Given;
use crate::site_file::{Bundled, Site};

/// Adds what the site's bundles hold to what was read otherwise, which goes first where both tell.
pub(crate) fn add(site: &Site, parts: &mut Parts) -> Result<(), Failure> {
    let mut read = BTreeMap::new();
    for path in site.bundles.iter().chain(site.bundled.iter().map(|machine| &machine.file)) {
        if !read.contains_key(path) {
            read.insert(path.clone(), open(path)?);
        }
    }
    let of_each = |path: &PathBuf| read.get(path);
    let whole: Vec<(&PathBuf, &Bundle)> =
        site.bundles.iter().filter_map(|path| Some((path, of_each(path)?))).collect();
    parts.members.extend(all_members(&whole)?);
    for machine in &site.bundled {
        if let Some(bundle) = of_each(&machine.file) {
            parts.members.extend(named(site, machine, bundle)?);
        }
    }
    // The newest of several is nearest to the truth.
    let mut newest: Vec<(&PathBuf, &Bundle)> = read.iter().collect();
    newest.sort_by_key(|(_, bundle)| std::cmp::Reverse(bundle.manifest.taken_at));
    // A database that is named goes before what was read of one then.
    if parts.records.is_none() && site.database.is_none() {
        join_records(&newest, parts);
    }
    let has_none = parts.records.is_none() && site.database.is_none();
    parts.lacks_cloud = has_none && newest.iter().any(|(_, bundle)| bundle.lacks_cloud);
    for entry in newest.iter().flat_map(|(_, bundle)| &bundle.cloud.entries) {
        if parts.entries.iter().all(|known| known.name != entry.name) {
            parts.entries.push(entry.clone());
        }
    }
    for (path, bundle) in &read {
        let given = |entry: &bundle::CaptureEntry| Given {
            file: path.clone(),
            within: Some(entry.path.clone()),
            vantage: entry.vantage.clone(),
        };
        parts.captures.extend(bundle.captures.iter().map(given));
    }
    let mut gaps: Vec<Gap> = read.values().flat_map(|bundle| bundle.gaps.clone()).collect();
    gaps.extend(read.iter().filter(|(_, bundle)| bundle.manifest.redacted).map(|(path, _)| pseudonyms(path)));
    gaps.extend(strangers(read.iter().map(|(path, bundle)| (path.as_path(), bundle))));
    let unsupported = read.values().any(|bundle| bundle.is_sosreport) && has_none;
    gaps.extend(unsupported.then(no_records));
    gaps.sort();
    gaps.dedup();
    parts.gaps.extend(gaps);
    Ok(())
}

/// Each bundle has the rows that its hosts needed, and what contradicts in them: of those that a newer one was made of,
/// that one's count. Rows of another database than the newest's tell nothing of it, which is a gap.
fn join_records(newest: &[(&PathBuf, &Bundle)], parts: &mut Parts) {
    let (mut first, mut covered) = (None, BTreeSet::new());
    for (path, bundle) in newest {
        let Some(kept) = &bundle.cloud.records else { continue };
        let own = bundle.members.iter().filter(|member| !member.inside && !covered.contains(&member.name));
        let mut hosts = Hosts::default();
        for member in own {
            let read = member.outcome.as_ref().ok();
            hosts.add(&member.name, read.and_then(|machine| machine.host.as_ref()));
        }
        let read = bundle.members.iter().filter(|member| !member.inside);
        covered.extend(read.map(|member| member.name.clone()));
        let is_joined = match &mut parts.records {
            Some(records) => records.join(kept, &hosts),
            None => parts.records.replace(kept.clone()).is_none(),
        };
        if is_joined {
            parts.contradictions.extend(bundle.cloud.contradictions.clone());
        } else if let Some(first) = first {
            parts.gaps.push(of_another_database(path, first));
        }
        first.get_or_insert(path);
    }
    parts.are_records_kept = parts.records.is_some();
}

fn of_another_database(path: &Path, newest: &Path) -> Gap {
    Gap {
        what: format!("{} in {}", bundle::RECORDS, path.display()),
        why: format!("they are not of the database that {} was made of, by what both tell", newest.display()),
        would_need: "bundles of one cloud; or its database in a site file ([cloud] database)".to_owned(),
    }
}

/// A report of a redacted bundle is read by who does not know the names in it.
fn pseudonyms(bundle: &Path) -> Gap {
    let shown = bundle.display();
    Gap {
        what: format!("the real names of {shown}"),
        why: "it is redacted: names, ids, addresses and MACs are pseudonyms".to_owned(),
        would_need: "the table FILE.names that `hopline collect --redact` wrote beside it, where it was made"
            .to_owned(),
    }
}

/// Bundles whose names are made by different keys, or only in part: what is one machine in one of them is another in
/// the other.
fn strangers<'b>(bundles: impl Iterator<Item = (&'b Path, &'b Bundle)>) -> Option<Gap> {
    let mut by_key: BTreeMap<Option<&str>, &Path> = BTreeMap::new();
    for (path, Bundle { manifest, .. }) in bundles {
        // Which key an earlier hopline took nobody can tell.
        if manifest.redacted && manifest.redacted_by.is_none() {
            continue;
        }
        by_key.entry(manifest.redacted_by.as_deref()).or_insert(path);
    }
    let named: Vec<String> = by_key.values().map(|path| path.display().to_string()).collect();
    (named.len() > 1).then(|| Gap {
        what: format!("what {} say of the same machines", few::named(&named)),
        why: if by_key.contains_key(&None) {
            "some of them are redacted and others are not: a machine has a name of its own in each"
        } else {
            "they are redacted by different keys: a machine has another name in each"
        }
        .to_owned(),
        would_need:
            "all of them redacted by one key: `hopline collect --redact --bundle FILE --redact-key KEY`"
                .to_owned(),
    })
}

/// A sosreport has what runs, and not what is meant.
fn no_records() -> Gap {
    Gap {
        what: bundle::DATABASE.to_owned(),
        why: "a sosreport holds none of its rows: what is meant is taken from libvirt's domains".to_owned(),
        would_need: "the database in a site file ([cloud] database), beside at = \"bundle:FILE\"".to_owned(),
    }
}

/// It is about the cloud's records: that they could not be read when a bundle was made, or are not in it.
pub(crate) fn is_of_records(gap: &Gap) -> bool {
    gap.what == bundle::DATABASE || gap.what.starts_with(bundle::RECORDS)
}

/// Reads a bundle's facts, or a sosreport's: which of them it is its first octets tell.
pub(crate) fn open(path: &Path) -> Result<Bundle, Failure> {
    let shown = path.display().to_string();
    let unread = |error: std::io::Error| {
        Failure::new(format!("cannot read the bundle {shown}: {error}"))
            .hint("`hopline collect -o FILE.tar.zst` makes one; a sosreport serves too")
    };
    let (read, maker) = if path.is_dir() {
        (sosreport::read_folder(path, &shown), Maker::Sos)
    } else {
        file(path, &shown).map_err(unread)?
    };
    read.map_err(|error| {
        let failure = Failure::of(&error);
        Failure::new(format!("cannot read the bundle {shown}: {failure}")).hint(hint(&error, maker))
    })
}

/// What a bundle is written by.
#[derive(Clone, Copy)]
enum Maker {
    Hopline,
    Sos,
}

impl Maker {
    fn command(self) -> &'static str {
        match self {
            Maker::Hopline => "hopline collect -o FILE.tar.zst",
            Maker::Sos => "sos report",
        }
    }
}

fn file(path: &Path, shown: &str) -> std::io::Result<(Result<Bundle, bundle::ReadError>, Maker)> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    // What cannot be sought is no regular file, and read from where it is.
    let whole = head.as_slice().chain(file);
    Ok(match sosreport::packing(&head) {
        Err(error) => (Err(error), Maker::Sos),
        Ok(Some(packing)) => (sosreport::read(whole, packing, shown), Maker::Sos),
        Ok(None) => (bundle::read(whole, shown), Maker::Hopline),
    })
}

/// As many as tell what a file is.
const HEAD_BYTES: u64 = 512;

fn hint(error: &bundle::ReadError, maker: Maker) -> String {
    let wrote = maker.command();
    let hint = match error {
        bundle::ReadError::Schema { .. } => {
            "read it with the version of hopline that made it, or a newer one"
        }
        bundle::ReadError::Bzip2 => "unpack it with `bunzip2 FILE`, and give the .tar that this leaves",
        bundle::ReadError::NoSosreport => {
            "give the archive as `sos report` wrote it, or the folder in it that has sos_commands"
        }
        bundle::ReadError::Damaged { .. }
        | bundle::ReadError::NoManifest
        | bundle::ReadError::Manifest { .. } => {
            return format!("take the file as `{wrote}` wrote it; it may have been cut off on its way");
        }
        bundle::ReadError::Path { .. }
        | bundle::ReadError::NotAFile { .. }
        | bundle::ReadError::Twice { .. }
        | bundle::ReadError::TooLarge { .. }
        | bundle::ReadError::Bomb { .. } => {
            return format!(
                "`{wrote}` writes no such thing: ask where the file comes from. Nothing was unpacked"
            );
        }
    };
    hint.to_owned()
}

/// Every machine of several bundles, which make one site. One that a bundle lacks may be in another; one that two have
/// would be told twice.
fn all_members(bundles: &[(&PathBuf, &Bundle)]) -> Result<Vec<Member>, Failure> {
    let mut found: Vec<(&PathBuf, Member)> = Vec::new();
    let mut lacking: Vec<Member> = Vec::new();
    for (path, member) in
        bundles.iter().flat_map(|(path, bundle)| bundle.members.iter().map(move |m| (*path, m)))
    {
        if member.outcome.is_err() {
            lacking.push(member.clone());
            continue;
        }
        // A host's further namespaces bear its name.
        let is_known = |(file, known): &&(&PathBuf, Member)| known.name == member.name && *file != path;
        if let Some((other, _)) = found.iter().find(is_known) {
            let (name, one, two) = (&member.name, other.display(), path.display());
            return Err(Failure::new(format!("`{name}` is in two bundles: {one} and {two}"))
                .hint("give one bundle of each host; for another moment, ask again with the other"));
        }
        found.push((path, member.clone()));
    }
    let mut members: Vec<Member> = found.into_iter().map(|(_, member)| member).collect();
    for member in lacking {
        if members.iter().all(|known| known.name != member.name) {
            members.push(member);
        }
    }
    Ok(members)
}

/// The machine that a site file looks for in a bundle. A sosreport is of one host, with all its namespaces, whatever it
/// calls itself.
fn named(site: &Site, machine: &Bundled, bundle: &Bundle) -> Result<Vec<Member>, Failure> {
    if bundle.is_sosreport && !machine.inside {
        let position = site.position(&machine.name);
        let members = sosreport::called(&machine.name, bundle.members.clone());
        let placed = members.into_iter().map(|member| of_role(Member { position, ..member }, &machine.role));
        return Ok(placed.collect());
    }
    let fits = |member: &&Member| member.name == machine.name && member.inside == machine.inside;
    let Some(member) = bundle.members.iter().find(fits) else {
        return Err(not_in_it(machine, bundle));
    };
    let member = Member { position: site.position(&machine.name), ..member.clone() };
    let mut member = of_role(member, &machine.role);
    if let Err(Missing { why, .. }) = &mut member.outcome {
        *why = format!("{}: {why}", machine.file.display());
    }
    Ok(vec![member])
}

/// The site file's word for what a host is counts more than the bundle's.
fn of_role(mut member: Member, role: &str) -> Member {
    if let (Ok(found), false) = (&mut member.outcome, role.is_empty())
        && let Some(host) = &mut found.host
    {
        role.clone_into(&mut host.role);
    }
    member
}

fn not_in_it(machine: &Bundled, bundle: &Bundle) -> Failure {
    let names = || bundle.members.iter().filter(|m| m.inside == machine.inside).map(|m| m.name.as_str());
    let failure =
        Failure::new(format!("there is no `{}` in the bundle {}", machine.name, machine.file.display()));
    match meant(&machine.name, names()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("it is of: {}", names().collect::<Vec<_>>().join(", "))),
    }
}
