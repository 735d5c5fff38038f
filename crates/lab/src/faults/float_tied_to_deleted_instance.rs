//! `float-tied-to-deleted-instance`: an instance ended badly, and its floating address hangs on its fixed one still;
//! the host carries it as nova-network does after its next restart.

use ipnet::Ipv4Net;
use novadb::DbError;
use plumbing::address;

use super::Fault;
use crate::LabError;
use crate::badly_ended;
use crate::database::ask;
use crate::layout::UPLINK;
use crate::nova::iptables;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "float-tied-to-deleted-instance",
    summary: "a floating address hangs on the fixed address of an instance that is deleted",
    inject,
    heal,
};

/// The instance that ended.
const NAME: &str = "gone-float";

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let new = badly_ended::instance(lab, scene, NAME)?;
    let (floating, fixed) = ask(lab, |db| {
        let instance = db.boot(&new)?;
        let floating = db.floating_allocate(&new.project, None)?;
        db.floating_associate(floating, NAME, None)?;
        db.delete_unclean(NAME)?;
        let fixed = instance.vifs.iter().flat_map(|vif| &vif.fixed).next();
        Ok((floating, fixed.map(|fixed| fixed.address)))
    })?;
    let Some(fixed) = fixed.map(|ip| ip.to_string()) else { return Ok(()) };
    address::add(&mut scene.server.ns, UPLINK, Ipv4Net::from(floating))?;
    let floating = floating.to_string();
    let rule = |chain: &str, rest: &[&str]| {
        iptables::iptables(&scene.server.ns, &[&["-t", "nat", "-A", chain], rest].concat())
    };
    let lead = ["-d", &floating, "-j", "DNAT", "--to-destination", &fixed];
    rule("nova-network-PREROUTING", &lead)?;
    rule("nova-network-OUTPUT", &lead)?;
    rule("nova-network-float-snat", &["-s", &fixed, "-o", UPLINK, "-j", "SNAT", "--to-source", &floating])
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let tied = ask(lab, |db| {
        let tied = db.give_back(NAME)?;
        tied.iter().try_for_each(|(floating, _)| db.floating_release(*floating))?;
        Ok::<_, DbError>(tied)
    })?;
    for (floating, _) in tied {
        address::delete(&mut scene.server.ns, UPLINK, floating.into())?;
    }
    scene.rewrite_rules(lab)
}
