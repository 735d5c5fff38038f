//! `hopline lab up`: builds the lab, whole or not at all.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plumbing::Namespace;
use plumbing::address;
use plumbing::route::{self, DEFAULT};

use crate::down::{remove_everything, remove_failures};
use crate::error::{LabError, file};
use crate::layout::{INSTANCES, Instance, WEB1, WEB2};
use crate::namespace;
use crate::nova::{conf, database, dnsmasq, domain_xml, iptables, ruleset};
use crate::place::{Lab, MARKER, check_name, check_state, default_state, named_namespaces};
use crate::record::{self, Record};
use crate::wiring::{self, Namespaces};
use crate::{realm, services, site, tools};

/// How long instances may take to get their addresses.
const DHCP_DEADLINE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);

/// Every directory of the state directory.
const DIRECTORIES: [&str; 8] = [
    "bin",
    "etc/nova",
    "etc/libvirt/qemu",
    "run/libvirt/qemu",
    "run/libvirt/network",
    "lib/libvirt/dnsmasq",
    "log",
    "networks",
];

/// What `up` is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The lab's name.
    pub name: String,
    /// State directory; `None` for the default.
    pub state: Option<PathBuf>,
    /// The running executable, which dnsmasq's script calls as `HOPLINE lab dhcpbridge`.
    pub hopline: PathBuf,
}

/// Builds the lab and waits until both instances have their addresses.
///
/// Refused where any part of a lab of this name exists. What was made is removed again on failure.
pub fn up(options: &Options) -> Result<Lab, LabError> {
    check_name(&options.name)?;
    tools::check()?;
    let home = default_state(&options.name);
    let state = options.state.clone().unwrap_or_else(|| home.clone());
    let state = std::path::absolute(&state).map_err(file("find", state))?;
    check_state(&state)?;
    refuse_existing(&options.name, &home, &state)?;
    let lab = Lab { name: options.name.clone(), state, hopline: options.hopline.clone() };
    claim(&lab, &home)?;
    let built = record::lock(&lab).and_then(|_lock| build(&lab));
    let Err(first) = built else { return Ok(lab) };
    match remove_everything(&lab.name, &lab.state) {
        Ok(_) => Err(first),
        Err(failures) => Err(LabError::HalfBuilt {
            name: lab.name.clone(),
            first: Box::new(first),
            rest: remove_failures(&failures),
        }),
    }
}

/// Fails if a lab of this name exists, even half, or if something else is in its place.
fn refuse_existing(name: &str, home: &Path, state: &Path) -> Result<(), LabError> {
    let exists = |found: String| LabError::Exists { name: name.to_owned(), found };
    if home.is_symlink() {
        return Err(exists(home.display().to_string()));
    }
    for path in [home, state] {
        if record::marker(path)?.is_some() {
            return Err(exists(path.display().to_string()));
        }
        if !is_empty_or_absent(path)? {
            return Err(LabError::ForeignState { path: path.to_owned() });
        }
    }
    let Some(netns) = named_namespaces(name).into_iter().next() else { return Ok(()) };
    let mut found = namespace::open_named(netns.clone())?;
    if namespace::is_marked(&mut found, name)? {
        return Err(exists(format!("network namespace {netns}")));
    }
    Err(LabError::ForeignNamespace { netns })
}

fn is_empty_or_absent(path: &Path) -> Result<bool, LabError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e) => Err(file("look into", path)(e)),
    }
}

/// Makes the state directory with its marker; from here on `down` knows the lab. A state directory
/// of one's own choice gets a symbolic link in the default place, by which it is found by name.
fn claim(lab: &Lab, home: &Path) -> Result<(), LabError> {
    let parent = home.parent().unwrap_or(Path::new("/"));
    make_directory(parent)?;
    if lab.state != home {
        match symlink(&lab.state, home) {
            // A link left by a lab whose directory is gone, or another `up` at this moment.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let found = home.display().to_string();
                return Err(LabError::Exists { name: lab.name.clone(), found });
            }
            other => other.map_err(file("link", home))?,
        }
    }
    make_directory(&lab.state)?;
    let marker = lab.path(MARKER);
    match File::create_new(&marker) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return Err(LabError::Exists { name: lab.name.clone(), found: marker.display().to_string() });
        }
        other => drop(other.map_err(file("create", &marker))?),
    }
    fs::write(&marker, format!("{}\n", lab.name)).map_err(file("write", marker))?;
    realm::note(lab)
}

fn build(lab: &Lab) -> Result<(), LabError> {
    write_files(lab)?;
    let mut record = Record { hopline: lab.hopline.clone(), faults: Vec::new(), complete: false };
    record::write(lab, &record)?;
    let mut all = wiring::create_namespaces(lab)?;
    // The database takes as long as all the wiring.
    std::thread::scope(|scope| {
        let database = scope.spawn(|| database::create(&lab.database()));
        let wired =
            wiring::connect(&mut all).and_then(|()| iptables::apply(&all.compute, &ruleset::healthy()));
        let created = database.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        wired.and(created)
    })?;
    start_programs(lab, &all)?;
    await_working(lab, &mut all)?;
    record.complete = true;
    record::write(lab, &record)
}

fn write_files(lab: &Lab) -> Result<(), LabError> {
    for directory in DIRECTORIES {
        make_directory(&lab.path(directory))?;
    }
    for instance in INSTANCES {
        make_directory(&lab.instance_dir(&instance))?;
        let name = format!("{}.xml", instance.libvirt_name());
        write(lab, &format!("etc/libvirt/qemu/{name}"), &domain_xml::persistent(lab, &instance))?;
        write(lab, &format!("run/libvirt/qemu/{name}"), &domain_xml::live(lab, &instance))?;
    }
    write(lab, "etc/nova/nova.conf", &conf::text(lab))?;
    write(lab, "site.toml", &site::text(lab))?;
    dnsmasq::write_files(lab)?;
    services::write_files(lab)
}

fn start_programs(lab: &Lab, all: &Namespaces) -> Result<(), LabError> {
    dnsmasq::start(lab, &all.compute, &dnsmasq::healthy())?;
    services::start_libvirt_dnsmasq(lab, &all.compute)?;
    services::start_metadata(lab, &all.compute)?;
    services::start_external(lab, &all.external)?;
    services::boot(lab, &all.web1, &WEB1)?;
    services::boot(lab, &all.web2, &WEB2)
}

/// Waits until every link has settled and both instances have their addresses.
pub(crate) fn await_working(lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    await_address(lab, &mut all.web1, &WEB1)?;
    await_address(lab, &mut all.web2, &WEB2)?;
    wiring::await_settled(all)
}

/// Waits until an instance's DHCP client has set its address and its way out, and nova's database knows
/// of the lease.
fn await_address(lab: &Lab, guest: &mut Namespace, instance: &Instance) -> Result<(), LabError> {
    let deadline = Instant::now() + DHCP_DEADLINE;
    let mac = instance.mac.to_string();
    while !(address::exists(guest, instance.fixed_net())?
        && route::exists(guest, DEFAULT)?
        && database::leases(&lab.database())?.iter().any(|lease| lease.mac == mac))
    {
        if Instant::now() >= deadline {
            return Err(LabError::Timeout {
                seconds: DHCP_DEADLINE.as_secs(),
                awaited: format!("{} to get {} by DHCP", instance.name, instance.fixed),
                log: dnsmasq::log_file(lab),
            });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn write(lab: &Lab, relative: &str, text: &str) -> Result<(), LabError> {
    let path = lab.path(relative);
    fs::write(&path, text).map_err(file("write", path))
}

/// Makes a directory that the user whom dnsmasq becomes can enter, whatever the umask.
fn make_directory(path: &Path) -> Result<(), LabError> {
    fs::create_dir_all(path).map_err(file("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(file("open up", path))
}
