//! Instances that only the database ever knew: what is left of one that ended badly, whose domain is long gone.

use novadb::{DEFAULT_GROUP, NewInstance};

use crate::error::LabError;
use crate::layout::PROJECTS;
use crate::manager;
use crate::place::Lab;
use crate::scene::Scene;

/// One of web1's network and host.
pub(crate) fn instance(lab: &Lab, scene: &Scene, name: &str) -> Result<NewInstance, LabError> {
    let cloud = manager::read(lab)?;
    let network = cloud.networks.iter().find(|network| network.id == scene.served.id);
    let project = network.and_then(|network| network.project.clone());
    Ok(NewInstance {
        name: name.to_owned(),
        host: scene.compute.host.name.clone(),
        project: project.unwrap_or_else(|| PROJECTS[0].to_owned()),
        networks: vec![(scene.served.id, None)],
        groups: vec![DEFAULT_GROUP.to_owned()],
        ..NewInstance::default()
    })
}
