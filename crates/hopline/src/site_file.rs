//! The site file: which machines make up the site, and how each is reached.
//!
//! Keys are checked before anything is read from them, so that a typo is answered with its line
//! and the key that was probably meant, and never with a silent default.

mod database;
mod keys;
mod names;

use std::io::Read;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use cloud::{DatabaseUrl, InstanceEntry};
use collect::{At, MachinePlan};
use model::{Mac, few};
use serde::Deserialize;
use toml::Spanned;

use crate::failure::Failure;

/// A site file is written by hand; anything larger is another file by mistake.
const BYTES_MAX: u64 = 1 << 20;

/// What a site consists of.
#[derive(Debug)]
pub(crate) struct Site {
    /// Hosts, then the instances that can be entered, in the file's order: those that can be looked into now.
    pub(crate) machines: Vec<MachinePlan>,
    /// Those whose facts are in a bundle.
    pub(crate) bundled: Vec<Bundled>,
    /// Bundles that make up the site, in place of a site file.
    pub(crate) bundles: Vec<PathBuf>,
    /// The files that all this is read from, where they are known by name: none of them is ever written over.
    pub(crate) files: Vec<PathBuf>,
    /// The names of all machines, in the file's order.
    order: Vec<String>,
    /// Instances that the file itself tells of.
    pub(crate) instances: Vec<InstanceEntry>,
    /// The cloud's database, where the file names one.
    pub(crate) database: Option<DatabaseUrl>,
}

/// A machine whose facts are in a bundle.
#[derive(Debug)]
pub(crate) struct Bundled {
    pub(crate) name: String,
    /// Empty for what the bundle says.
    pub(crate) role: String,
    /// It is the inside of an instance.
    pub(crate) inside: bool,
    pub(crate) file: PathBuf,
}

impl Site {
    /// The site that these bundles make up.
    pub(crate) fn of_bundles(bundles: Vec<PathBuf>) -> Site {
        Site {
            machines: Vec::new(),
            bundled: Vec::new(),
            files: bundles.clone(),
            bundles,
            order: Vec::new(),
            instances: Vec::new(),
            database: None,
        }
    }

    /// A machine's place in the file.
    pub(crate) fn position(&self, name: &str) -> usize {
        self.order.iter().position(|known| known == name).unwrap_or(self.order.len())
    }

    /// The files that it is known from, as a message names them.
    pub(crate) fn named_bundles(&self) -> String {
        let mut files: Vec<String> = self.bundles.iter().map(|file| file.display().to_string()).collect();
        files.extend(self.bundled.iter().map(|machine| machine.file.display().to_string()));
        files.sort();
        files.dedup();
        few::named(&files)
    }

    /// Some of it is known from files alone, so nothing is asked for real.
    pub(crate) fn is_offline(&self) -> bool {
        !self.bundled.is_empty() || !self.bundles.is_empty()
    }
}

#[derive(Deserialize)]
struct SiteTable {
    #[serde(default)]
    host: Vec<HostTable>,
    #[serde(default)]
    instance: Vec<InstanceTable>,
    cloud: Option<CloudTable>,
}

#[derive(Deserialize)]
struct HostTable {
    name: Spanned<String>,
    at: Spanned<String>,
    #[serde(default)]
    role: String,
    nova_conf: Option<PathBuf>,
    libvirt: Option<PathBuf>,
    dnsmasq_log: Option<PathBuf>,
    console_logs: Option<PathBuf>,
}

#[derive(Deserialize)]
struct InstanceTable {
    name: Spanned<String>,
    host: Option<Spanned<String>>,
    device: Option<String>,
    mac: Option<Mac>,
    #[serde(default)]
    addresses: Vec<Ipv4Addr>,
    #[serde(default)]
    floating: Vec<Ipv4Addr>,
    at: Option<Spanned<String>>,
}

#[derive(Deserialize)]
struct CloudTable {
    kind: Spanned<String>,
    database: Option<Spanned<String>>,
}

/// The site that was asked for; else the first file of the usual places; else this machine.
pub(crate) fn find(asked: Option<&Path>) -> Result<Site, Failure> {
    path(asked).map_or_else(this_machine, |path| read(&path))
}

/// The file that tells of the site. `None` where there is none.
pub(crate) fn path(asked: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = asked {
        return Some(path.to_owned());
    }
    let home = std::env::home_dir().map(|home| home.join(".config/hopline/site.toml"));
    let places = [Some("site.toml".into()), home, Some("/etc/hopline/site.toml".into())];
    places.into_iter().flatten().find(|place: &PathBuf| place.exists())
}

fn read(path: &Path) -> Result<Site, Failure> {
    let cannot = |why: String| {
        Failure::new(format!("cannot read the site file {}: {why}", path.display()))
            .hint("`--site FILE` names another; docs/contract.md shows how one is written")
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| cannot(e.to_string()))?;
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|e| cannot(e.to_string()))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(cannot(format!("it is larger than {BYTES_MAX} bytes")));
    }
    parse(path, &text)
}

/// The machine that hopline runs on, with whatever is found on it.
fn this_machine() -> Result<Site, Failure> {
    let source = "/proc/sys/kernel/hostname";
    let name = std::fs::read_to_string(source)
        .map_err(|e| Failure::new(format!("cannot read this machine's name from {source}: {e}")))?;
    let host = MachinePlan {
        name: name.trim().to_owned(),
        role: "compute".to_owned(),
        at: At::Local,
        instance: false,
        nova_conf: None,
        libvirt: None,
        dnsmasq_log: None,
        console_logs: None,
    };
    let order = vec![host.name.clone()];
    let (bundled, bundles, files) = (Vec::new(), Vec::new(), Vec::new());
    Ok(Site { machines: vec![host], bundled, bundles, files, order, instances: Vec::new(), database: None })
}

/// A site file's text with its name, for messages and for what is relative to it.
pub(crate) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// A failure at a place of the file.
    fn failure(&self, span: &Range<usize>, what: impl std::fmt::Display) -> Failure {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        Failure::new(format!("site file {}, line {line}: {what}", self.path.display()))
    }

    /// A path as the file means it: from the file's own folder.
    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

fn parse(path: &Path, text: &str) -> Result<Site, Failure> {
    let source = Source { path, text };
    let syntax = |e: toml::de::Error| source.failure(&e.span().unwrap_or(0..0), e.message());
    keys::check(&source, toml::de::DeTable::parse(text).map_err(syntax)?.get_ref())?;
    let table: SiteTable = toml::from_str(text).map_err(syntax)?;
    names::check(&source, &table)?;
    let hosts = table.host.iter().map(|host| host_place(&source, host));
    let inside = table.instance.iter().filter_map(|instance| inside_place(&source, instance));
    let (mut machines, mut bundled, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for place in hosts.chain(inside) {
        match place? {
            Place::Now(plan) => {
                order.push(plan.name.clone());
                machines.push(plan);
            }
            Place::Bundle(machine) => {
                order.push(machine.name.clone());
                bundled.push(machine);
            }
        }
    }
    let database = table.cloud.as_ref().map(|cloud| database::of(&source, cloud)).transpose()?.flatten();
    let files = files(&source, &table, (&machines, &bundled), database.as_ref());
    let instances = table.instance.into_iter().map(instance_entry).collect();
    Ok(Site { machines, bundled, bundles: Vec::new(), files, order, instances, database })
}

/// The file itself, and those that it names. Of a folder's files none is known by name.
fn files(
    source: &Source<'_>,
    table: &SiteTable,
    (machines, bundled): (&[MachinePlan], &[Bundled]),
    database: Option<&DatabaseUrl>,
) -> Vec<PathBuf> {
    let mut files = vec![source.path.to_owned()];
    files.extend(machines.iter().flat_map(|plan| [&plan.nova_conf, &plan.dnsmasq_log]).flatten().cloned());
    files.extend(bundled.iter().map(|machine| machine.file.clone()));
    files.extend(table.cloud.as_ref().and_then(|cloud| database::nova_conf(source, cloud)));
    files.extend(database.and_then(DatabaseUrl::file).map(Path::to_owned));
    files
}

/// Where a machine's facts are.
enum Place {
    Now(MachinePlan),
    Bundle(Bundled),
}

fn host_place(source: &Source<'_>, host: &HostTable) -> Result<Place, Failure> {
    let beside = |path: &Option<PathBuf>| path.as_ref().map(|p| source.beside(p));
    let (name, role) = (host.name.get_ref().clone(), host.role.clone());
    let at = match at(source, &host.at)? {
        Way::Bundle(file) => return Ok(Place::Bundle(Bundled { name, role, inside: false, file })),
        Way::Now(at) => at,
    };
    Ok(Place::Now(MachinePlan {
        name,
        role,
        at,
        instance: false,
        nova_conf: beside(&host.nova_conf),
        libvirt: beside(&host.libvirt),
        dnsmasq_log: beside(&host.dnsmasq_log),
        console_logs: beside(&host.console_logs),
    }))
}

/// The inside of an instance, where the file says how it is entered.
fn inside_place(source: &Source<'_>, instance: &InstanceTable) -> Option<Result<Place, Failure>> {
    let name = instance.name.get_ref().clone();
    let entered = at(source, instance.at.as_ref()?);
    Some(entered.map(|way| match way {
        Way::Bundle(file) => Place::Bundle(Bundled { name, role: String::new(), inside: true, file }),
        Way::Now(at) => Place::Now(MachinePlan {
            name,
            role: "instance".to_owned(),
            at,
            instance: true,
            nova_conf: None,
            libvirt: None,
            dnsmasq_log: None,
            console_logs: None,
        }),
    }))
}

fn instance_entry(instance: InstanceTable) -> InstanceEntry {
    InstanceEntry {
        name: instance.name.into_inner(),
        host: instance.host.map(Spanned::into_inner),
        device: instance.device,
        mac: instance.mac,
        addresses: instance.addresses,
        floating: instance.floating,
        at_given: instance.at.is_some(),
    }
}

/// How a machine's facts are come by.
enum Way {
    Now(At),
    Bundle(PathBuf),
}

/// `local`, `netns:NAME`, `bundle:FILE`; the contract's other forms are answered with what they wait for.
fn at(source: &Source<'_>, at: &Spanned<String>) -> Result<Way, Failure> {
    let text = at.get_ref().as_str();
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    let forms = "`local`, `netns:NAME` and `bundle:FILE` can be reached";
    match (kind, rest) {
        ("local", "") if text == "local" => Ok(Way::Now(At::Local)),
        ("netns", name) if !name.is_empty() && !name.contains('/') => {
            Ok(Way::Now(At::Netns(name.to_owned())))
        }
        ("netns", _) => {
            let what = format!("`{text}` names no network namespace");
            Err(source.failure(&at.span(), what).hint("write `netns:NAME`; `ip netns list` shows the names"))
        }
        ("bundle", file) if !file.is_empty() => Ok(Way::Bundle(source.beside(Path::new(file)))),
        ("bundle", _) => {
            let what = format!("`{text}` names no bundle");
            let hint = "write `bundle:FILE.tar.zst`; `hopline collect -o FILE.tar.zst` makes one";
            Err(source.failure(&at.span(), what).hint(hint))
        }
        ("ssh" | "nats", _) => {
            let what = format!("`at = \"{text}\"`: {kind} is not yet in this version");
            Err(source.failure(&at.span(), what).hint(format!("so far {forms}")))
        }
        _ => {
            let what = format!("`{text}` is no way to reach a machine");
            Err(source.failure(&at.span(), what).hint(forms))
        }
    }
}

#[cfg(test)]
mod tests;
