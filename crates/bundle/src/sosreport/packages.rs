//! Which nova the host has, as its lists of packages say.

use std::collections::BTreeMap;

use model::snapshot::{Gap, Host};

use super::files::Files;
use super::{gap, host};

/// Where dpkg's list is, and rpm's: the first is a link in most reports.
const DEBS: [&str; 2] = ["installed-debs", "sos_commands/dpkg/dpkg_-l"];
const RPMS: [&str; 2] = ["installed-rpms", "sos_commands/rpm/package-data"];

/// What the kernel calls itself, and nova's packages, where `collect` has those of a live host. Where nova runs or has
/// its settings and no list tells its version, the gap.
pub(super) fn versions(files: &Files, host: &Host) -> (BTreeMap<String, String>, Option<Gap>) {
    let kernel = host::kernel(files).map(|release| ("kernel", release));
    let debs = files.first(&DEBS);
    let rpms = files.first(&RPMS).or_else(|| {
        let listed = files.all().find(|(path, _)| path.starts_with("sos_commands/rpm/"));
        listed.map(|(path, text)| (path.to_owned(), text))
    });
    let nova = debs.as_ref().and_then(|(_, text)| parse::packages::nova_of_debs(text));
    let nova = nova.or_else(|| rpms.as_ref().and_then(|(_, text)| parse::packages::nova_of_rpms(text)));
    let runs = || host.processes.iter().flat_map(|process| &process.argv).any(|word| word.contains("nova-"));
    let is_lacking = nova.is_none() && (host.nova.is_some() || runs());
    let lacking = is_lacking.then(|| {
        let (why, need) = match debs.or(rpms) {
            Some((path, _)) => (format!("{path} has no package of it"), "nova-manage version"),
            None => ("the sosreport lists no packages".to_owned(), list(files)),
        };
        gap(format!("version of nova of {}", host.name), why, need)
    });
    let nova = nova.map(|version| ("nova", version));
    (kernel.into_iter().chain(nova).map(|(name, version)| (name.to_owned(), version)).collect(), lacking)
}

/// The list that this host would have, by how its kernel's builders call themselves.
fn list(files: &Files) -> &'static str {
    let kernel = files.first(&["sos_commands/kernel/uname_-a", "uname"]).map_or("", |(_, text)| text);
    if kernel.contains("Ubuntu") || kernel.contains("Debian") {
        "installed-debs: the plugin `dpkg` writes it"
    } else if kernel.contains(".el") || kernel.contains(".fc") {
        "installed-rpms: the plugin `rpm` writes it"
    } else {
        "installed-debs or installed-rpms: the plugins `dpkg` and `rpm` write them"
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_folder;
    use super::super::tests::copy_of_sample;

    /// As `collect` tells it of a live host, out of what dpkg or rpm listed.
    #[test]
    fn novas_version_is_what_its_packages_say() {
        let folder = tempfile::tempdir().unwrap();
        let copied = copy_of_sample(folder.path());
        let told = || {
            let bundle = read_folder(&copied, "x").unwrap();
            let machine = bundle.members[0].outcome.as_ref().unwrap();
            let lacking = machine.gaps.iter().find(|gap| gap.what == "version of nova of node8");
            (bundle.manifest.versions, lacking.map(|gap| (gap.why.clone(), gap.would_need.clone())))
        };
        let (versions, lacking) = told();
        assert_eq!(
            (versions["kernel"].as_str(), versions.get("nova"), lacking),
            ("6.1.0-26-amd64", None, None)
        );
        let write = |file: &str, text: &str| {
            std::fs::create_dir_all(copied.join(file).parent().unwrap()).unwrap();
            std::fs::write(copied.join(file), text).unwrap();
        };
        write("etc/nova/nova.conf", "[DEFAULT]\n");
        let needs = |why: &str, need: &str| Some((why.to_owned(), need.to_owned()));
        assert_eq!(
            told().1,
            needs("the sosreport lists no packages", "installed-debs: the plugin `dpkg` writes it")
        );
        write("sos_commands/dpkg/dpkg_-l", "ii  bash  5.2.15-2  amd64  shell\n");
        std::os::unix::fs::symlink("sos_commands/dpkg/dpkg_-l", copied.join("installed-debs")).unwrap();
        assert_eq!(told().1, needs("installed-debs has no package of it", "nova-manage version"));
        write("sos_commands/rpm/sh_-c_rpm_-qa_--qf", "python2-nova-17.0.13-1.el7.noarch  Thu Mar  7\n");
        let (versions, lacking) = told();
        assert_eq!((versions["nova"].as_str(), lacking), ("python2-nova 17.0.13-1.el7", None));
        write("sos_commands/dpkg/dpkg_-l", "ii  nova-common  2:17.0.13-0ubuntu5  all  OpenStack\n");
        assert_eq!(told().0["nova"], "nova-common 2:17.0.13-0ubuntu5");
    }
}
