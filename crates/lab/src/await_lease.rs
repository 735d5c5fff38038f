//! Waiting for instances to get their addresses: the client has set it, and nova's database knows of the lease.

use std::time::{Duration, Instant};

use novadb::rows::{Cloud, Instance};
use plumbing::route::{self, DEFAULT};
use plumbing::{Namespace, address};

use crate::command::{command, run};
use crate::database::ask;
use crate::error::LabError;
use crate::namespace;
use crate::nova::dnsmasq;
use crate::nova::wanted::Nic;
use crate::operations::instance_named;
use crate::place::Lab;
use crate::rig::await_settled;
use crate::shape::GuestKind;

/// How long an instance may take, beside however many others.
const NETNS_DEADLINE: Duration = Duration::from_secs(30);
/// A machine boots first, under software emulation and perhaps beside others.
pub(crate) const QEMU_DEADLINE: Duration = Duration::from_mins(3);
/// How long between two looks.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// Waits for every instance that is meant to run.
pub(crate) fn await_all(lab: &Lab, cloud: &Cloud) -> Result<(), LabError> {
    let running = cloud.instances.iter().filter(|instance| instance.vm_state == "active");
    running.into_iter().try_for_each(|instance| await_instance(lab, cloud, instance))
}

/// Waits for an instance: its first NIC has its address and a way out, and the database knows of the lease.
pub(crate) fn await_instance(lab: &Lab, cloud: &Cloud, instance: &Instance) -> Result<(), LabError> {
    let (_, wanted) = instance_named(cloud, &instance.name)?;
    let Some(nic) = wanted.nics.first() else { return Ok(()) };
    let Some(first) = nic.fixed.first() else { return Ok(()) };
    let patience = match lab.shape.guest {
        GuestKind::Netns => NETNS_DEADLINE,
        GuestKind::Qemu => QEMU_DEADLINE,
    };
    let deadline = Instant::now() + patience;
    let server = lab.shape.server_of(&instance.host);
    let mut seen_from = match lab.shape.guest {
        GuestKind::Netns => namespace::open(lab, &instance.name)?,
        GuestKind::Qemu => namespace::open(lab, &server)?,
    };
    loop {
        let has_it = has_its_address(lab.shape.guest, &mut seen_from, nic)?;
        if has_it && ask(lab, |db| db.is_leased(*first))? {
            break;
        }
        if Instant::now() >= deadline {
            let name = &instance.name;
            let awaited = if has_it {
                format!("the database to know of {name}'s lease of {first}")
            } else {
                format!("{name} to get {first} by DHCP")
            };
            return Err(LabError::Timeout {
                seconds: patience.as_secs(),
                awaited,
                log: dnsmasq::log_file(lab, &server),
            });
        }
        std::thread::sleep(POLL);
    }
    match lab.shape.guest {
        GuestKind::Netns => await_settled([&mut seen_from].into_iter()),
        GuestKind::Qemu => Ok(()),
    }
}

/// A namespace is looked into; a machine is asked by its gateway.
fn has_its_address(guest: GuestKind, seen_from: &mut Namespace, nic: &Nic) -> Result<bool, LabError> {
    let Some(net) = nic.fixed_net() else { return Ok(true) };
    match guest {
        GuestKind::Netns => Ok(address::exists(seen_from, net)? && route::exists(seen_from, DEFAULT)?),
        GuestKind::Qemu => {
            let ping = command("busybox", ["ping", "-c", "1", "-W", "1", &net.addr().to_string()]);
            match run(seen_from, ping, "") {
                Ok(()) => Ok(true),
                // It ends so where nobody answers.
                Err(LabError::Program { .. }) => Ok(false),
                Err(e) => Err(e),
            }
        }
    }
}
