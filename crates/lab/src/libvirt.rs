//! libvirt's part on a compute host: domains defined, started with taps of its choice, destroyed.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use plumbing::veth::{End, plug};
use plumbing::{Namespace, bridge, link};
use vm::NicDriver;

use crate::error::{LabError, file};
use crate::layout::Host;
use crate::nova::domain_xml;
use crate::nova::wanted::{HostInstance, Nic};
use crate::place::Lab;
use crate::shape::GuestKind;
use crate::{guest, machine, namespace, whole_file};

/// A domain's XML in libvirt's folder of running domains; absent where it does not run.
pub(crate) fn live_file(lab: &Lab, host: &str, domain: &str) -> PathBuf {
    lab.host_path(host, "run/libvirt/qemu").join(format!("{domain}.xml"))
}

fn persistent_file(lab: &Lab, host: &str, domain: &str) -> PathBuf {
    lab.host_path(host, "etc/libvirt/qemu").join(format!("{domain}.xml"))
}

/// The host that has the domain, running or not, whatever the database says.
pub(crate) fn host_of<'h>(lab: &Lab, hosts: &'h [Host], domain: &str) -> Option<&'h str> {
    let mut hosts = hosts.iter().map(|host| host.name.as_str());
    hosts.find(|host| persistent_file(lab, host, domain).exists())
}

/// Names of the taps of a running domain, one a NIC; none where it does not run.
pub(crate) fn taps(lab: &Lab, host: &str, domain: &str) -> Result<Vec<String>, LabError> {
    let path = live_file(lab, host, domain);
    match fs::read_to_string(&path) {
        Ok(live) => Ok(domain_xml::taps_of(&live)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(file("read", path)(e)),
    }
}

/// Defines the domain and starts it, unless it runs.
pub(crate) fn ensure_running(
    lab: &Lab,
    host: &str,
    ns: &mut Namespace,
    instance: &HostInstance,
) -> Result<(), LabError> {
    ensure_running_with(lab, host, ns, instance, NicDriver::Present)
}

/// The same, from an image that may lack its NIC's driver; that matters to machines alone.
pub(crate) fn ensure_running_with(
    lab: &Lab,
    host: &str,
    ns: &mut Namespace,
    instance: &HostInstance,
    driver: NicDriver,
) -> Result<(), LabError> {
    let directory = lab.instance_dir(host, &instance.uuid);
    fs::create_dir_all(&directory).map_err(file("make", &directory))?;
    let defined = persistent_file(lab, host, &instance.domain());
    fs::write(&defined, domain_xml::persistent(lab, host, instance)).map_err(file("write", defined))?;
    let live = live_file(lab, host, &instance.domain());
    if live.exists() {
        return Ok(());
    }
    // What an attempt that was killed has left.
    end(lab, host, ns, instance)?;
    let live = live_file(lab, host, &instance.domain());
    let taps = free_taps(lab, host, instance.nics.len())?;
    let pid = match lab.shape.guest {
        GuestKind::Netns => {
            start_namespace(lab, ns, &directory, instance, &taps)?;
            0
        }
        GuestKind::Qemu => machine::start(ns, &directory, instance, &taps, driver)?,
    };
    let text = domain_xml::live(lab, host, instance, &taps, pid);
    fs::write(&live, text).map_err(file("write", live))
}

/// vnet0, vnet1 and so on: the lowest that are free (libvirt `virNetDevGenerateName`, up to Mitaka's nova).
fn free_taps(lab: &Lab, host: &str, count: usize) -> Result<Vec<String>, LabError> {
    let folder = lab.host_path(host, "run/libvirt/qemu");
    let mut taken = BTreeSet::new();
    for entry in fs::read_dir(&folder).map_err(file("list", &folder))? {
        let path = entry.map_err(file("list", &folder))?.path();
        let live = fs::read_to_string(&path).map_err(file("read", &path))?;
        taken.extend(domain_xml::taps_of(&live));
    }
    let names = (0..).map(|number| format!("vnet{number}"));
    Ok(names.filter(|name| !taken.contains(name)).take(count).collect())
}

fn start_namespace(
    lab: &Lab,
    host_ns: &mut Namespace,
    directory: &Path,
    instance: &HostInstance,
    taps: &[String],
) -> Result<(), LabError> {
    let mut inside = namespace::create(lab, &instance.name)?;
    for (at, (nic, tap)) in instance.nics.iter().zip(taps).enumerate() {
        plug_in(host_ns, &mut inside, nic, tap, &guest::nic_name(at))?;
    }
    guest::boot(lab, &mut inside, directory, instance)
}

/// A cable from an instance's NIC to its bridge, both ends up. What there is of it already stays.
pub(crate) fn plug_in(
    host_ns: &mut Namespace,
    inside: &mut Namespace,
    nic: &Nic,
    tap: &str,
    name: &str,
) -> Result<(), LabError> {
    if !link::exists(host_ns, tap)? {
        plug(
            &mut End { ns: host_ns, link: tap, mac: Some(nic.tap_mac()), index: None },
            &End { ns: inside, link: name, mac: Some(nic.mac), index: None },
        )?;
    }
    enslave_tap(host_ns, nic, tap)?;
    link::set_up(host_ns, tap)?;
    Ok(link::set_up(inside, name)?)
}

/// Puts an instance's tap into its bridge, with hairpin mode.
pub(crate) fn enslave_tap(host_ns: &mut Namespace, nic: &Nic, tap: &str) -> Result<(), LabError> {
    link::enslave(host_ns, tap, &nic.bridge.name)?;
    Ok(bridge::set_hairpin(host_ns, tap)?)
}

/// Switches the domain off, if it runs or was about to. Its XML goes first, as it comes last: what is killed in
/// between is started anew where it is to run.
pub(crate) fn destroy(
    lab: &Lab,
    host: &str,
    ns: &mut Namespace,
    instance: &HostInstance,
) -> Result<(), LabError> {
    whole_file::remove(&live_file(lab, host, &instance.domain()))?;
    end(lab, host, ns, instance)
}

fn end(lab: &Lab, host: &str, ns: &Namespace, instance: &HostInstance) -> Result<(), LabError> {
    match lab.shape.guest {
        GuestKind::Netns => guest::destroy(lab, &instance.name),
        GuestKind::Qemu => machine::stop(lab, ns, host, instance),
    }
}

/// Forgets the domain and removes the instance's directory, console and all.
pub(crate) fn undefine(lab: &Lab, host: &str, instance: &HostInstance) -> Result<(), LabError> {
    let defined = persistent_file(lab, host, &instance.domain());
    let directory = lab.instance_dir(host, &instance.uuid);
    for (path, gone) in [(&defined, fs::remove_file(&defined)), (&directory, fs::remove_dir_all(&directory))]
    {
        match gone {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(file("remove", path)(e)),
            _ => {}
        }
    }
    Ok(())
}
