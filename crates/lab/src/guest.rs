//! What is inside an instance that is a network namespace: its NICs' far ends, its DHCP client, whose words are
//! its console, and its servers.

use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use plumbing::{Namespace, address, link};

use crate::command::{command, run, start};
use crate::error::{LabError, file};
use crate::layout::{CONSOLE_LOG, GUEST_NIC};
use crate::nova::wanted::{HostInstance, Nic};
use crate::place::Lab;
use crate::servers::{start_web, write_page, write_script};
use crate::{namespace, process, whole_file};

/// What a resolv.conf of the lab's begins with.
const RESOLV_CONF_MARK: &str = "# hopline lab";

/// Names a server in the resolv.conf that programs in a namespace find (ip-netns(8)). One that somebody else wrote is
/// left alone, and the error says so.
pub(crate) fn write_resolv_conf(netns: &str, server: Ipv4Addr) -> Result<(), LabError> {
    let path = resolv_conf(netns);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(file("make", folder))?;
    }
    let mut new = File::create_new(&path).map_err(file("make", &path))?;
    writeln!(new, "{RESOLV_CONF_MARK}\nnameserver {server}").map_err(file("write", path))
}

/// Removes it, and the folders that are empty then, where the lab has written it.
pub(crate) fn remove_resolv_conf(netns: &str) -> Result<(), LabError> {
    let path = resolv_conf(netns);
    let is_ours = fs::read_to_string(&path).is_ok_and(|text| text.starts_with(RESOLV_CONF_MARK));
    if !is_ours {
        return Ok(());
    }
    whole_file::remove(&path)?;
    for folder in path.ancestors().skip(1).take(2) {
        // That it holds something else is no failure.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

fn resolv_conf(netns: &str) -> PathBuf {
    Path::new("/etc/netns").join(netns).join("resolv.conf")
}

/// Name of a NIC, seen from inside: eth0, eth1 and so on.
pub(crate) fn nic_name(at: usize) -> String {
    let family = GUEST_NIC.trim_end_matches('0');
    format!("{family}{at}")
}

/// Writes what every instance's boot runs.
pub(crate) fn write_scripts(lab: &Lab) -> Result<(), LabError> {
    write_script(&lab.path("guest/udhcpc.script"), include_str!("guest/udhcpc.script"))?;
    write_script(&lab.path("guest/cloud-setup"), include_str!("guest/cloud-setup"))?;
    write_script(&no_op_script(lab), include_str!("guest/no-op.script"))
}

/// A DHCP client's script that changes nothing.
pub(crate) fn no_op_script(lab: &Lab) -> PathBuf {
    lab.path("guest/no-op.script")
}

/// The instance boots: `directory` is its own, `console.log` in it its console.
pub(crate) fn boot(
    lab: &Lab,
    ns: &mut Namespace,
    directory: &Path,
    instance: &HostInstance,
) -> Result<(), LabError> {
    // It boots for the first time as far as it can remember.
    whole_file::remove(&directory.join("booted"))?;
    for at in 0..instance.nics.len() {
        link::set_up(ns, &nic_name(at))?;
        start_dhcp_client(lab, ns, directory, instance, at)?;
    }
    let www = directory.join("www");
    write_page(&www.join("index.html"), &format!("{}\n", instance.name))?;
    let log = directory.join("servers.log");
    start_web(ns, &www, &log)?;
    let banner = ["nc", "-ll", "-p", "22", "-e", "/bin/echo", "SSH-2.0-hopline_lab"];
    start(ns, command("busybox", banner), &log)?;
    Ok(())
}

/// Starts the DHCP client of a NIC, which stays to renew its lease.
fn start_dhcp_client(
    lab: &Lab,
    ns: &Namespace,
    directory: &Path,
    instance: &HostInstance,
    at: usize,
) -> Result<(), LabError> {
    let script = lab.path("guest/udhcpc.script").display().to_string();
    // Without -n and -b it asks for ever, as an instance's does.
    let nic = nic_name(at);
    let arguments = ["udhcpc", "-f", "-i", &nic, "-t", "5", "-T", "1", "-A", "1", "-s", &script];
    let mut client = command("busybox", arguments);
    client.env("INSTANCE_DIR", directory);
    client.env("CLOUD_SETUP", lab.path("guest/cloud-setup"));
    client.env("HOSTNAME", &instance.name);
    start(ns, client, &directory.join(CONSOLE_LOG))?;
    Ok(())
}

/// Lets an instance ask for an address once and change nothing, whatever the answer.
pub(crate) fn ask_for_an_address(lab: &Lab, ns: &Namespace) -> Result<(), LabError> {
    let script = no_op_script(lab).display().to_string();
    let arguments =
        ["udhcpc", "-f", "-n", "-q", "-i", GUEST_NIC, "-t", "1", "-T", "1", "-s", script.as_str()];
    match run(ns, command("busybox", arguments), "") {
        // It ends so where it gets no address.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// What the instance's operating system does when its first NIC comes back: forgets the address and asks anew.
pub(crate) fn restart_dhcp_client(
    lab: &Lab,
    host: &str,
    ns: &mut Namespace,
    instance: &HostInstance,
) -> Result<(), LabError> {
    process::end_every(&[ns.inode()], |process| process.mentions("udhcpc"))?;
    if let Some(net) = instance.nics.first().and_then(Nic::fixed_net)
        && address::exists(ns, net)?
    {
        address::delete(ns, GUEST_NIC, net)?;
    }
    start_dhcp_client(lab, ns, &lab.instance_dir(host, &instance.uuid), instance, 0)
}

/// Whether the instance's namespace is there.
fn is_there(lab: &Lab, name: &str) -> bool {
    let netns = lab.netns(name);
    sys::netns::list_named().contains(&netns) && namespace::is_noted(&lab.state, &netns)
}

/// The instance is switched off: nothing runs any more, and the NICs go, and with them the taps.
pub(crate) fn destroy(lab: &Lab, name: &str) -> Result<(), LabError> {
    if !is_there(lab, name) {
        return Ok(());
    }
    // Killed between making the name and binding the namespace to it: nothing is inside.
    if let Ok(mut ns) = namespace::open(lab, name) {
        process::end_every(&[ns.inode()], |_| true)?;
        // The kernel takes a namespace apart when it finds the time; the taps are to go now.
        let mut at = 0;
        while link::exists(&mut ns, &nic_name(at))? {
            link::delete(&mut ns, &nic_name(at))?;
            at += 1;
        }
    }
    namespace::delete_of(lab, name)
}
