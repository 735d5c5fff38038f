//! The site file: how hopline reaches the lab's hosts.

use std::fmt::Write;

use crate::layout::{COMPUTE, INSTANCES, Place};
use crate::nova::dnsmasq;
use crate::place::Lab;

/// The file's text. Paths need no escaping: `check_state` let only plain ones in.
pub(crate) fn text(lab: &Lab) -> String {
    let mut text = format!(
        "# Written by: hopline lab up --name {name}
[[host]]
name = \"{COMPUTE}\"
at = \"netns:{compute}\"
role = \"compute\"
nova_conf = \"{state}/etc/nova/nova.conf\"
# What libvirt knows of running domains, tap names included; what nova defined is in
# {state}/etc/libvirt/qemu
libvirt = \"{state}/run/libvirt/qemu\"
dnsmasq_log = \"{log}\"
console_logs = \"{state}/instances\"
",
        name = lab.name,
        state = lab.state.display(),
        compute = lab.netns(Place::Compute),
        log = dnsmasq::log_file(lab).display(),
    );
    for (name, place, role) in [
        ("gw", Place::Gateway, "router"),
        ("isp", Place::Isp, "router"),
        ("external", Place::External, "external"),
        ("fabric", Place::Fabric, "switch"),
    ] {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[host]]\nname = \"{name}\"\nat = \"netns:{}\"\nrole = \"{role}\"\n",
            lab.netns(place)
        );
    }
    for instance in INSTANCES {
        let floating = instance.floating.map(|ip| format!("\"{ip}\"")).unwrap_or_default();
        let _ = write!(
            text,
            "
[[instance]]
name = \"{}\"
host = \"{COMPUTE}\"
device = \"{}\"
mac = \"{}\"
addresses = [\"{}\"]
floating = [{floating}]
at = \"netns:{}\"
",
            instance.name,
            instance.tap,
            instance.mac,
            instance.fixed,
            lab.netns(instance.place)
        );
    }
    let _ = write!(
        text,
        "\n[cloud]\nkind = \"nova-network\"\ndatabase = \"sqlite:{}\"\n",
        lab.database().display()
    );
    text
}
