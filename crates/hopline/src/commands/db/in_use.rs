//! What hosts still use of a fixed IP that a repair would give away: the database cannot tell, and whoever gets the
//! address next would share it.

use std::net::{IpAddr, Ipv4Addr};

use cloud::Change;
use model::service::Domain;
use model::snapshot::Gap;
use model::{Snapshot, shell};

use crate::failure::Failure;

/// Why the change must wait, and what is done first.
pub(super) fn refused(snapshot: &Snapshot, change: &Change) -> Option<Failure> {
    runs(snapshot, change).or_else(|| carries(snapshot, given_out(change)?))
}

/// The change takes the row from an instance that has ended, or gives its address out.
pub(super) fn is_asked(change: &Change) -> bool {
    change.had.gone.is_some() || given_out(change).is_some()
}

/// Hosts that were read, and not their domains.
pub(super) fn unread(snapshot: &Snapshot, change: &Change) -> Vec<Gap> {
    let unread = snapshot.hosts.iter().filter(|host| host.running_domains.is_none());
    let gap =
        |host: &model::snapshot::Host| not_seen(&host.name, "its running domains were not read", change);
    unread.filter(|_| change.had.gone.is_some()).map(gap).collect()
}

/// What is not known of a host.
pub(super) fn not_seen(host: &str, why: &str, change: &Change) -> Gap {
    let address = change.had.fixed.map_or("the address".to_owned(), |ip| ip.to_string());
    Gap {
        what: format!("whether {host} still uses {address}"),
        why: why.to_owned(),
        would_need: format!("`virsh list --uuid --name` and `ip addr show to {address}` there"),
    }
}

/// The instance has ended in the database alone.
fn runs(snapshot: &Snapshot, change: &Change) -> Option<Failure> {
    let key = change.had.gone.as_deref()?;
    let running = |host: &model::snapshot::Host| {
        let domain = host.domains.iter().find(|domain| domain.live && is_of(domain, key))?;
        Some((host.name.clone(), domain.name.clone()))
    };
    let (host, domain) = snapshot.hosts.iter().find_map(running)?;
    let address = change.had.fixed.map_or("its address".to_owned(), |ip| ip.to_string());
    let why =
        format!("{host} still runs {domain}, which has {address}: whoever gets that next would share it");
    let first = format!("`virsh destroy {}` on {host} first, where nobody needs it", shell::operand(&domain));
    Some(Failure::new(why).hint(first))
}

/// By uuid, or by the number that Essex ties rows by, of which nova makes the domain's name.
fn is_of(domain: &Domain, key: &str) -> bool {
    let is_uuid = domain.uuid.as_ref().is_some_and(|uuid| uuid.eq_ignore_ascii_case(key));
    is_uuid || key.parse::<u32>().is_ok_and(|id| domain.name == format!("instance-{id:08x}"))
}

/// The address, where nothing in the row keeps nova from giving it out, or a host from losing it.
fn given_out(change: &Change) -> Option<Ipv4Addr> {
    let after = |column: &str| change.after.get(column).cloned().flatten().filter(|text| !text.is_empty());
    let is_reserved = after("reserved").is_some_and(|flag| matches!(flag.as_str(), "1" | "true"));
    let is_deleted = change.before.get("deleted") != change.after.get("deleted");
    let is_kept = change.table != "fixed_ips" || is_deleted || is_reserved || after("host").is_some();
    change.had.fixed.filter(|_| !is_kept)
}

fn carries(snapshot: &Snapshot, address: Ipv4Addr) -> Option<Failure> {
    let mains = snapshot.hosts.iter().filter_map(|host| snapshot.main_netns(&host.name));
    let carried = |ns: &model::Netns| {
        let own = ns.addresses.iter().find(|own| own.net.addr() == IpAddr::V4(address))?;
        let link = ns.links.iter().find(|link| link.index == own.link)?;
        let word = format!("{address}/{}", own.net.prefix_len());
        let command = format!("ip addr del {word} dev {}", shell::word(&link.name));
        Some((ns.machine.clone(), link.name.clone(), shell::within(ns.enter.as_deref(), &command)))
    };
    let (host, device, command) = mains.into_iter().find_map(carried)?;
    let why = format!("{host} carries {address} on {device}: whoever has the row then would share it");
    let first = format!(
        "where the host needs the address, leave its row, and give an instance that is named there another through \
         nova; else first, on {host}: `{command}`"
    );
    Some(Failure::new(why).hint(first))
}

#[cfg(test)]
mod tests {
    use cloud::{Had, Row};
    use model::link::Link;
    use model::snapshot::Host;
    use model::{Netns, route::Address};

    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 42);

    fn row(cells: &[(&str, Option<&str>)]) -> Row {
        cells.iter().map(|(column, cell)| ((*column).to_owned(), cell.map(str::to_owned))).collect()
    }

    fn change(gone: Option<&str>, after: &[(&str, Option<&str>)]) -> Change {
        let had = Had { fixed: Some(ADDRESS), gone: gone.map(str::to_owned) };
        let before = row(&[("deleted", Some("0"))]);
        let mut change = Change::default();
        (change.table, change.before, change.after, change.had) =
            ("fixed_ips".to_owned(), before, row(after), had);
        change
    }

    const FREE: [(&str, Option<&str>); 3] = [("deleted", Some("0")), ("host", None), ("reserved", Some("0"))];

    fn running(name: &str, uuid: Option<&str>, live: bool) -> Snapshot {
        let uuid = uuid.map(str::to_owned);
        let domain = Domain { name: name.to_owned(), uuid, live, ..Domain::default() };
        let host = Host { name: "compute1".to_owned(), domains: vec![domain], ..Host::default() };
        Snapshot { hosts: vec![host], ..Snapshot::default() }
    }

    #[test]
    fn what_a_domain_still_has_is_not_given_away() {
        let told = |snapshot: &Snapshot, gone: Option<&str>| {
            refused(snapshot, &change(gone, &FREE)).map(|failure| failure.to_string())
        };
        let words = "compute1 still runs instance-0000000a, which has 10.0.0.42: whoever gets that next would share it";
        let by_uuid = running("instance-0000000a", Some("ABC-1"), true);
        assert_eq!(told(&by_uuid, Some("abc-1")).as_deref(), Some(words));
        assert_eq!(told(&running("instance-0000000a", None, true), Some("10")).as_deref(), Some(words));
        // Another's, one that is off, and an instance that lives.
        assert_eq!(told(&by_uuid, Some("abc-2")), None);
        assert_eq!(told(&running("instance-0000000a", Some("abc-1"), false), Some("abc-1")), None);
        assert_eq!(told(&by_uuid, None), None);
    }

    #[test]
    fn what_a_host_carries_is_not_given_out() {
        let link = Link { index: 2, name: "br100".to_owned(), ..Link::default() };
        let own = Address::global(2, "10.0.0.42/24".parse().unwrap());
        let machine = "compute1".to_owned();
        let ns =
            Netns { machine: machine.clone(), links: vec![link], addresses: vec![own], ..Netns::default() };
        let host = Host { name: machine, ..Host::default() };
        let snapshot = Snapshot { hosts: vec![host], netns: vec![ns], ..Snapshot::default() };
        let told = |after: &[(&str, Option<&str>)]| refused(&snapshot, &change(None, after));
        let failure = told(&FREE).unwrap().to_string();
        assert!(failure.starts_with("compute1 carries 10.0.0.42 on br100"), "{failure}");
        // The row stays the host's, or reserved, or is one of two and goes.
        for kept in [("host", Some("compute1")), ("reserved", Some("true")), ("deleted", Some("7"))] {
            let after: Vec<_> = FREE.iter().map(|cell| if cell.0 == kept.0 { kept } else { *cell }).collect();
            assert_eq!(told(&after), None, "{kept:?}");
        }
    }
}
