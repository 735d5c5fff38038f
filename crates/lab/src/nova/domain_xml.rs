//! libvirt's XML of an instance: as defined, and as running.

use crate::layout::{BRIDGE, Instance};
use crate::place::Lab;

/// What nova gave libvirt (/etc/libvirt/qemu/NAME.xml). libvirt chooses the tap's name when it starts the
/// domain, so the name is not in here.
pub(crate) fn persistent(lab: &Lab, instance: &Instance) -> String {
    domain(lab, instance, "<domain type='qemu'>", "")
}

/// The same with what libvirt knows of the running domain (/run/libvirt/qemu/NAME.xml, `virsh dumpxml`).
pub(crate) fn live(lab: &Lab, instance: &Instance) -> String {
    let target = format!("\n      <target dev='{}'/>", instance.tap);
    let domain = domain(lab, instance, &format!("<domain type='qemu' id='{}'>", instance.id), &target);
    format!("<domstatus state='running' reason='booted' pid='0'>\n{domain}</domstatus>\n")
}

fn domain(lab: &Lab, instance: &Instance, opening: &str, target: &str) -> String {
    let Instance { uuid, mac, .. } = instance;
    let name = instance.libvirt_name();
    let filter = format!("nova-instance-{name}-{}", mac.to_string().replace(':', ""));
    let console = lab.instance_dir(instance).join("console.log");
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
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='{BRIDGE}'/>{target}
      <model type='virtio'/>
      <driver name='qemu'/>
      <filterref filter='{filter}'/>
    </interface>
    <serial type='file'>
      <source path='{console}'/>
    </serial>
  </devices>
</domain>
",
        console = console.display(),
    )
}
