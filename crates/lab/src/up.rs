//! `hopline lab up`: builds the lab, whole or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;

use sys::netns::NetnsFd;

use crate::await_lease::await_all;
use crate::down::{remove_everything, remove_failures};
use crate::error::{LabError, file};
use crate::nova::{conf, linux_net};
use crate::place::{Lab, MARKER, check_name, check_state, default_state, is_fixed_name, named_namespaces};
use crate::record::{self, Record};
use crate::rig::{HostNamespace, Rig, await_settled};
use crate::seed::{self, Seed};
use crate::shape::{GuestKind, Manager, Shape};
use crate::{guest, machine, manager, namespace, realm, servers, tools};

/// Every directory of a host's part of the state directory.
const HOST_DIRECTORIES: [&str; 10] = [
    "bin",
    "etc/nova",
    "etc/libvirt/qemu",
    "run/libvirt/qemu",
    "run/libvirt/network",
    "lib/libvirt/dnsmasq",
    "log",
    "networks",
    "instances",
    "memory",
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
    /// Manager, hosts, instances.
    pub shape: Shape,
    /// How many instances to begin with; `None` for two, and one more for each further host.
    pub instances: Option<u16>,
    /// URL of an empty database of a server; `None` for a SQLite file of the lab's own.
    pub database: Option<String>,
}

impl Options {
    /// The lab that the guide's chapter is about: one host, two instances.
    pub fn small(name: &str, hopline: PathBuf) -> Options {
        let name = name.to_owned();
        Options { name, state: None, hopline, shape: Shape::default(), instances: None, database: None }
    }
}

/// Builds the lab and waits until its instances have their addresses.
///
/// Refused where any part of a lab of this name exists. What was made is removed again on failure.
pub fn up(options: &Options) -> Result<Lab, LabError> {
    check_name(&options.name)?;
    options.shape.check()?;
    tools::check(&options.shape)?;
    let home = default_state(&options.name);
    let state = options.state.clone().unwrap_or_else(|| home.clone());
    let state = std::path::absolute(&state).map_err(file("find", state))?;
    check_state(&state)?;
    refuse_existing(&options.name, &home, &state)?;
    let here = NetnsFd::current().map_err(|source| LabError::Netns {
        attempted: "look at",
        netns: "that we are in".to_owned(),
        source,
    })?;
    let lab = Lab {
        name: options.name.clone(),
        state,
        hopline: options.hopline.clone(),
        shape: options.shape.clone(),
        database_url: options.database.clone(),
        home: here.inode(),
    };
    claim(&lab, &home)?;
    let seed = seed::plan(&lab, options.instances);
    let built = record::lock(&lab.name, &lab.state).and_then(|_lock| build(&lab, &seed));
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
    for netns in named_namespaces(name) {
        let is_ours =
            namespace::open_named(netns.clone()).and_then(|mut ns| namespace::is_marked(&mut ns, name));
        match is_ours {
            Ok(true) => return Err(exists(format!("network namespace {netns}"))),
            // A name that this lab would have one under, and not the lab's.
            Ok(false) | Err(_) if is_fixed_name(name, &netns) => {
                return Err(LabError::ForeignNamespace { netns });
            }
            Ok(false) | Err(_) => {}
        }
    }
    Ok(())
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
    if lab.state == home {
        put_into(parent, || match fs::create_dir(home) {
            // Empty, as was looked at before.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        })
        .map_err(file("make", home))?;
    } else {
        match put_into(parent, || symlink(&lab.state, home)) {
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

fn build(lab: &Lab, seed: &Seed) -> Result<(), LabError> {
    let Lab { hopline, shape, database_url, home, .. } = lab.clone();
    let mut record = Record { hopline, shape, database_url, home, faults: Vec::new(), complete: false };
    record::write(lab, &record)?;
    write_files(lab)?;
    let mut rig = Rig::create(lab)?;
    if lab.shape.manager == Manager::Vlan {
        refuse_without_vlans(&mut rig)?;
    }
    // The database takes as long as all the wiring.
    let (cloud, wired) = thread::scope(|scope| {
        let database = scope.spawn(|| seed::sow(lab, seed));
        // A bridge whose first port is not up yet says UNKNOWN ever after.
        let wired = rig.connect().and_then(|()| await_settled(rig.each()));
        (database.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), wired)
    });
    wired?;
    let cloud = cloud?;
    for HostNamespace { host, ns } in &rig.hosts {
        servers::start_libvirt_dnsmasq(lab, &host.name, ns, servers::Binding::EachInterface)?;
        if manager::runs(lab, &host.name, manager::Service::Metadata) {
            manager::metadata(host, ns)?;
            servers::start_metadata(lab, host, ns)?;
        }
    }
    servers::start_external(lab, &cloud, &rig.external)?;
    let cloud = manager::reconcile(lab, &mut rig)?;
    await_all(lab, &cloud)?;
    await_settled(rig.each())?;
    record.complete = true;
    record::write(lab, &record)
}

/// Tries it, since neither a list of modules nor one of options tells what a kernel can. On a bridge, since
/// loopback takes no VLANs on any kernel (`NETIF_F_VLAN_CHALLENGED`, drivers/net/loopback.c), and nothing else is
/// there yet; the VLAN device goes with it.
fn refuse_without_vlans(rig: &mut Rig) -> Result<(), LabError> {
    let ns = &mut rig.external;
    plumbing::bridge::create(ns, "trial", None)?;
    linux_net::make_vlan(ns, "vlan-trial", "trial", 1)?;
    Ok(plumbing::link::delete(ns, "trial")?)
}

fn write_files(lab: &Lab) -> Result<(), LabError> {
    for directory in ["netns", "guest", "external"] {
        make_directory(&lab.path(directory))?;
    }
    for host in lab.shape.hosts() {
        for directory in HOST_DIRECTORIES {
            make_directory(&lab.host_path(&host.name, directory))?;
        }
        let conf = lab.host_path(&host.name, "etc/nova/nova.conf");
        fs::write(&conf, conf::text(lab, &host)).map_err(file("write", conf))?;
        servers::write_host_files(lab, &host.name)?;
    }
    match lab.shape.guest {
        GuestKind::Netns => guest::write_scripts(lab),
        GuestKind::Qemu => machine::prepare(),
    }
}

/// Puts an entry into a folder, which is made where it is missing. `down` of another lab takes the folder of labs
/// away as long as nothing is in it, also between making it and putting the entry there; then it is made again.
fn put_into(folder: &Path, put: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match open_directory(folder).and_then(|()| put()) {
            Err(e) if e.kind() == ErrorKind::NotFound && folder.parent().is_some_and(Path::exists) => {}
            other => return other,
        }
    }
}

fn make_directory(path: &Path) -> Result<(), LabError> {
    open_directory(path).map_err(file("make", path))
}

/// Makes a directory that the user whom dnsmasq becomes can enter, whatever the umask.
fn open_directory(path: &Path) -> io::Result<()> {
    // That something exists there is also said of a directory which is gone when it is looked at.
    let is_gone_or_directory = |path: &Path| match path.symlink_metadata() {
        Ok(found) => found.is_dir(),
        Err(e) => e.kind() == ErrorKind::NotFound,
    };
    while let Err(e) = fs::create_dir_all(path) {
        if e.kind() != ErrorKind::AlreadyExists || !is_gone_or_directory(path) {
            return Err(e);
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_folder_that_another_lab_takes_away_meanwhile_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("labs");
        let goes_away = Cell::new(3);
        put_into(&folder, || {
            if goes_away.get() > 0 {
                goes_away.set(goes_away.get() - 1);
                fs::remove_dir(&folder)?;
            }
            fs::create_dir(folder.join("mine"))
        })
        .unwrap();
        assert!(folder.join("mine").is_dir());
        let refused = put_into(&folder, || fs::create_dir(folder.join("mine"))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    }

    /// Thousands of rounds, because the moment is a short one.
    #[test]
    fn a_folder_that_comes_and_goes_is_never_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("labs");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // Refused as long as something is in it.
                    let _ = fs::create_dir(&folder);
                    let _ = fs::remove_dir(&folder);
                }
            });
            let placed = (0..5_000).try_for_each(|_| {
                put_into(&folder, || fs::create_dir(folder.join("mine")))?;
                fs::remove_dir(folder.join("mine"))
            });
            is_over.store(true, Ordering::Relaxed);
            placed.unwrap();
        });
        fs::write(dir.path().join("file"), "").unwrap();
        let refused = open_directory(&dir.path().join("file")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    }
}
