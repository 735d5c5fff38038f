//! Which nova a machine has, without running it: as its packages say.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use parse::packages::NOVA_DEBS;

use crate::files;

/// Where dpkg keeps what is installed. A full machine's is a few MiB.
const DPKG_STATUS: &str = "var/lib/dpkg/status";
const DPKG_STATUS_MAX: u64 = 64 << 20;

/// Folders that have Python's folders: a distribution's, one's own, and those of the usual ways to deploy nova beside
/// the distribution (Kolla's images, OpenStack-Ansible has one for each release).
const PYTHONS: [&str; 5] =
    ["usr/lib", "usr/lib64", "usr/local/lib", "var/lib/kolla/venv/lib", "opt/nova/lib"];
const VENVS: &str = "openstack/venvs";
const PACKAGES: [&str; 2] = ["dist-packages", "site-packages"];
/// A folder's entries, of which a distribution's `usr/lib` and `dist-packages` have some hundreds.
const ENTRIES_MAX: usize = 20_000;
/// The heads come first; what follows is the package's description.
const HEADS_MAX: u64 = 1 << 20;

/// Version of nova below this root: of its package where dpkg has one, else as Python knows it. RPM's database is
/// RPM's alone, and its packages are known to Python as well.
pub(crate) fn read(root: &Path) -> Option<String> {
    debian(&root.join(DPKG_STATUS)).or_else(|| python(root))
}

/// `nova-common 2:13.1.4-0ubuntu4.5`.
fn debian(status: &Path) -> Option<String> {
    let file = File::open(status).ok().filter(|file| file.metadata().is_ok_and(|about| about.is_file()))?;
    let lines = BufReader::new(file.take(DPKG_STATUS_MAX)).lines().map_while(Result::ok);
    let mut found: Option<(usize, String)> = None;
    let (mut package, mut is_installed) = (None, false);
    for line in lines {
        if line.is_empty() {
            (package, is_installed) = (None, false);
        } else if let Some(name) = line.strip_prefix("Package: ") {
            package = NOVA_DEBS.iter().position(|deb| *deb == name);
        } else if let Some(status) = line.strip_prefix("Status: ") {
            is_installed = status.ends_with(" installed");
        } else if let Some(version) = line.strip_prefix("Version: ")
            && let Some(at) = package.filter(|_| is_installed)
            && found.as_ref().is_none_or(|(other, _)| at < *other)
            && let Some(name) = NOVA_DEBS.get(at)
        {
            found = Some((at, format!("{name} {version}")));
        }
    }
    found.map(|(_, version)| version)
}

/// `nova 13.1.4`, out of `nova-13.1.4.dist-info/METADATA`, or the older `.egg-info`, which is a folder or a file.
fn python(root: &Path) -> Option<String> {
    let entries = |folder: &Path| files::entries(folder, ENTRIES_MAX).unwrap_or_default();
    let venvs = entries(&root.join(VENVS)).into_iter().map(|venv| venv.join("lib"));
    let pythons = PYTHONS.iter().map(|folder| root.join(folder)).chain(venvs);
    let pythons = pythons.flat_map(|folder| entries(&folder)).filter(|path| starts(path, "python"));
    let packages = pythons.flat_map(|python| PACKAGES.map(|packages| python.join(packages)));
    let novas = packages.flat_map(|folder| entries(&folder)).filter(|path| starts(path, "nova-"));
    let heads = novas.flat_map(|path| match path.extension().and_then(|extension| extension.to_str()) {
        Some("dist-info") => vec![path.join("METADATA")],
        Some("egg-info") => vec![path.join("PKG-INFO"), path],
        Some(_) | None => Vec::new(),
    });
    heads.into_iter().find_map(|path: PathBuf| version(&files::whole(&path, HEADS_MAX).ok()?.text))
}

fn starts(path: &Path, with: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(with))
}

/// Of a package's heads, which an empty line ends, its version, if it is nova.
fn version(heads: &str) -> Option<String> {
    let heads = || heads.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let head = |name: &str| heads().find(|(head, _)| *head == name).map(|(_, value)| value.trim());
    let is_nova = head("Name")?.eq_ignore_ascii_case("nova");
    is_nova.then_some(())?;
    Some(format!("nova {}", head("Version")?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A root that holds these files.
    struct Root(PathBuf);

    impl Root {
        fn of(name: &str, texts: &[(&str, &str)]) -> Root {
            let root = std::env::temp_dir().join(format!("hopline-nova-{name}-{}", std::process::id()));
            for (path, text) in texts {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Root(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const STATUS: &str = "\
Package: nova-compute
Status: install ok installed
Maintainer: somebody
Version: 2:13.1.3-0ubuntu1

Package: nova-network
Status: deinstall ok config-files
Version: 2:12.0.0-0ubuntu1

Package: nova-common
Status: install ok installed
Version: 2:13.1.4-0ubuntu4.5
Description: OpenStack Compute - common files
 Version: of what it is not

Package: novena
Status: install ok installed
Version: 99
";

    #[test]
    fn a_package_says_its_version() {
        let root = Root::of("deb", &[(DPKG_STATUS, STATUS)]);
        assert_eq!(read(&root.0).as_deref(), Some("nova-common 2:13.1.4-0ubuntu4.5"));
        let gone = STATUS.replace("ok installed", "ok config-files");
        let root = Root::of("gone", &[(DPKG_STATUS, &gone)]);
        assert_eq!(read(&root.0), None, "only their settings are left");
    }

    #[test]
    fn python_says_it_where_no_package_does() {
        let heads = "Metadata-Version: 2.1\nName: nova\nVersion: 17.0.13\n\nVersion: not this\n";
        for (case, path) in [
            ("dist", "usr/lib/python3/dist-packages/nova-17.0.13.dist-info/METADATA"),
            ("egg", "usr/lib/python2.7/site-packages/nova-17.0.13-py2.7.egg-info/PKG-INFO"),
            ("old", "usr/lib/python2.7/dist-packages/nova-2012.1.egg-info"),
            ("own", "usr/local/lib/python2.7/dist-packages/nova-17.0.13.dist-info/METADATA"),
            (
                "venv",
                "openstack/venvs/nova-17.1.12/lib/python2.7/site-packages/nova-17.0.13.dist-info/METADATA",
            ),
        ] {
            let root = Root::of(case, &[(path, heads), (DPKG_STATUS, "Package: bash\nVersion: 5\n")]);
            assert_eq!(read(&root.0).as_deref(), Some("nova 17.0.13"), "{case}");
        }
        let other = heads.replace("Name: nova", "Name: nova-powervm");
        let path = "usr/lib/python3/dist-packages/nova-powervm-1.0.dist-info/METADATA";
        let root = Root::of("other", &[(path, &other)]);
        assert_eq!(read(&root.0), None, "a driver of nova's is not nova");
        assert_eq!(read(Path::new("/nowhere")), None);
    }
}
