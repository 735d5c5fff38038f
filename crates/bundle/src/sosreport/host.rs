//! What the host runs and keeps, beside its namespaces.

use model::Netns;
use model::few;
use model::service::{Console, Domain, Process};
use model::snapshot::{Gap, Host};

use super::files::Files;
use super::{gap, services, unparsed, wanted};

/// The host's name as it says itself.
pub(super) fn name(files: &Files) -> Option<String> {
    let told = files.command(&["hostname"]).map(|(_, text)| text);
    let told = told.or_else(|| files.text("hostname")).or_else(|| files.text("etc/hostname"));
    let by_itself = told.and_then(|text| text.split_whitespace().next()).map(str::to_owned);
    by_itself.or_else(|| uname(files, 1))
}

/// Release of its kernel.
pub(super) fn kernel(files: &Files) -> Option<String> {
    let told = files.text("proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
    told.or_else(|| uname(files, 2))
}

/// A word of `uname -a`: `Linux NAME RELEASE ...`.
fn uname(files: &Files, word: usize) -> Option<String> {
    let (_, text) = files.first(&["sos_commands/kernel/uname_-a", "uname"])?;
    text.split_whitespace().nth(word).map(str::to_owned)
}

/// Reads it.
pub(super) fn read(files: &Files, name: &str, netns: &Netns) -> (Host, Vec<Gap>) {
    let mut gaps = Vec::new();
    let mut host = Host {
        name: name.to_owned(),
        role: "compute".to_owned(),
        kernel: kernel(files).unwrap_or_default(),
        ..Host::default()
    };
    services::read(files, netns, &mut host, &mut gaps);
    host.domains = domains(files, &mut gaps);
    host.consoles = consoles(files);
    gaps.extend(unheard(files, &host));
    gaps.extend((!host.domains.is_empty()).then(|| {
        let what = format!("what runs inside of the instances of {name}");
        let why = "a sosreport does not tell: neither their own rules, nor who of them answers for others";
        gap(what, why, "`hopline diagnose` on the host, which asks in their place")
    }));
    let nova = [
        "etc/nova/nova.conf",
        "var/lib/config-data/puppet-generated/nova_libvirt/etc/nova/nova.conf",
        "var/lib/config-data/puppet-generated/nova/etc/nova/nova.conf",
    ];
    match files.first(&nova) {
        Some((path, text)) => {
            let parsed = parse::oslo_config::parse(&format!("/{path}"), text);
            gaps.extend(unparsed(&path, &parsed.problems));
            host.nova = Some(parse::oslo_config::nova_options(&parsed.value));
        }
        None if runs_nova(&host) => {
            gaps.push(gap(
                format!("nova.conf of {name}"),
                "the sosreport does not hold it",
                "/etc/nova/nova.conf",
            ));
        }
        None => {}
    }
    if host.domains.is_empty() && netns.links.iter().any(|link| link.name.starts_with("vnet")) {
        let need = "/run/libvirt/qemu/*.xml, or `virsh dumpxml` of each";
        gaps.push(gap(
            format!("domains of {name}"),
            "the sosreport holds none, and there are taps of some",
            need,
        ));
    }
    (host, gaps)
}

/// Its services run, or it is set up for them: `/usr/bin/python2 /usr/bin/nova-compute ...`.
pub(super) fn runs_nova(host: &Host) -> bool {
    let is_novas = |word: &String| word.rsplit('/').next().is_some_and(|name| name.starts_with("nova-"));
    let runs_it = |process: &Process| process.argv.iter().take(2).any(is_novas);
    host.nova.is_some() || host.processes.iter().any(runs_it)
}

/// Files of domains: a thousand instances have three each, and each instance is looked for among all.
const DOMAINS_MAX: usize = 6_000;

/// libvirt's domains, as its files and `virsh dumpxml` tell them; a live one stands for its persistent twin.
fn domains(files: &Files, gaps: &mut Vec<Gap>) -> Vec<Domain> {
    let mut found: Vec<Domain> = Vec::new();
    let is_dump = |path: &str| path.starts_with("sos_commands/virsh/") && path.contains("_dumpxml_");
    let mut all = files.all().filter(|(path, _)| wanted::is_domain(path) || is_dump(path));
    for (path, text) in all.by_ref().take(DOMAINS_MAX) {
        let path = if is_dump(path) { path.to_owned() } else { format!("/{path}") };
        match parse::libvirt_xml::parse(&path, text) {
            Ok(domain) => found.push(domain),
            Err(problem) => gaps.push(gap(&path, problem.to_string(), format!("an undamaged {path}"))),
        }
    }
    let more = all.count();
    gaps.extend((more > 0).then(|| {
        let why = format!(
            "there are {more} files of them more than the {DOMAINS_MAX} that are read of a sosreport"
        );
        gap("the rest of libvirt's domains", why, "a bundle of the host, by `hopline collect`")
    }));
    found.sort_by_key(|domain| (domain.name.clone(), !domain.live));
    found.dedup_by(|later, kept| later.name == kept.name);
    found
}

/// Consoles that are not there: they alone would tell what becomes of a lease inside of an instance. Where libvirt's
/// XML names none, it is where nova has it written (`get_console_log_path`, nova/virt/libvirt/utils.py).
fn unheard(files: &Files, host: &Host) -> Option<Gap> {
    let of_nova = |domain: &Domain| {
        let uuid = domain.uuid.as_deref().filter(|_| domain.display_name.is_some())?;
        Some(format!("/var/lib/nova/instances/{uuid}/console.log"))
    };
    let all = host.domains.iter().filter_map(|domain| domain.console_log.clone().or_else(|| of_nova(domain)));
    let lost: Vec<String> = all.filter(|path| files.text(path.trim_start_matches('/')).is_none()).collect();
    let why = "the sosreport does not hold them";
    (!lost.is_empty())
        .then(|| gap(format!("consoles of the instances of {}", host.name), why, few::named(&lost)))
}

/// `.../instances/ID/console.log`.
fn consoles(files: &Files) -> Vec<(String, Console)> {
    let read = files.all().filter_map(|(path, text)| {
        let folder = path.strip_suffix("/console.log")?;
        let name = folder.rsplit('/').next()?;
        Some((name.to_owned(), parse::console::parse(&format!("/{path}"), text)))
    });
    read.collect()
}
