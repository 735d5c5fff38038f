//! # instance-without-address
//!
//! An active instance has a NIC, and no fixed IP on it.
//!
//! ## What it means
//! dnsmasq has no line for its MAC from the next time on that nova writes it: it gets no lease, and security groups
//! have nothing to hold on to. The address that it goes on using, if any, is nobody's to nova, which gives it to
//! another.
//!
//! ## How hopline knows
//! The instance is active and at rest, the NIC's row lives, and no allocated fixed IP is tied to both. An instance in
//! `error`, or one that is being built, has none rightly.
//!
//! ## What it looks like
//! The API shows no address for it, and its console waits for DHCP.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-without-vif`: the fixed IP is there, and has no NIC.
//! * `dnsmasq-stale-hosts-file`: its address is recorded, and the line is missing.
//!
//! ## Fix
//! Add a fixed IP through the API (`nova add-fixed-ip`). No line is to be written by hand: what the tables call free
//! goes to the next instance. Undo: `nova remove-fixed-ip`.
//!
//! ## References
//! nova `network/manager.py` `add_fixed_ip_to_instance`.

use model::finding::EvidenceKind;
use model::intent::{RowLack, RowWords};

use crate::evidence;
use crate::found::Found;
use crate::half_recorded::{self, Told};
use crate::restart::operand;
use crate::view::{Seat, View};

/// Looks for NICs of active instances that the tables have no address of.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| finding(view, &seat)).collect()
}

fn finding(view: &View, seat: &Seat) -> Option<Found> {
    let RowLack::Address { vif_id } = seat.vif.lacks else { return None };
    let (name, mac) = (&seat.instance.name, seat.vif.mac?);
    if seat.instance.vm_state.as_deref() != Some("active") {
        return None;
    }
    let RowWords { live, .. } = &view.intent().remains.words;
    let select = format!("SELECT address, network_id FROM virtual_interfaces WHERE id = {vif_id} AND {live}");
    let fixed =
        format!("SELECT address, allocated FROM fixed_ips WHERE virtual_interface_id = {vif_id} AND {live}");
    let told = Told {
        code: "instance-without-address",
        summary: format!("{name} is active, and its NIC {mac} has no fixed IP"),
        cause: format!(
            "nova writes no line for {mac} into the hosts file of dnsmasq, so {name} gets no lease from there"
        ),
        rows: vec![
            evidence::record(
                EvidenceKind::Db,
                select,
                format!("virtual_interfaces {vif_id}: {mac} of {name}"),
            ),
            evidence::record(EvidenceKind::Db, fixed, format!("no row that is allocated to {name}")),
        ],
        remedy: vec![evidence::advice(
            format!("nova add-fixed-ip {} NETWORK-UUID", operand(name)),
            "gives it the next free address of that network",
        )],
    };
    half_recorded::found(view, seat, told)
}

#[cfg(test)]
mod tests {
    use model::intent::RowLack;
    use model::path::Exchange;

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    const CODE: &str = "instance-without-address";

    fn freed(mut cloud: Cloud) -> Cloud {
        let web1 = &mut cloud.intent.instances[0];
        web1.vm_state = Some("active".to_owned());
        web1.vifs[0].lacks = RowLack::Address { vif_id: 3 };
        cloud
    }

    #[test]
    fn no_line_is_offered_for_an_address_that_the_tables_call_free() {
        let found = freed(broken("dnsmasq-stale-hosts-file")).diagnose("web1");
        assert_eq!(codes(&found), [format!("{CODE} compute1//br100")]);
        let finding = &found.findings[0];
        assert_eq!(finding.exchange, Exchange::Dhcp);
        let typed: Vec<&str> = finding.remedy.iter().map(|remedy| remedy.command.as_str()).collect();
        assert_eq!(typed, ["nova add-fixed-ip web1 NETWORK-UUID"]);
        assert_eq!(freed(healthy()).diagnose("web1").findings[0].exchange, Exchange::None);
    }

    #[test]
    fn stays_silent_where_none_is_meant_to_be() {
        let mut cloud = freed(healthy());
        cloud.intent.instances[0].vm_state = Some("error".to_owned());
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }
}
