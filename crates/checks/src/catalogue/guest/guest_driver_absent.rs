//! # guest-driver-absent
//!
//! The instance has no driver for the NIC that it was given.
//!
//! ## What it means
//! nova gives instances a virtio NIC unless the image says otherwise. An image without virtio's driver (an old kernel,
//! a trimmed one, Windows as it comes) sees a PCI device that nothing claims: it has no `eth0` at all. The host's side
//! is in order, and nothing on it can help.
//!
//! ## How hopline knows
//! The instance runs, its tap is up with carrier, and has never had a frame from it: `RX packets` is 0, where any
//! system that has set up a NIC sends something (a DHCPDISCOVER, an IPv6 neighbour solicitation). Its console says that
//! there is no such device: proven. Where the console only says that the boot is over, or where the tap's queue ran
//! over since nobody ever read it, it may as well be that nothing in the instance sets its NIC up: likely.
//!
//! ## What it looks like
//! Console: `udhcpc: SIOCGIFINDEX: No such device`, `Cannot find device "eth0"`. `ip -s link show dev vnet0`: RX 0 for
//! ever, TX rises, and TX dropped with it once the queue is full. `lspci -k` in the instance shows the network device
//! without `Kernel driver in use`.
//!
//! ## Nearest look-alikes
//! * `guest-nic-down`: there the instance has the NIC, and a tap that was used has counted frames of it.
//! * `guest-paused-tap-full`: there the instance does not run on; libvirt or the process's state says so.
//! * `guest-firewall`: there frames come out of the instance: ARP is answered.
//! * an instance that has just been started: its console has not come to a prompt.
//!
//! ## Fix
//! An image with the driver (`virtio_net`, for Windows from virtio-win); or another NIC for this image, such as
//! `hw_vif_model=e1000`, and the instance built anew, which is what reads the property. Undo: take the property away.
//!
//! ## References
//! OpenStack glance image properties, `hw_vif_model`; nova `[libvirt] use_virtio_for_bridges`; drivers/net/tun.c.

use model::finding::{Confidence, Evidence, EvidenceKind};
use model::link::{Link, LinkKind, LinkStats};
use model::path::{Direction, Exchange, Place, Stage};
use model::service::ConsoleEventKind;

use crate::dhcp_told::console_of;
use crate::evidence;
use crate::found::{Fault, Found, Reach};
use crate::power;
use crate::restart::{operand, typed};
use crate::view::{Seat, View};

/// Looks for instances that run and have never sent a frame by their NIC: one finding an instance.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| without_driver(view, &seat)).collect()
}

fn without_driver(view: &View, seat: &Seat) -> Option<Found> {
    let is_silent = |tap: &&Link| tap.kind == LinkKind::Tun && tap.is_running();
    let tap = seat.tap().filter(is_silent)?;
    let stats = tap.stats.filter(|stats| stats.rx_packets == 0)?;
    let is_meant = !seat.instance.is_meant_off() && seat.instance.task.is_none();
    if !is_meant || power::paused(seat).is_some() || power::off(seat).is_some() {
        return None;
    }
    // Who speaks by another NIC has a driver, and left this one alone.
    let is_others =
        |other: &Seat| std::ptr::eq(other.instance, seat.instance) && !std::ptr::eq(other.vif, seat.vif);
    let speaks = |other: Seat| other.tap().and_then(|tap| tap.stats).is_some_and(|s| s.rx_packets > 0);
    if view.vifs().filter(is_others).any(speaks) {
        return None;
    }
    let (confidence, told) = told(seat, stats)?;
    let name = &seat.instance.name;
    let counted = format!("RX packets 0, TX packets {}, TX dropped {}", stats.tx_packets, stats.tx_dropped);
    let mut shown = vec![
        evidence::link(seat.ns, tap),
        evidence::state(seat.ns, &format!("ip -s link show dev {}", typed(&tap.name)), counted),
    ];
    shown.extend(told);
    let why = match confidence {
        Confidence::Proven => "its system finds no NIC: the image has no driver for it",
        Confidence::Likely | Confidence::Possible => {
            "its image has no driver for its NIC, or nothing in it sets the NIC up"
        }
    };
    let fault = Fault {
        code: "guest-driver-absent",
        hop: Place {
            host: name.clone(),
            netns: String::new(),
            device: String::new(),
            stage: Stage::Instance,
        },
        summary: format!("{name} runs without a NIC: it has never sent a frame to {}", tap.name),
        cause: format!("{why}; {} on {} is up with carrier", tap.name, seat.ns.machine),
        confidence,
        evidence: shown,
        owner: "instance",
        remedy: vec![
            evidence::advice(
                format!("in {name}, by its console: modprobe virtio_net; lspci -k"),
                "an image without that module needs another image, or another NIC",
            ),
            evidence::advice(
                format!(
                    "glance image-update --property hw_vif_model=e1000 IMAGE; nova rebuild {} IMAGE",
                    operand(name)
                ),
                "rebuild writes the instance's disk anew",
            ),
        ],
        instances: vec![name.clone()],
        stopped: view.stop_of(seat.instance, |s| s.is_at(seat.ns, &tap.name) || s.hop.at.host == *name),
        mend: Vec::new(),
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both).reaching(Reach::Instances))
}

/// What tells that it is not only about to begin, and how much that proves; `None` where nothing does.
fn told(seat: &Seat, stats: LinkStats) -> Option<(Confidence, Option<Evidence>)> {
    let console = console_of(seat.host, seat.instance);
    let find = |wanted: ConsoleEventKind| {
        let (console, event) = console.and_then(|console| {
            let event = console.events.iter().rev().find(|event| event.kind == wanted)?;
            Some((console, event))
        })?;
        let source = format!("{}:{}", console.file, event.line);
        Some(evidence::record(EvidenceKind::Log, source, event.text.clone()))
    };
    // Who asks for an address has a NIC, whatever is counted.
    if find(ConsoleEventKind::DhcpDiscover).is_some() {
        return None;
    }
    if let Some(missing) = find(ConsoleEventKind::NicMissing) {
        return Some((Confidence::Proven, Some(missing)));
    }
    match find(ConsoleEventKind::Login) {
        Some(login) => Some((Confidence::Likely, Some(login))),
        None if stats.tx_dropped > 0 => Some((Confidence::Likely, None)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::link::LinkKind;
    use model::service::{Console, ConsoleEventKind};

    use crate::fixture::{broken, codes, inject, lacks};

    const CODE: &str = "guest-driver-absent";

    fn says(kind: ConsoleEventKind) -> impl Fn(&mut Console) {
        move |console| console.events.iter_mut().for_each(|event| event.kind = kind.clone())
    }

    #[test]
    fn fires_on_a_console_without_a_nic() {
        let found = broken(CODE).diagnose("web1");
        assert_eq!(codes(&found), ["guest-driver-absent web1//"]);
        assert_eq!(found.findings[0].confidence, Confidence::Proven);
        let told = &found.findings[0].evidence[2].text;
        assert_eq!(told, "udhcpc: SIOCGIFINDEX: No such device");
    }

    #[test]
    fn is_only_likely_where_the_boot_is_over_or_nobody_ever_read_the_tap() {
        let mut cloud = broken(CODE);
        says(ConsoleEventKind::Login)(&mut cloud.host("compute1").consoles[0].1);
        assert_eq!(cloud.diagnose("web1").findings[0].confidence, Confidence::Likely);
        cloud.host("compute1").consoles.clear();
        assert!(lacks(&cloud.diagnose("web1"), CODE), "it may have started this moment");
        cloud.link("compute1", "vnet0").stats.as_mut().unwrap().tx_dropped = 1;
        assert_eq!(cloud.diagnose("web1").findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_on_one_that_boots_or_has_asked_or_ever_sent_a_frame() {
        let mut cloud = broken(CODE);
        cloud.host("compute1").consoles[0].1.events.clear();
        assert!(lacks(&cloud.diagnose("web1"), CODE), "it boots");
        let mut cloud = broken(CODE);
        says(ConsoleEventKind::DhcpDiscover)(&mut cloud.host("compute1").consoles[0].1);
        assert!(lacks(&cloud.diagnose("web1"), CODE), "it has asked");
        let mut cloud = broken(CODE);
        cloud.link("compute1", "vnet0").stats.as_mut().unwrap().rx_packets = 1;
        assert!(lacks(&cloud.diagnose("web1"), CODE), "it had a NIC");
        let mut cloud = broken(CODE);
        cloud.link("compute1", "vnet0").kind = LinkKind::Veth;
        assert!(lacks(&cloud.diagnose("web1"), CODE), "a namespace needs no driver");
    }

    #[test]
    fn a_paused_machine_is_told_as_that() {
        let mut cloud = broken(CODE);
        inject(&mut cloud, "guest-paused-tap-full");
        assert_eq!(codes(&cloud.diagnose("web1")), ["guest-paused-tap-full compute1//vnet0"]);
    }
}
