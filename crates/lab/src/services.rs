//! The programs that are not nova's: what runs in the instances and on the external server, libvirt's
//! dnsmasq, and the metadata service.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use plumbing::Namespace;
use plumbing::address;

use crate::command::{command, run, start};
use crate::error::{LabError, file};
use crate::layout::{
    COMPUTE, EXTERNAL, GUEST_NIC, HOST_PUBLIC, INSTANCES, Instance, LIBVIRT_ADDRESS, METADATA_PORT,
    PUBLIC_GATEWAY, ZONE,
};
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::process;

/// Where the EC2-style metadata of an instance is.
const METADATA_PATH: &str = "2009-04-04/meta-data/instance-id";

/// Writes the scripts and the pages that the servers serve.
pub(crate) fn write_files(lab: &Lab) -> Result<(), LabError> {
    write_script(&lab.path("bin/udhcpc.script"), include_str!("services/udhcpc.script"))?;
    write_script(&lab.path("bin/cloud-setup"), include_str!("services/cloud-setup"))?;
    write_script(&no_op_script(lab), include_str!("services/no-op.script"))?;
    write_script(
        &lab.path("bin/nova-dhcpbridge"),
        &format!(
            "#!/bin/sh\nexec {} lab dhcpbridge --state {} \"$@\"\n",
            crate::env::shell_quote(&lab.hopline.display().to_string()),
            lab.state.display()
        ),
    )?;
    write_page(&lab.path("metadata").join(METADATA_PATH), "i-00000001")?;
    write_page(&lab.path("www/external/index.html"), "the external server\n")?;
    for instance in INSTANCES {
        write_page(&web_root(lab, &instance).join("index.html"), &format!("{}\n", instance.name))?;
    }
    Ok(())
}

/// A DHCP client's script that changes nothing.
pub(crate) fn no_op_script(lab: &Lab) -> PathBuf {
    lab.path("bin/no-op.script")
}

/// libvirt's dnsmasq for its default network, with the argument list of libvirt 0.9. Only the user and
/// the log are the lab's: no package has made the user, and no syslogd listens.
pub(crate) fn start_libvirt_dnsmasq(lab: &Lab, compute: &Namespace) -> Result<(), LabError> {
    let arguments = vec![
        "--strict-order".to_owned(),
        "--bind-interfaces".to_owned(),
        format!("--pid-file={}", lab.path("run/libvirt/network/default.pid").display()),
        "--conf-file=".to_owned(),
        "--except-interface".to_owned(),
        "lo".to_owned(),
        "--listen-address".to_owned(),
        LIBVIRT_ADDRESS.addr().to_string(),
        "--dhcp-range".to_owned(),
        "192.168.122.2,192.168.122.254".to_owned(),
        format!("--dhcp-leasefile={}", lab.path("lib/libvirt/dnsmasq/default.leases").display()),
        "--dhcp-lease-max=253".to_owned(),
        "--dhcp-no-override".to_owned(),
        format!("--log-facility={}", lab.path("log/libvirt-dnsmasq.log").display()),
    ];
    run(compute, dnsmasq::program(lab, arguments), "")
}

/// nova-api-metadata, as far as an instance's boot asks.
pub(crate) fn start_metadata(lab: &Lab, compute: &Namespace) -> Result<(), LabError> {
    let address = format!("{}:{METADATA_PORT}", HOST_PUBLIC.addr());
    let root = lab.path("metadata").display().to_string();
    let httpd = command("busybox", ["httpd", "-f", "-p", &address, "-h", &root]);
    start(compute, httpd, &lab.path("log/metadata.log"))
}

/// The external server: DNS with forward and reverse zones, and the web.
pub(crate) fn start_external(lab: &Lab, external: &Namespace) -> Result<(), LabError> {
    let address = EXTERNAL.addr();
    let mut arguments = vec![
        "--bind-interfaces".to_owned(),
        "--conf-file=".to_owned(),
        format!("--pid-file={}", lab.path("run/external-dns.pid").display()),
        format!("--listen-address={address}"),
        "--except-interface=lo".to_owned(),
        "--no-hosts".to_owned(),
        "--no-resolv".to_owned(),
        format!("--local=/{ZONE}/"),
        "--local=/4.3.2.1.in-addr.arpa/".to_owned(),
        "--local=/113.0.203.in-addr.arpa/".to_owned(),
        format!("--host-record={ZONE},{address}"),
        format!("--host-record=ext.{ZONE},{address}"),
        format!("--host-record=gw.{ZONE},{}", PUBLIC_GATEWAY.addr()),
        format!("--host-record={COMPUTE}.{ZONE},{}", HOST_PUBLIC.addr()),
        format!("--log-facility={}", lab.path("log/external-dns.log").display()),
    ];
    let floating = INSTANCES.iter().filter_map(|i| i.floating.map(|ip| (i.name, ip)));
    arguments.extend(floating.map(|(name, ip)| format!("--host-record={name}.{ZONE},{ip}")));
    run(external, dnsmasq::program(lab, arguments), "")?;
    start_web(lab, external, &lab.path("www/external"))
}

/// An instance boots: its DHCP client, whose words are its console, and the servers in it.
pub(crate) fn boot(lab: &Lab, guest: &Namespace, instance: &Instance) -> Result<(), LabError> {
    start_dhcp_client(lab, guest, instance)?;
    start_web(lab, guest, &web_root(lab, instance))?;
    let banner = ["nc", "-ll", "-p", "22", "-e", "/bin/echo", "SSH-2.0-hopline_lab"];
    start(guest, command("busybox", banner), &lab.path("log/instances.log"))
}

/// Starts the instance's DHCP client, which stays to renew its lease.
fn start_dhcp_client(lab: &Lab, guest: &Namespace, instance: &Instance) -> Result<(), LabError> {
    let script = lab.path("bin/udhcpc.script").display().to_string();
    // Without -n and -b it asks for ever, as an instance's does.
    let arguments = ["udhcpc", "-f", "-i", GUEST_NIC, "-t", "5", "-T", "1", "-A", "1", "-s", &script];
    let mut client = command("busybox", arguments);
    client.env("INSTANCE_DIR", lab.instance_dir(instance));
    client.env("CLOUD_SETUP", lab.path("bin/cloud-setup"));
    client.env("HOSTNAME", instance.name);
    start(guest, client, &lab.instance_dir(instance).join("console.log"))
}

/// Lets an instance ask for an address once and change nothing, whatever the answer.
pub(crate) fn ask_for_an_address(lab: &Lab, guest: &Namespace) -> Result<(), LabError> {
    let script = no_op_script(lab).display().to_string();
    let arguments =
        ["udhcpc", "-f", "-n", "-q", "-i", GUEST_NIC, "-t", "1", "-T", "1", "-s", script.as_str()];
    match run(guest, command("busybox", arguments), "") {
        // It ends so where it gets no address.
        Ok(()) | Err(LabError::Program { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// What the instance's operating system does when its NIC comes back: forgets the address and asks anew.
pub(crate) fn restart_dhcp_client(
    lab: &Lab,
    guest: &mut Namespace,
    instance: &Instance,
) -> Result<(), LabError> {
    process::end_every(&[guest.inode()], |process| process.mentions("udhcpc"))?;
    address::delete(guest, GUEST_NIC, instance.fixed_net())?;
    start_dhcp_client(lab, guest, instance)
}

fn start_web(lab: &Lab, ns: &Namespace, root: &Path) -> Result<(), LabError> {
    let root = root.display().to_string();
    start(ns, command("busybox", ["httpd", "-f", "-p", "80", "-h", &root]), &lab.path("log/web.log"))
}

fn web_root(lab: &Lab, instance: &Instance) -> PathBuf {
    lab.path("www").join(instance.name)
}

fn write_page(path: &Path, text: &str) -> Result<(), LabError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(file("make", parent))?;
    }
    fs::write(path, text).map_err(file("write", path))
}

fn write_script(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(file("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(file("make executable", path))
}
