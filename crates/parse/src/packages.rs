//! What is installed, as `dpkg -l` and `rpm -qa` list it; of it nova, whose version tells which rules it writes.

/// Packages that each hold nova's code or come with it in one version, as Debian and Ubuntu call them.
pub const NOVA_DEBS: [&str; 6] =
    ["nova-common", "nova-network", "nova-compute", "nova-api-metadata", "python3-nova", "python-nova"];
/// The same as RDO and its kin call them.
const NOVA_RPMS: [&str; 6] = [
    "openstack-nova-common",
    "openstack-nova-network",
    "openstack-nova-compute",
    "python3-nova",
    "python2-nova",
    "python-nova",
];

/// Of `dpkg -l`'s list nova's package and its version, `nova-common 2:13.1.4-0ubuntu4.5`. An old dpkg cuts
/// off what has no room in its column: what may be such a one ends in `…`.
pub fn nova_of_debs(text: &str) -> Option<String> {
    let is_cut = |version: &str| room_of_all(text) == Some(version.chars().count());
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        // What is wanted of it, and what it is: `i` is installed, `c` has left but its settings.
        let is_installed = words.next()?.chars().nth(1) == Some('i');
        let name = words.next()?.split(':').next()?;
        let version = words.next().filter(|_| is_installed)?;
        Some((name, format!("{version}{}", if is_cut(version) { "…" } else { "" })))
    });
    first_of(&NOVA_DEBS, lines)
}

/// `+++-==============-==============-`: how much room names and versions have, where both have the same, as they do
/// where that does not follow from how long they are.
fn room_of_all(text: &str) -> Option<usize> {
    let ruler = text.lines().find_map(|line| line.strip_prefix("+++-"))?;
    let mut columns = ruler.split('-').map(str::len);
    let names = columns.next()?;
    columns.next().filter(|versions| *versions == names)
}

/// Of `rpm -qa`'s list the same: `openstack-nova-common 17.0.13-1.el7`. Only the first word of a line counts.
pub fn nova_of_rpms(text: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| {
        // NAME-VERSION-RELEASE.ARCHITECTURE
        let (whole, _) = line.split_whitespace().next()?.rsplit_once('.')?;
        let (head, release) = whole.rsplit_once('-')?;
        let (name, version) = head.rsplit_once('-')?;
        Some((name, format!("{version}-{release}")))
    });
    first_of(&NOVA_RPMS, lines)
}

/// The first of these names that is installed, with its version.
fn first_of<'t>(names: &[&str], installed: impl Iterator<Item = (&'t str, String)>) -> Option<String> {
    let known = installed.filter_map(|(name, version)| {
        let at = names.iter().position(|known| *known == name)?;
        Some((at, format!("{name} {version}")))
    });
    known.min_by_key(|(at, _)| *at).map(|(_, found)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBS: &str = "\
Desired=Unknown/Install/Remove/Purge/Hold
| Status=Not/Inst/Conf-files/Unpacked/halF-conf/Half-inst/trig-aWait/Trig-pend
|/ Err?=(none)/Reinst-required (Status,Err: uppercase=bad)
||/ Name                      Version                Architecture Description
+++-=========================-======================-============-=============================
ii  libc6:amd64               2.23-0ubuntu11.3       amd64        GNU C Library: Shared libraries
rc  nova-common               2:12.0.0-0ubuntu1      all          OpenStack Compute - common files
hi  nova-network              2:13.1.4-0ubuntu4.5    all          OpenStack Compute - Network manager
ii  python-nova               2:13.1.4-0ubuntu4.4    all          OpenStack Compute Python libraries
ii  python-novaclient         2:3.3.1-2ubuntu1       all          client library for OpenStack Compute
";

    #[test]
    fn of_debs_the_first_of_novas_counts_that_is_installed() {
        assert_eq!(nova_of_debs(DEBS).as_deref(), Some("nova-network 2:13.1.4-0ubuntu4.5"));
        let whole = DEBS.replace("rc  nova-common", "ii  nova-common");
        assert_eq!(nova_of_debs(&whole).as_deref(), Some("nova-common 2:12.0.0-0ubuntu1"));
        let without = DEBS.replace("nova-network ", "novena ").replace("python-nova ", "python-novena ");
        assert_eq!(nova_of_debs(&without), None, "its client is not nova");
        assert_eq!(nova_of_debs("ii\nii  nova-common\n\n"), None);
    }

    /// Of an old dpkg's 80 columns names and versions have 14 each.
    #[test]
    fn a_version_that_may_be_cut_says_so() {
        let list = |version: &str| {
            let ruler = "+++-==============-==============-============-=================================";
            format!("{ruler}\nii  nova-common    {version} all          OpenStack Compute - common files\n")
        };
        assert_eq!(nova_of_debs(&list("2012.1.3+stabl")).as_deref(), Some("nova-common 2012.1.3+stabl…"));
        assert_eq!(nova_of_debs(&list("2012.1-0ubuntu")).as_deref(), Some("nova-common 2012.1-0ubuntu…"));
        assert_eq!(nova_of_debs(&list("2012.1-0      ")).as_deref(), Some("nova-common 2012.1-0"));
    }

    #[test]
    fn of_rpms_the_same() {
        let list = "\
bash-4.2.46-34.el7.x86_64                                   Thu Mar  7 10:11:12 2019
python2-novaclient-10.1.1-1.el7.noarch                      Thu Mar  7 10:15:01 2019
python-nova-17.0.13-2.el7.noarch                            Thu Mar  7 10:15:02 2019
openstack-nova-network-17.0.13-1.el7.noarch                 Thu Mar  7 10:15:03 2019
";
        assert_eq!(nova_of_rpms(list).as_deref(), Some("openstack-nova-network 17.0.13-1.el7"));
        let extended = "openstack-nova-common-17.0.13-1.el7.noarch\tThu 07 Mar 2019\t155\tCentOS\n";
        assert_eq!(nova_of_rpms(extended).as_deref(), Some("openstack-nova-common 17.0.13-1.el7"));
        assert_eq!(nova_of_rpms("nova\n-.\nrpmdb: unable to open\n\n"), None);
    }
}
