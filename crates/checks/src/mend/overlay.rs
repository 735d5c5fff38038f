//! What a remedy changes of a VXLAN device.

use std::net::IpAddr;

use model::Snapshot;

use super::{made, main_of};

/// A change of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverlayMend {
    /// Gives it another network.
    Vni {
        /// Host.
        machine: String,
        /// Device.
        device: String,
        /// VXLAN network identifier.
        vni: u32,
    },
    /// Has it send what it knows no station of to a far end.
    FloodTo {
        /// Host.
        machine: String,
        /// Device.
        device: String,
        /// The far end.
        far_end: IpAddr,
    },
}

/// Makes the change.
pub(super) fn apply(snapshot: &mut Snapshot, change: &OverlayMend) {
    match change {
        OverlayMend::Vni { machine, device, vni } => {
            let ns = main_of(snapshot, machine);
            let link = ns.and_then(|ns| ns.links.iter_mut().find(|link| link.name == *device));
            if let Some(vxlan) = link.and_then(|link| link.vxlan.as_mut()) {
                vxlan.vni = *vni;
            }
        }
        OverlayMend::FloodTo { machine, device, far_end } => {
            if let Some(ns) = main_of(snapshot, machine) {
                made::flood_to(ns, device, *far_end);
            }
        }
    }
}
