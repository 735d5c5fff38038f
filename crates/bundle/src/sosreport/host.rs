//! What the host runs and keeps, beside its namespaces.

use model::Netns;
use model::service::{Console, Domain};
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
        None if host
            .processes
            .iter()
            .any(|process| process.argv.iter().any(|word| word.contains("nova-"))) =>
        {
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

/// libvirt's domains, as its files and `virsh dumpxml` tell them; a live one stands for its persistent twin.
fn domains(files: &Files, gaps: &mut Vec<Gap>) -> Vec<Domain> {
    let mut found: Vec<Domain> = Vec::new();
    for (path, text) in files.all() {
        let is_file = wanted::is_domain(path);
        let is_dump = path.starts_with("sos_commands/virsh/") && path.contains("_dumpxml_");
        if !is_file && !is_dump {
            continue;
        }
        let path = if is_file { format!("/{path}") } else { path.to_owned() };
        match parse::libvirt_xml::parse(&path, text) {
            Ok(domain) => found.push(domain),
            Err(problem) => gaps.push(gap(&path, problem.to_string(), format!("an undamaged {path}"))),
        }
    }
    found.sort_by_key(|domain| (domain.name.clone(), !domain.live));
    found.dedup_by(|later, kept| later.name == kept.name);
    found
}

/// Consoles that are not there: they alone would tell what becomes of a lease inside of an instance.
fn unheard(files: &Files, host: &Host) -> Option<Gap> {
    let all = host.domains.iter().filter_map(|domain| domain.console_log.as_deref());
    let lost: Vec<&str> = all.filter(|path| files.text(path.trim_start_matches('/')).is_none()).collect();
    let (first, more) = (lost.first()?, lost.len() - 1);
    let need = if more == 0 { (*first).to_owned() } else { format!("{first}, and {more} more like it") };
    Some(gap(format!("consoles of instances on {}", host.name), "the sosreport does not hold them", need))
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
