//! libvirt's XML of an instance: as defined, and as running.

use std::fmt::Write;

use super::wanted::{HostInstance, Nic};
use crate::layout::CONSOLE_LOG;
use crate::place::Lab;

/// What nova gave libvirt (/etc/libvirt/qemu/NAME.xml). libvirt chooses the taps' names when it starts the
/// domain, so the names are not in here.
pub(crate) fn persistent(lab: &Lab, host: &str, instance: &HostInstance) -> String {
    domain(lab, host, instance, "<domain type='qemu'>", &[])
}

/// The same with what libvirt knows of the running domain (/run/libvirt/qemu/NAME.xml, `virsh dumpxml`).
pub(crate) fn live(lab: &Lab, host: &str, instance: &HostInstance, taps: &[String], pid: u32) -> String {
    let domain = domain(lab, host, instance, &format!("<domain type='qemu' id='{}'>", instance.id), taps);
    format!("<domstatus state='running' reason='booted' pid='{pid}'>\n{domain}</domstatus>\n")
}

/// Names of the taps of a running domain, in its XML.
pub(crate) fn taps_of(live: &str) -> Vec<String> {
    let names = live.split("<target dev='").skip(1).filter_map(|rest| rest.split('\'').next());
    names.map(str::to_owned).collect()
}

fn domain(lab: &Lab, host: &str, instance: &HostInstance, opening: &str, taps: &[String]) -> String {
    let HostInstance { uuid, nics, .. } = instance;
    let name = instance.domain();
    let console = lab.instance_dir(host, uuid).join(CONSOLE_LOG);
    let mut interfaces = String::new();
    for (at, nic) in nics.iter().enumerate() {
        let target = taps.get(at).map(|tap| format!("\n      <target dev='{tap}'/>")).unwrap_or_default();
        let Nic { mac, bridge, .. } = nic;
        let filter = format!("nova-instance-{name}-{}", mac.to_string().replace(':', ""));
        // Writing to a String cannot fail.
        let _ = writeln!(
            interfaces,
            "    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='{}'/>{target}
      <model type='virtio'/>
      <driver name='qemu'/>
      <filterref filter='{filter}'/>
    </interface>",
            bridge.name
        );
    }
    format!(
        "{opening}
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>65536</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64'>hvm</type>
  </os>
  <devices>
{interfaces}    <serial type='file'>
      <source path='{console}'/>
    </serial>
  </devices>
</domain>
",
        console = console.display(),
    )
}
