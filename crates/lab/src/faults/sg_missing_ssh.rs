//! `sg-missing-ssh`: the security group does not let ssh in, neither in its chain nor in the database: it is policy,
//! and nothing is broken.

use super::Fault;
use novadb::rows::GroupRule;

use crate::LabError;
use crate::database::ask;
use crate::layout::PROJECTS;
use crate::manager;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "sg-missing-ssh", summary: "web1's security group does not let ssh in", inject, heal };

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    ask(lab, |db| {
        let cloud = db.read()?;
        let groups =
            cloud.groups.iter().filter(|group| group.project == PROJECTS[0] && group.name == "default");
        let ssh = |rule: &&GroupRule| rule.protocol.as_deref() == Some("tcp") && rule.from_port == Some(22);
        let rules = groups.flat_map(|group| group.rules.iter().filter(ssh));
        rules.map(|rule| rule.id).try_for_each(|id| db.group_rule_delete(id))
    })?;
    manager::reconcile(lab, &mut scene.rig).map(drop)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    ask(lab, |db| db.group_rules_restore(PROJECTS[0], "default", "tcp"))?;
    manager::reconcile(lab, &mut scene.rig)?;
    scene.rewrite_rules(lab)
}
