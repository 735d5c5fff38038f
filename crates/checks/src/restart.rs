//! Restarts as the last step: what each puts right and whom it disturbs, the narrow way before the wide one.

use std::collections::BTreeMap;

use model::finding::Remedy;
use model::intent::Instance;
use model::service::Dnsmasq;
pub(crate) use model::shell::{operand, word as typed};

use crate::dhcp_server;
use crate::evidence;
use crate::view::{Seat, View};

/// As many instances, or projects, are named; more are counted.
const HANDFUL: usize = 5;

/// nova-network of a host: `does` says what that puts right.
pub(crate) fn network(view: &View, host: &str, does: &str) -> Remedy {
    let served = view.intent().instances.iter().filter(|i| view.is_served_by(i, host));
    let who = whom(served);
    let note = format!(
        "{does}; disturbs every network of {host} for a moment: {who} may wait for addresses and names"
    );
    evidence::advice("systemctl restart nova-network", &note)
}

/// nova-compute of a host: `does` says what that puts right.
pub(crate) fn compute(view: &View, host: &str, does: &str) -> Remedy {
    let runs = view.intent().instances.iter().filter(|i| i.host == host);
    let note = format!(
        "{does}; {} run on, and what is asked of {host} (start, stop, delete) waits until it is back",
        whom(runs)
    );
    evidence::advice("systemctl restart nova-compute", &note)
}

/// Both services of a host, network first, each with its own note.
pub(crate) fn both(view: &View, host: &str, does: &str) -> Vec<Remedy> {
    vec![network(view, host, does), compute(view, host, does)]
}

/// A dnsmasq that runs but must be started anew: that one alone, then nova-network with every network of the host.
/// `signal` is what ends it (`TERM`, or `KILL` where it does not listen).
pub(crate) fn dnsmasq(view: &View, seat: Seat, server: &Dnsmasq, signal: &str, does: &str) -> Vec<Remedy> {
    let bridge = seat.bridge_name().unwrap_or_default();
    let note = format!(
        "{does}: nova-network starts it again when the next instance comes or goes on that network, and the restart \
         below at once; until then {} on {bridge} get neither addresses nor names, and no other network is touched",
        whom(dhcp_server::clients(view, &seat).into_iter())
    );
    let host = &seat.server.name;
    vec![
        evidence::advice(format!("kill -{signal} {}", server.pid), &note),
        network(view, host, "starts every dnsmasq that is gone, with the arguments that nova means"),
    ]
}

/// What a dnsmasq reads again when told to (`SIGHUP`), which disturbs nobody: `command` is done first.
pub(crate) fn reread(server: &Dnsmasq, command: &str, undo: &str, does: &str) -> Remedy {
    let then = |command: &str| format!("{command} && kill -HUP {}", server.pid);
    Remedy { command: then(command), undo: then(undo), note: format!("{does}; disturbs nobody") }
}

/// Those that run, by name and project, or counted where they are more than a handful.
fn whom<'i>(instances: impl Iterator<Item = &'i Instance>) -> String {
    let running: Vec<&Instance> = instances.filter(|i| !i.is_meant_off() && !i.was_never_plugged()).collect();
    let mut projects: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for instance in &running {
        projects.entry(instance.project.as_deref().unwrap_or_default()).or_default().push(&instance.name);
    }
    if running.is_empty() {
        return "no instance".to_owned();
    }
    if running.len() <= HANDFUL {
        let named = projects.iter().map(|(project, names)| of_project(&names.join(", "), project));
        return named.collect::<Vec<String>>().join(", ");
    }
    let counted = format!("{} instances", running.len());
    let names: Vec<&str> = projects.into_keys().filter(|project| !project.is_empty()).collect();
    match names.as_slice() {
        [] => counted,
        [project] => of_project(&counted, project),
        names if names.len() <= HANDFUL => format!("{counted} of projects {}", names.join(", ")),
        names => format!("{counted} of {} projects", names.len()),
    }
}

fn of_project(who: &str, project: &str) -> String {
    if project.is_empty() { who.to_owned() } else { format!("{who} of project {project}") }
}

#[cfg(test)]
mod tests {
    use model::intent::Instance;

    use super::whom;
    use crate::fixture::{Cloud, Hosting, Manager, codes, nova_cloud};

    fn of(name: &str, project: &str) -> Instance {
        let project = Some(project.to_owned()).filter(|p| !p.is_empty());
        Instance { name: name.to_owned(), project, ..Instance::default() }
    }

    /// Each project has its VLAN, and one host serves both.
    fn red_and_blue() -> Cloud {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::NetworkHost);
        for (instance, project) in cloud.intent.instances.iter_mut().zip(["red", "red", "red", "blue"]) {
            instance.project = Some(project.to_owned());
        }
        cloud
    }

    #[test]
    fn a_handful_is_named_and_more_are_counted() {
        let said = |instances: &[Instance]| whom(instances.iter());
        assert_eq!(said(&[]), "no instance");
        assert_eq!(said(&[of("a", ""), of("b", "")]), "a, b");
        let two = [of("a", "red"), of("b", "blue"), of("c", "red")];
        assert_eq!(said(&two), "b of project blue, a, c of project red");
        let many = |projects: u32| -> Vec<Instance> {
            (0..7).map(|n| of(&format!("i{n}"), &format!("p{}", n % projects))).collect()
        };
        assert_eq!(said(&many(1)), "7 instances of project p0");
        assert_eq!(said(&many(2)), "7 instances of projects p0, p1");
        assert_eq!(said(&many(7)), "7 instances of 7 projects");
        let off = Instance { vm_state: Some("stopped".to_owned()), ..of("a", "red") };
        assert_eq!(said(&[off, of("b", "red")]), "b of project red");
    }

    #[test]
    fn one_dnsmasq_comes_before_all_of_a_host() {
        let mut cloud = red_and_blue();
        let mac = cloud.intent.instances[0].vifs[0].mac;
        let servers = cloud.host("network1").dnsmasq.iter_mut();
        servers.filter_map(|d| d.hosts.as_mut()).for_each(|hosts| hosts.retain(|h| Some(h.mac) != mac));
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-stale-hosts-file network1//br101"]);
        let [narrow, wide] = diagnosis.findings[0].remedy.as_slice() else { panic!("{diagnosis:#?}") };
        let file = "/var/lib/nova/networks/nova-br101.conf";
        let mac = mac.unwrap();
        assert_eq!(
            narrow.command.rsplit_once(' ').unwrap().0,
            format!("printf '\\n%s' {mac},10.1.0.11 >> {file} && kill -HUP")
        );
        assert!(narrow.undo.starts_with(&format!("sed -i -e /{mac}/d {file} && kill -HUP ")), "{narrow:?}");
        assert!(narrow.note.ends_with("; disturbs nobody"));
        assert_eq!(wide.command, "systemctl restart nova-network");
        assert!(wide.note.contains("other of project blue, web1, web2, db1 of project red"), "{}", wide.note);
    }

    #[test]
    fn the_narrow_way_tells_of_one_project_where_the_wide_one_tells_of_all() {
        let mut cloud = red_and_blue();
        let servers = cloud.host("network1").dnsmasq.iter_mut();
        servers.for_each(|server| "T".clone_into(&mut server.state));
        let (red, blue) = ("web1, web2, db1 of project red", "other of project blue");
        for (asked, bridge, own, others) in [("web1", "br101", red, "blue"), ("other", "br102", blue, "red")]
        {
            let diagnosis = cloud.diagnose(asked);
            assert_eq!(codes(&diagnosis), [format!("dnsmasq-hung network1//{bridge}")]);
            let [_, narrow, wide] = diagnosis.findings[0].remedy.as_slice() else { panic!("{diagnosis:#?}") };
            assert!(narrow.command.starts_with("kill -KILL "), "{narrow:?}");
            assert!(
                narrow.note.contains(&format!("until then {own} on {bridge} get neither ")),
                "{narrow:?}"
            );
            assert!(!narrow.note.contains(&format!("project {others}")), "{narrow:?}");
            assert_eq!(wide.command, "systemctl restart nova-network");
            assert!(wide.note.contains(&format!("of network1 for a moment: {blue}, {red} may ")), "{wide:?}");
        }
    }
}
