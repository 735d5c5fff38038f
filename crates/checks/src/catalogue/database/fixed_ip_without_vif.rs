//! # fixed-ip-without-vif
//!
//! A fixed IP of an instance has no NIC.
//!
//! ## What it means
//! dnsmasq's hosts file is written from NICs and their addresses together: without the NIC's row the instance has no
//! line from the next time on, and gets no lease. Until then all goes on as before.
//!
//! ## How hopline knows
//! The row is allocated to a living instance, and no live row of `virtual_interfaces` has its `virtual_interface_id`.
//! Not while nova is at work with the instance: a boot writes one after the other. The NIC's MAC is then libvirt's.
//!
//! ## What it looks like
//! `DHCPDISCOVER ... no address available`; the instance has an address in the API.
//!
//! ## Nearest look-alikes
//! * `instance-without-address`: the NIC is there, and has no fixed IP.
//! * `dnsmasq-stale-hosts-file`: the rows are all there, and the line is not.
//!
//! ## Fix
//! Tie it to the instance's NIC on that network, or take the address off and add it again through the API. Undo: the
//! old value.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `network_get_associated_fixed_ips`.

use model::finding::{EvidenceKind, Remedy};
use model::intent::{RowLack, RowWords};

use crate::evidence;
use crate::found::Found;
use crate::half_recorded::{self, Told};
use crate::sql;
use crate::view::{Seat, View};

/// Looks for NICs that the tables have an address of, and no row.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| finding(view, &seat)).collect()
}

fn finding(view: &View, seat: &Seat) -> Option<Found> {
    let RowLack::Nic { fixed_id } = seat.vif.lacks else { return None };
    let (name, ip) = (&seat.instance.name, seat.vif.fixed.first()?);
    let words = &view.intent().remains.words;
    let RowWords { live, .. } = words;
    let select =
        format!("SELECT address, virtual_interface_id FROM fixed_ips WHERE id = {fixed_id} AND {live}");
    let its_nic = format!(
        "SELECT v.id FROM virtual_interfaces v JOIN fixed_ips f ON f.virtual_interface_id = v.id \
         WHERE f.id = {fixed_id} AND v.{live}"
    );
    let told = Told {
        code: "fixed-ip-without-vif",
        summary: format!("fixed IP {ip} of {name} belongs to no NIC"),
        cause: format!(
            "nova writes no line for {name} into the hosts file of dnsmasq, so it gets no lease from there"
        ),
        rows: vec![
            evidence::record(EvidenceKind::Db, select, format!("fixed_ips {fixed_id}: {ip} of {name}")),
            evidence::record(EvidenceKind::Db, its_nic, "no row"),
        ],
        remedy: vec![remedy(seat, words)],
    };
    half_recorded::found(view, seat, told)
}

fn remedy(seat: &Seat, RowWords { instance, live }: &RowWords) -> Remedy {
    let uuid = seat.instance.uuid.clone().or_else(|| seat.instance.id.map(|id| id.to_string()));
    match uuid.as_deref().and_then(sql::string) {
        Some(key) => evidence::advice(
            format!("SELECT id, address FROM virtual_interfaces WHERE {instance} = {key} AND {live}"),
            "reads; then remove and add the fixed IP through the API, or set virtual_interface_id to the NIC of that \
             network",
        ),
        None => sql::untypable(instance),
    }
}

#[cfg(test)]
mod tests {
    use model::intent::RowLack;
    use model::path::Exchange;

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    const CODE: &str = "fixed-ip-without-vif";

    fn gone(cloud: &mut Cloud) {
        cloud.intent.instances[0].vifs[0].lacks = RowLack::Nic { fixed_id: 5 };
    }

    #[test]
    fn is_told_beside_what_works_and_before_what_dies_of_it() {
        let mut works = healthy();
        gone(&mut works);
        let found = works.diagnose("web1");
        assert_eq!(codes(&found), [format!("{CODE} compute1//br100")]);
        assert_eq!(found.findings[0].exchange, Exchange::None, "it has its line still");
        let mut refused = broken("dnsmasq-stale-hosts-file");
        gone(&mut refused);
        let found = refused.diagnose("web1");
        assert_eq!(codes(&found), [format!("{CODE} compute1//br100")]);
        assert_eq!(found.findings[0].exchange, Exchange::Dhcp);
    }

    #[test]
    fn a_nic_whose_mac_nobody_knows_is_not_called_unknown_to_dnsmasq() {
        let mut cloud = healthy();
        gone(&mut cloud);
        cloud.intent.instances[0].vifs[0].mac = None;
        let found = cloud.diagnose("web1");
        assert!(
            !format!("{:?}", found.findings).contains("not in dnsmasq's hosts file"),
            "{:?}",
            found.findings
        );
    }

    #[test]
    fn stays_silent_while_nova_is_at_work() {
        let mut cloud = healthy();
        gone(&mut cloud);
        cloud.intent.instances[0].task = Some("networking".to_owned());
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }
}
