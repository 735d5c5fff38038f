//! A site, read: what its machines would do, what its cloud means, and who was out of reach.

use std::thread;
use std::time::Duration;

use model::{Intent, Snapshot};

use crate::failure::Failure;
use crate::progress;
use crate::site_file::Site;

/// Facts of a site.
pub(crate) struct Facts {
    pub(crate) snapshot: Snapshot,
    pub(crate) intent: Intent,
    /// Machines that could not be read, and why; each is a gap of the snapshot too.
    pub(crate) unreachable: Vec<(String, String)>,
}

impl Facts {
    /// Refuses where this machine is out of reach: without it there is nothing to conclude from.
    pub(crate) fn must_reach(&self, machine: &str) -> Result<(), Failure> {
        match self.unreachable.iter().find(|(name, _)| name == machine) {
            None => Ok(()),
            Some((name, why)) => Err(out_of_reach(name, why)),
        }
    }
}

/// Reads every machine and the cloud's database at the same time.
pub(crate) fn gather(site: &Site, timeout: Duration) -> Result<Facts, Failure> {
    let _progress = progress::start("reading the site");
    let (collected, records) = thread::scope(|scope| {
        let database =
            scope.spawn(|| site.database.as_ref().map(|url| cloud::read(url, timeout)).transpose());
        (collect::site(&site.machines), database.join())
    });
    let records = match records {
        Ok(read) => read.map_err(|error| Failure::of(&error))?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let snapshot = collected.snapshot;
    let unreachable: Vec<(String, String)> = collected
        .unreachable
        .into_iter()
        .map(|(name, error)| (name, Failure::of(&error).to_string()))
        .collect();
    let is_out_of_reach = |name: &str| unreachable.iter().any(|(machine, _)| machine == name);
    let mut hosts = site.machines.iter().filter(|machine| !machine.instance);
    if let (true, Some((name, why))) = (hosts.all(|h| is_out_of_reach(&h.name)), unreachable.first()) {
        return Err(out_of_reach(name, why));
    }
    let intent = cloud::intent(records, &snapshot, &site.instances);
    Ok(Facts { snapshot, intent, unreachable })
}

fn out_of_reach(name: &str, why: &str) -> Failure {
    Failure::new(format!("{name} is out of reach: {why}"))
        .hint(format!("check `at` of `{name}` in the site file; entering a namespace needs root"))
}
