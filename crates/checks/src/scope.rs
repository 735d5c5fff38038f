//! What a question covers: whose packets are walked, and which hosts are looked at.

use model::Intent;
use model::finding::Finding;
use model::intent::Instance;
use model::shell;
use model::snapshot::Gap;

use crate::diagnose::Case;

/// About whom a diagnosis is asked.
#[derive(Debug, Clone)]
pub enum Subject {
    /// One instance: index into `Intent::instances`.
    Instance(usize),
    /// Every instance.
    AllInstances,
    /// Hosts by name, with the instances on them.
    Hosts(Vec<String>),
}

/// Which instances and hosts a question is about.
pub(crate) struct Scope {
    pub(crate) subject: String,
    pub(crate) instances: Vec<usize>,
    pub(crate) hosts: Vec<String>,
    /// Only findings at these hosts are wanted.
    pub(crate) only: Option<Vec<String>>,
}

impl Scope {
    pub(crate) fn of(case: &Case, subject: &Subject) -> Scope {
        let is_on = |at: &usize| case.intent.instances.get(*at).is_some_and(|i| !i.is_meant_off());
        let all = || (0..case.intent.instances.len()).filter(is_on).collect::<Vec<usize>>();
        let host_of = |at: &usize| case.intent.instances.get(*at).map(|i| i.host.clone());
        let every_host = || case.snapshot.hosts.iter().map(|h| h.name.clone()).collect::<Vec<String>>();
        let hosts_at =
            |at: usize| case.intent.instances.get(at).map(|i| hosts_of(case.intent, i)).unwrap_or_default();
        match subject {
            Subject::Instance(at) => Scope {
                subject: case.intent.instances.get(*at).map(|i| i.name.clone()).unwrap_or_default(),
                instances: Some(*at).filter(is_on).into_iter().collect(),
                hosts: hosts_at(*at),
                only: None,
            },
            Subject::AllInstances => Scope {
                subject: "all instances".to_owned(),
                instances: all(),
                hosts: every_host(),
                only: None,
            },
            Subject::Hosts(hosts) => {
                let on_them = |i: &usize| host_of(i).is_some_and(|h| hosts.contains(&h));
                let own: Vec<usize> = all().into_iter().filter(on_them).collect();
                let subject = hosts.join(", ");
                if own.is_empty() {
                    // A router or a switch is judged by everybody's packets, and for itself only.
                    return Scope {
                        subject,
                        instances: all(),
                        hosts: every_host(),
                        only: Some(hosts.clone()),
                    };
                }
                // Those that serve its instances are part of the question.
                let mut asked = hosts.clone();
                for host in own.iter().flat_map(|at| hosts_at(*at)) {
                    if !asked.contains(&host) {
                        asked.push(host);
                    }
                }
                Scope { subject, instances: own, hosts: asked, only: None }
            }
        }
    }
}

/// The host that runs the instance, and its gateways.
fn hosts_of(intent: &Intent, instance: &Instance) -> Vec<String> {
    let servers = intent.servers_of(instance).into_iter().filter(|server| *server != instance.host);
    [instance.host.as_str()].into_iter().chain(servers).map(str::to_owned).collect()
}

/// Of an instance that is meant to be off nothing is asked.
pub(crate) fn switched_off(case: &Case, subject: &Subject) -> Option<Gap> {
    let Subject::Instance(at) = subject else { return None };
    let instance = case.intent.instances.get(*at).filter(|instance| instance.is_meant_off())?;
    let Instance { name, vm_state, .. } = instance;
    Some(Gap {
        what: format!("whether {name} reaches anything"),
        why: format!("it is switched off: its vm_state is {}", vm_state.as_deref().unwrap_or_default()),
        would_need: format!("{name} running: nova start {}", shell::operand(name)),
    })
}

/// Instances that nova has not plugged in send nothing: what that leaves open of each that no finding is about.
pub(crate) fn never_plugged(case: &Case, asked: &[usize], findings: &[Finding]) -> Vec<Gap> {
    let asked = asked.iter().filter_map(|at| case.intent.instances.get(*at));
    let unplugged = asked.filter(|instance| instance.was_never_plugged());
    let untold =
        unplugged.filter(|instance| !findings.iter().any(|found| found.instances.contains(&instance.name)));
    let gap = |Instance { name, vm_state, .. }: &Instance| Gap {
        what: format!("whether {name} reaches anything"),
        why: format!("it has no NIC: its vm_state is {}", vm_state.as_deref().unwrap_or_default()),
        would_need: format!(
            "what nova says of it: nova show {}, and nova-compute's log",
            shell::operand(name)
        ),
    };
    untold.map(gap).collect()
}
