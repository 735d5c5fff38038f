//! Which device of the site a capture was made at, by what the file calls it or who gave it.

use model::Snapshot;

/// A device: machine, namespace, name.
pub(crate) type Device = (String, String, String);

/// The device that is meant by a name of a capture's, `given` being what stood before the file's name.
///
/// # Errors
/// Why none is, or not one alone.
pub(crate) fn device(snapshot: &Snapshot, name: &str, given: Option<&str>) -> Result<Device, String> {
    let Some(given) = given else { return named(snapshot, name) };
    if snapshot.netns.iter().any(|ns| ns.machine == given) {
        return of_machine(snapshot, given, name);
    }
    named(snapshot, given)
}

/// A host was named: the devices are its own.
fn of_machine(snapshot: &Snapshot, machine: &str, name: &str) -> Result<Device, String> {
    let device = name.rsplit('/').next().unwrap_or(name);
    let mut of_it = all(snapshot, device).filter(|found| found.0 == machine);
    match (of_it.next(), of_it.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            Err(format!("{machine} has several devices `{device}`, in namespaces of its own"))
        }
        (None, _) => Err(format!("{machine} has no device `{device}`")),
    }
}

/// `HOST/NETNS/DEVICE`, `HOST/DEVICE`, or a device that only one machine has.
fn named(snapshot: &Snapshot, name: &str) -> Result<Device, String> {
    let parts: Vec<&str> = name.split('/').collect();
    let exact = match parts.as_slice() {
        [machine, netns, device] => Some((*machine, *netns, *device)),
        [machine, device] => Some((*machine, "", *device)),
        _ => None,
    };
    let is_exact = |found: &Device| exact == Some((found.0.as_str(), found.1.as_str(), found.2.as_str()));
    let device = parts.last().copied().unwrap_or(name);
    if let Some(found) = all(snapshot, device).find(is_exact) {
        return Ok(found);
    }
    // Of two parts that name none, the first may be the file's, as `correlate` has it.
    if parts.len() == 3 {
        return Err(format!("the site has no `{name}`"));
    }
    let hosts: Vec<Device> = all(snapshot, device).collect();
    match hosts.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(format!("the site has no device `{device}`")),
        [_, _, ..] => {
            let machines: Vec<&str> = hosts.iter().map(|found| found.0.as_str()).collect();
            Err(format!("several machines have a device `{device}`: {}", machines.join(", ")))
        }
    }
}

/// The devices of this name.
fn all<'s>(snapshot: &'s Snapshot, device: &'s str) -> impl Iterator<Item = Device> + 's {
    let has = move |ns: &&model::Netns| !device.is_empty() && ns.link_named(device).is_some();
    snapshot.netns.iter().filter(has).map(move |ns| (ns.machine.clone(), ns.name.clone(), device.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Netns;
    use model::link::Link;

    fn site() -> Snapshot {
        let netns = |machine: &str, devices: &[&str]| Netns {
            machine: machine.to_owned(),
            links: devices.iter().map(|name| Link { name: (*name).to_owned(), ..Link::default() }).collect(),
            ..Netns::default()
        };
        let netns = vec![netns("compute1", &["eth0", "br100"]), netns("gw", &["eth0"])];
        Snapshot { netns, ..Snapshot::default() }
    }

    #[test]
    fn a_name_is_a_device_where_it_can_only_be_one() {
        let told = |name: &str, given: Option<&str>| {
            device(&site(), name, given).map(|(machine, netns, device)| format!("{machine}/{netns}/{device}"))
        };
        let br100 = Ok("compute1//br100".to_owned());
        for (name, given) in [
            ("compute1//br100", None),
            ("compute1/br100", None),
            ("br100", None),
            ("monday/br100", None),
            ("anything", Some("br100")),
            ("br100", Some("compute1")),
            ("any/br100", Some("compute1")),
        ] {
            assert_eq!(told(name, given), br100, "{name} {given:?}");
        }
        for (name, given, why) in [
            ("eth0", None, "several machines have a device `eth0`: compute1, gw"),
            ("compute2//eth0", None, "the site has no `compute2//eth0`"),
            ("tcpdump", None, "the site has no device `tcpdump`"),
            ("eth7", Some("gw"), "gw has no device `eth7`"),
            ("", None, "the site has no device ``"),
        ] {
            assert_eq!(told(name, given).unwrap_err(), why);
        }
    }
}
