//! Repairs, made and taken back.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use cloud::{Ask, Change, Clock, DatabaseUrl, MendError, ROWS_MAX};

use crate::dumped::dump;
use crate::planted::PATIENCE;

pub(crate) const RELEASE: Ask = Ask::Release { address: Ipv4Addr::new(203, 0, 113, 9), from_pool: true };

/// 203.0.113.9 hangs on what a deleted instance left behind.
pub(crate) const LEFT_BEHIND: &str = "\
    INSERT INTO instances (id, uuid, hostname, host, project_id, vm_state, deleted) VALUES \
     (902, 'u902', 'gone1', 'compute1', 'p1', 'deleted', 902); \
    INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, instance_uuid, deleted) VALUES \
     (903, '10.0.0.93', 1, TRUE, FALSE, FALSE, 'u902', 0); \
    INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, updated_at, deleted) VALUES \
     (909, '203.0.113.9', 903, 'p1', 'compute1', TRUE, '2026-11-01 01:02:03', 0);";

pub(crate) fn clock() -> Clock {
    Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() }
}

pub(crate) fn plan(url: &DatabaseUrl, ask: &Ask) -> Result<Change, MendError> {
    cloud::plan(url, PATIENCE, ask, &clock())
}

/// Plans and applies; the record's name.
pub(crate) fn apply(url: &DatabaseUrl, ask: &Ask, folder: &Path) -> Result<String, MendError> {
    let change = plan(url, ask)?;
    cloud::apply(url, PATIENCE, ask, &clock(), &change, folder).map(|applied| applied.id)
}

/// The rows of the findings that hopline repairs itself.
pub(crate) fn repairs(url: &DatabaseUrl) -> Vec<(String, u64)> {
    let checked = cloud::check(url, PATIENCE, &clock(), |_| ()).unwrap();
    let findings = checked.found.iter().map(|found| found.finding(ROWS_MAX));
    let writes = |finding: &model::Finding| finding.remedy[0].command.starts_with("hopline db repair ");
    let of_rows = findings.filter(writes).flat_map(|finding| {
        let id = |text: &str| text.split([' ', ':']).nth(1).unwrap().parse().unwrap();
        let ids: Vec<u64> = finding.evidence.iter().map(|row| id(&row.text)).collect();
        ids.into_iter().map(move |id| (finding.code.clone(), id))
    });
    of_rows.collect()
}

/// Each row is repaired, is found no more, and is restored.
pub(crate) fn each_repair_goes_there_and_back(url: &DatabaseUrl, folder: &Path) {
    let found = repairs(url);
    let mut mended = BTreeSet::new();
    for (code, row) in &found {
        let ask = Ask::Repair { code: code.clone(), row: *row };
        let before = dump(url);
        let id = match apply(url, &ask, folder) {
            Ok(id) => id,
            // Its own conditions keep the repair from what somebody uses.
            Err(MendError::Guarded { .. } | MendError::FloatingHangs { .. }) => {
                assert_eq!(dump(url), before);
                continue;
            }
            Err(error) => panic!("{code} {row} in {url}: {error}"),
        };
        assert!(!repairs(url).contains(&(code.clone(), *row)), "{code} {row} in {url} is still found");
        assert_ne!(dump(url), before);
        cloud::undo(url, PATIENCE, folder, &id).unwrap();
        assert_eq!(dump(url), before, "{code} {row} in {url}");
        let again = cloud::undo(url, PATIENCE, folder, &id).unwrap_err();
        assert!(again.to_string().contains("taken back already"), "{again}");
        mended.insert(code);
    }
    let all: BTreeSet<&String> = found.iter().map(|(code, _)| code).collect();
    assert_eq!(mended, all, "each code has a row that could be repaired");
    assert!(all.len() >= 17, "{all:?}");
}
