//! The site file: how hopline reaches the lab's hosts. Written anew when instances come and go.

use std::fmt::Write;
use std::fs;

use novadb::rows::{Cloud, Instance};

use crate::error::LabError;
use crate::layout::{Host, NETWORK_HOST, place};
use crate::libvirt;
use crate::nova::dnsmasq;
use crate::nova::wanted;
use crate::place::Lab;
use crate::shape::GuestKind;
use crate::whole_file;

/// Writes the file; leaves it alone where it would not change.
pub(crate) fn write(lab: &Lab, cloud: &Cloud) -> Result<(), LabError> {
    let path = lab.site_file();
    let text = text(lab, cloud)?;
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    whole_file::write(&path, text)
}

/// The file's text. Paths need no escaping: `check_state` let only plain ones in; nor do names.
fn text(lab: &Lab, cloud: &Cloud) -> Result<String, LabError> {
    let mut text = format!("# Written by: hopline lab up --name {}\n", lab.name);
    for host in lab.shape.hosts() {
        write_host(&mut text, lab, &host);
    }
    for (name, of, role) in [
        ("gw", place::GATEWAY, "router"),
        ("isp", place::ISP, "router"),
        ("external", place::EXTERNAL, "external"),
        ("fabric", place::FABRIC, "switch"),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "[[host]]\nname = \"{name}\"\nat = \"netns:{}\"\nrole = \"{role}\"\n",
            lab.netns(of)
        );
    }
    for instance in &cloud.instances {
        write_instance(&mut text, lab, cloud, instance)?;
    }
    let _ = write!(text, "[cloud]\nkind = \"nova-network\"\ndatabase = \"{}\"\n", lab.url());
    Ok(text)
}

fn write_host(text: &mut String, lab: &Lab, host: &Host) {
    let role = if host.name == NETWORK_HOST { "network" } else { "compute" };
    let _ = writeln!(
        text,
        "[[host]]
name = \"{name}\"
at = \"netns:{netns}\"
role = \"{role}\"
nova_conf = \"{state}/etc/nova/nova.conf\"
# What libvirt knows of running domains, tap names included; what nova defined is in
# {state}/etc/libvirt/qemu
libvirt = \"{state}/run/libvirt/qemu\"
dnsmasq_log = \"{log}\"
console_logs = \"{state}/instances\"
",
        name = host.name,
        netns = lab.netns(&host.name),
        state = lab.state.join(&host.name).display(),
        log = dnsmasq::log_file(lab, &host.name).display(),
    );
}

fn write_instance(text: &mut String, lab: &Lab, cloud: &Cloud, instance: &Instance) -> Result<(), LabError> {
    let wanted = wanted::host_instance(cloud, instance);
    let taps = libvirt::taps(lab, &instance.host, &wanted.domain())?;
    let enters = lab.shape.guest == GuestKind::Netns && !taps.is_empty();
    for (at, nic) in wanted.nics.iter().enumerate() {
        let quoted: Vec<String> = nic.fixed.iter().map(|ip| format!("\"{ip}\"")).collect();
        let has_it =
            |floating: &&novadb::rows::Floating| floating.fixed.is_some_and(|ip| nic.fixed.contains(&ip));
        let floating = cloud.floating.iter().filter(has_it);
        let floating: Vec<String> = floating.map(|floating| format!("\"{}\"", floating.address)).collect();
        let _ = writeln!(text, "[[instance]]\nname = \"{}\"\nhost = \"{}\"", instance.name, instance.host);
        if let Some(tap) = taps.get(at) {
            let _ = writeln!(text, "device = \"{tap}\"");
        }
        let _ = writeln!(text, "mac = \"{}\"\naddresses = [{}]", nic.mac, quoted.join(", "));
        let _ = writeln!(text, "floating = [{}]", floating.join(", "));
        if enters {
            let _ = writeln!(text, "at = \"netns:{}\"", lab.netns(&instance.name));
        }
        text.push('\n');
    }
    Ok(())
}
