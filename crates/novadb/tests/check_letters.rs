//! Hosts, projects and uuids that are written in other letters, or with a blank behind them: nova asks its database for
//! them, and MySQL's usual collation takes them for the same. The three databases find the same of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/planted.rs"]
mod planted;
#[path = "../../cloud/tests/support/servers.rs"]
mod servers;

use cloud::{Ask, Clock, DatabaseUrl, InfoCache, MendError, ROWS_MAX, ShowError};
use planted::{PATIENCE, lax_schema, pieces, pieces_of, run, sqlite};
use servers::ADMIN_PASSWORD;

const LETTERS: &str = include_str!("letters.sql");

/// All that is found, `CODE ROW`. What is printed as a finding's statement is one that the server's own client takes.
fn found(url: &DatabaseUrl) -> Vec<String> {
    let clock = Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() };
    let checked = cloud::check(url, PATIENCE, &clock, |_| ()).unwrap();
    checked.found.iter().for_each(|found| run(url, &found.select));
    let findings = checked.found.iter().map(|found| found.finding(ROWS_MAX));
    let lines = findings.flat_map(|finding| {
        let code = finding.code;
        finding.evidence.into_iter().map(move |line| format!("{code} {}", line.text))
    });
    lines.collect()
}

/// What a diagnosis is told of rows that instances left behind, `TABLE ID NAME`.
fn remains(url: &DatabaseUrl) -> Vec<String> {
    let remains = cloud::read(url, PATIENCE).unwrap().remains;
    let line =
        |table: &str, id: u64, name: Option<String>| format!("{table} {id} {}", name.unwrap_or_default());
    let floating = remains.floating.into_iter().map(|tied| line("floating_ips", tied.id, tied.name));
    let fixed = remains.fixed.into_iter().map(|leaked| line("fixed_ips", leaked.id, leaked.name));
    floating.chain(fixed).collect()
}

/// What is asked for of one instance, whose uuid is written in several ways.
fn one_is_found_by_every_word(url: &DatabaseUrl) {
    let of_small = cloud::show(url, PATIENCE, "abcdef00-0000-4000-8000-00000000530a").unwrap();
    let [w530] = of_small.records.instances.as_slice() else {
        panic!("{url}: {:?}", of_small.records.instances)
    };
    let [vif] = w530.vifs.as_slice() else { panic!("{url}: {:?}", w530.vifs) };
    assert_eq!((w530.id, vif.fixed.len(), vif.floating.len()), (Some(530), 1, 1), "{url}");
    assert_eq!(w530.security_groups.len(), 1, "{url}");
    assert!(matches!(of_small.cache, InfoCache::Same(_)), "{url}: {:?}", of_small.cache);
    for word in [
        "ABCDEF00-0000-4000-8000-00000000530A",
        "abcdef00-0000-4000-8000-00000000530A",
        "10.0.0.130",
        "203.0.113.53",
        "fa:16:3e:00:05:30",
    ] {
        let found = cloud::show(url, PATIENCE, word).unwrap();
        assert_eq!(found.records.instances, of_small.records.instances, "{word}, {url}");
    }
    let of_mixed = cloud::show(url, PATIENCE, "abcdef00-0000-4000-8000-00000000531a").unwrap();
    let [w531] = of_mixed.records.instances.as_slice() else { panic!("{url}") };
    let [vif] = w531.vifs.as_slice() else { panic!("{url}: {:?}", w531.vifs) };
    assert_eq!((vif.mac.is_some(), vif.fixed.len(), vif.floating.len()), (true, 1, 1), "{url}");
    assert_eq!((w531.security_groups.len(), of_mixed.leased.len()), (1, 1), "{url}");
    assert!(matches!(of_mixed.cache, InfoCache::Same(_)), "{url}: {:?}", of_mixed.cache);
    for word in ["ABCdef00-0000-4000-8000-00000000531a", "10.0.0.131", "203.0.113.57", "fa:16:3e:00:05:31"] {
        let found = cloud::show(url, PATIENCE, word).unwrap().records.instances;
        assert_eq!(
            found.iter().map(|instance| instance.id).collect::<Vec<_>>(),
            [Some(531)],
            "{word}, {url}"
        );
    }
    let deleted = cloud::show(url, PATIENCE, "ABCDEF00-0000-4000-8000-00000000540a");
    assert!(matches!(deleted, Err(ShowError::Deleted { .. })), "{url}");
}

/// What lives is not taken from it, whatever letters tie it; what is deleted is called by its name.
fn only_what_is_nobodys_is_released(url: &DatabaseUrl) {
    let plan = |last: u8| {
        let ask = Ask::Release { address: [203, 0, 113, last].into(), from_pool: false };
        cloud::plan(url, PATIENCE, &ask, &Clock::default())
    };
    for last in [53, 57] {
        assert!(matches!(plan(last), Err(MendError::Lives { .. })), "{last}, {url}");
    }
    let summary = plan(140).unwrap().summary;
    assert!(summary.ends_with("whose instance (w540) is deleted"), "{summary}, {url}");
}

#[test]
fn other_letters_are_the_same_to_all_three() {
    let (base, _) = pieces();
    let (_, letters) = pieces_of(LETTERS);
    let [same, faults] = letters.as_slice() else { panic!("{}", letters.len()) };
    let in_order = format!("{}\n{base}\n{}", lax_schema(), same.sql);
    let left = [
        "floating_ips 520 w520",
        "floating_ips 540 w540",
        "fixed_ips 520 w520",
        "fixed_ips 522 ",
        "fixed_ips 540 w540",
    ];
    let looked_at = |url: &DatabaseUrl| {
        run(url, &in_order);
        assert_eq!(found(url), [""; 0], "{url}");
        assert_eq!(remains(url), [""; 0], "{url}");
        run(url, &faults.sql);
        assert_eq!(found(url), faults.finds, "{url}");
        assert_eq!(remains(url), left, "{url}");
        one_is_found_by_every_word(url);
        only_what_is_nobodys_is_released(url);
    };
    let (_dir, file) = sqlite("SELECT 1");
    looked_at(&file);
    let (mysql, postgres) = (servers::mariadb(), servers::postgresql());
    let url = |text: String| DatabaseUrl::parse(&text).unwrap();
    run(
        &url(format!("mysql://root:{ADMIN_PASSWORD}@127.0.0.1:{}/mysql", mysql.port)),
        "CREATE DATABASE nova",
    );
    looked_at(&url(format!("mysql://root:{ADMIN_PASSWORD}@127.0.0.1:{}/nova", mysql.port)));
    looked_at(&url(format!("postgresql://postgres:{ADMIN_PASSWORD}@127.0.0.1:{}/postgres", postgres.port)));
}
