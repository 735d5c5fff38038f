//! # float-tied-to-deleted-instance
//!
//! A floating IP hangs on a fixed IP whose instance is deleted.
//!
//! ## What it means
//! `floating_ips.fixed_ip_id` points to a fixed IP that no living instance has. Nobody can use the floating IP: it
//! answers nothing, and the API neither gives it to another instance nor back to the pool. Its host goes on carrying
//! it, and nova-network writes its rules again at every restart. Should another instance get that fixed IP, the
//! floating one is suddenly its own.
//!
//! ## How hopline knows
//! The database: floating and fixed IP live, the instance's row is deleted, gone, or not named any more. Rows whose
//! `deleted` is NULL were written by hand; nova cannot see them, and nothing follows from them.
//!
//! ## What it looks like
//! The instance was terminated while its process died, or by a local delete while its host was down. The floating IP
//! is in nobody's list, and cannot be associated.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-leaked`: a fixed IP is tied so, without a floating one; where there is one, both are told here.
//! * `float-dnat-missing`: the instance lives, and the host does not carry the floating IP's rule.
//! * `dnat-wrong-fixed-ip`: the record is right, and the host's rule is not.
//!
//! ## Fix
//! Cut the link by the floating row's own id, then free the fixed IP, then let the host's nova-network read it again.
//! In the guide's printed order the second UPDATE changes no row: it selects by the link that the first one cut. The
//! address itself stays on the public link until it is taken off by hand. Undo: the old values.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (manually disassociating a floating IP); nova
//! `network/floating_ips.py` `disassociate_floating_ip`.

use model::Netns;
use model::finding::{Confidence, EvidenceKind, Remedy};
use model::intent::{RowWords, TiedFloating};
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::nova;
use crate::restart;
use crate::sql;
use crate::view::View;

/// Looks for floating addresses of nobody's on the hosts in question.
pub fn check(view: &View) -> Vec<Found> {
    view.intent().remains.floating.iter().filter_map(|tied| finding(view, tied)).collect()
}

fn finding(view: &View, tied: &TiedFloating) -> Option<Found> {
    let (ns, device) = carrier(view, tied)?;
    let (floating, fixed) = (tied.floating.address, tied.floating.fixed);
    let whose = whose(tied);
    let RowWords { instance, live } = &view.intent().remains.words;
    let select = format!(
        "SELECT fl.id, fl.address, fl.fixed_ip_id, fl.host, f.address, f.{instance} FROM floating_ips fl \
         JOIN fixed_ips f ON f.id = fl.fixed_ip_id WHERE fl.id = {} AND fl.{live}",
        tied.id
    );
    let row = format!(
        "floating_ips {}: {floating} on fixed_ips {}: {fixed} of {whose}, host {}",
        tied.id,
        tied.fixed_id,
        tied.floating.host.as_deref().unwrap_or("NULL")
    );
    let fault = Fault {
        code: "float-tied-to-deleted-instance",
        hop: at(ns, &device, Stage::Nat),
        summary: format!("floating IP {floating} hangs on {fixed} of {whose}, and nobody can use it"),
        cause: "the instance ended without giving its addresses back, and nothing in nova cuts the link afterwards"
            .to_owned(),
        confidence: Confidence::Proven,
        evidence: vec![evidence::record(EvidenceKind::Db, select, row)],
        owner: "nova-network",
        remedy: remedy(view, ns, &device, tied),
        instances: tied.name.iter().cloned().collect(),
        stopped: None,
        mend: Vec::new(),
    };
    Some(fault.found())
}

/// In words whose the fixed address was.
fn whose(tied: &TiedFloating) -> String {
    match (&tied.name, &tied.instance) {
        (Some(name), Some(uuid)) => format!("{name} ({uuid}), which is deleted"),
        (None, Some(uuid)) => format!("an instance that is gone ({uuid})"),
        (_, None) => "no instance".to_owned(),
    }
}

/// The host in question that carries it, and its public link; the first one where the record names none.
fn carrier<'v>(view: &View<'v>, tied: &TiedFloating) -> Option<(&'v Netns, String)> {
    let is_it = |name: &str| tied.floating.host.as_deref().is_none_or(|host| host == name);
    let (host, ns) = view.hosts().find(|(host, _)| is_it(&host.name))?;
    let uplink = nova::uplink(host, ns, &[tied.floating.address]);
    Some((ns, uplink.map(|link| link.name.clone()).unwrap_or_default()))
}

fn remedy(view: &View, ns: &Netns, device: &str, tied: &TiedFloating) -> Vec<Remedy> {
    let TiedFloating { id, fixed_id, floating, .. } = tied;
    let host = floating.host.as_deref().map_or(Some("NULL".to_owned()), sql::string);
    // Without it the link can be cut all the same, and only not be tied again.
    let undo = host.map(|host| {
        format!(
            "UPDATE floating_ips SET fixed_ip_id = {fixed_id}, host = {host} WHERE id = {id} AND fixed_ip_id IS NULL"
        )
    });
    let by_hand = Remedy {
        command: format!(
            "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = {id} AND fixed_ip_id = {fixed_id}"
        ),
        undo: undo.unwrap_or_default(),
        note: "one row; its project keeps the address, and what the host carries stays until the steps below"
            .to_owned(),
    };
    let mut remedy = vec![sql::by_hopline(&format!("release {}", floating.address)), by_hand];
    let instance = &view.intent().remains.words.instance;
    remedy.extend(tied.instance.as_deref().map(|key| match sql::string(key) {
        Some(key) => evidence::advice(
            format!(
                "UPDATE fixed_ips SET allocated = FALSE, leased = FALSE, {instance} = NULL, \
                 virtual_interface_id = NULL WHERE id = {fixed_id} AND {instance} = {key}"
            ),
            "one row: the fixed IP goes back to its network's pool",
        ),
        None => sql::untypable(instance),
    }));
    remedy.push(restart::network(view, &ns.machine, "drops the rules of the floating IP"));
    if ns.has_address(floating.address.into()) && !device.is_empty() {
        let add = format!("ip addr add {}/32 dev {device}", floating.address);
        remedy.push(evidence::remedy(ns, &add.replace(" add ", " del "), &add, "nobody uses the address"));
    }
    remedy
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::path::Exchange;

    use crate::fixture::{broken, codes, healthy};

    #[test]
    fn fires_on_the_host_that_carries_it() {
        let cloud = broken("float-tied-to-deleted-instance");
        let address = cloud.intent.remains.floating[0].floating.address;
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["float-tied-to-deleted-instance compute1//eth0"]);
        let finding = &found.findings[0];
        assert_eq!((finding.exchange, finding.confidence), (Exchange::None, Confidence::Proven));
        assert_eq!(finding.instances, ["gone1"]);
        let cut = "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = 9 AND fixed_ip_id = 77";
        assert_eq!(finding.remedy[0].command, format!("hopline db release {address} --apply"));
        assert_eq!(finding.remedy[1].command, cut);
        assert!(finding.remedy[2].command.contains("WHERE id = 77 AND instance_uuid = 'u'"), "{finding:?}");
    }

    #[test]
    fn stays_silent_where_another_host_carries_it() {
        let mut cloud = broken("float-tied-to-deleted-instance");
        cloud.intent.remains.floating[0].floating.host = Some("compute7".to_owned());
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn stays_silent_on_an_instance_that_is_off() {
        let mut cloud = healthy();
        cloud.intent.instances[0].vm_state = Some("stopped".to_owned());
        assert_eq!(codes(&cloud.check("compute1")), [""; 0]);
    }
}
