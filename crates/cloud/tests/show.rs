//! One instance's records, by whatever names it, and what is said of those that are not there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

mod support;

use cloud::{DatabaseUrl, InfoCache, Record, ShowError};
use support::{PATIENCE, WEB1, assert_shown, make_sqlite};

const QUEENS: &str = include_str!("fixtures/queens.sql");

fn show(sql: &str, wanted: &str) -> Result<Record, ShowError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.db");
    make_sqlite(&path, sql);
    cloud::show(&DatabaseUrl::parse(&format!("sqlite:{}", path.display())).unwrap(), PATIENCE, wanted)
}

#[test]
fn queens_by_every_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.db");
    make_sqlite(&path, QUEENS);
    assert_shown(&DatabaseUrl::parse(&format!("sqlite:{}", path.display())).unwrap());
}

#[test]
fn essex_is_tied_by_numbers() {
    let record = show(include_str!("fixtures/essex.sql"), "10.0.0.2").unwrap();
    let [web1] = record.records.instances.as_slice() else { panic!("{:?}", record.records.instances) };
    assert_eq!(web1.fixed().collect::<Vec<_>>(), [std::net::Ipv4Addr::new(10, 0, 0, 2)]);
    assert_eq!(web1.security_groups[0].rules.len(), 1);
    assert_eq!(record.cache, InfoCache::Absent);
}

#[test]
fn a_name_is_bound_and_never_a_statement() {
    for wanted in ["' OR 1=1 -- ", "web1' --", "%", "", "\\", "10.0.0.2' OR '1'='1", "?"] {
        let error = show(QUEENS, wanted).unwrap_err();
        assert!(matches!(error, ShowError::Unknown { .. }), "{wanted}: {error:?}");
    }
    let renamed = "UPDATE instances SET hostname = 'o''neill' WHERE id = 10;";
    let record = show(&format!("{QUEENS}{renamed}"), "o'neill").unwrap();
    assert_eq!(record.records.instances[0].uuid.as_deref(), Some(WEB1));
}

#[test]
fn what_lives_no_more_is_told() {
    let gone = format!("{QUEENS}UPDATE instances SET deleted = 10 WHERE id = 10;");
    for wanted in [WEB1, "10", "10.0.0.5", "203.0.113.10", "instance-0000000a", "fa:16:3e:00:00:10"] {
        let error = show(&gone, wanted).unwrap_err();
        let ShowError::Deleted { instance, .. } = &error else { panic!("{wanted}: {error:?}") };
        assert_eq!(*instance, format!("web1 ({WEB1})"));
    }
    assert!(matches!(show(QUEENS, "ghost").unwrap_err(), ShowError::Unseen { .. }));
    assert!(matches!(show(QUEENS, "203.0.113.12").unwrap_err(), ShowError::Unknown { .. }), "nobody's");
}

#[test]
fn several_of_one_name_are_listed() {
    let twin = "UPDATE instances SET hostname = 'db1', deleted = 0 WHERE id = 11;";
    let error = show(&format!("{QUEENS}{twin}"), "db1").unwrap_err();
    let ShowError::Ambiguous { candidates, .. } = &error else { panic!("{error:?}") };
    assert_eq!(candidates.count, 2);
    assert!(error.to_string().contains("on compute2.example.com"), "{error}");
}

/// What goes by the word in any of its ways is a candidate: nobody is shown one and thinks that it is the other.
#[test]
fn a_number_or_an_address_may_be_a_name_too() {
    for name in ["10", "instance-0000000a", "10.0.0.5", "203.0.113.10", "fa:16:3e:00:00:10"] {
        for column in ["hostname", "display_name"] {
            let renamed = format!("UPDATE instances SET {column} = '{name}' WHERE id = 12;");
            let error = show(&format!("{QUEENS}{renamed}"), name).unwrap_err();
            let ShowError::Ambiguous { candidates, .. } = &error else { panic!("{name}: {error:?}") };
            assert_eq!(candidates.count, 2, "{error}");
        }
    }
    // A uuid is the way out of that, and stays one.
    let renamed = format!("UPDATE instances SET hostname = '{WEB1}' WHERE id = 12;");
    let record = show(&format!("{QUEENS}{renamed}"), WEB1).unwrap();
    assert_eq!(record.records.instances[0].id, Some(10));
    let of_nobody = "99999999-aaaa-4000-8000-000000000099";
    let renamed = format!("UPDATE instances SET hostname = '{of_nobody}' WHERE id = 12;");
    let record = show(&format!("{QUEENS}{renamed}"), of_nobody).unwrap();
    assert_eq!(record.records.instances[0].id, Some(12));
}

/// nova makes the hostname of the name once; `nova rename` changes the name alone.
#[test]
fn the_name_that_people_gave_is_one_too() {
    for name in ["Web 1", "web1"] {
        assert_eq!(show(QUEENS, name).unwrap().records.instances[0].id, Some(10), "{name}");
    }
    let renamed = "UPDATE instances SET display_name = 'My Web' WHERE id = 10;";
    assert_eq!(show(&format!("{QUEENS}{renamed}"), "My Web").unwrap().records.instances[0].id, Some(10));
    let twin = "UPDATE instances SET display_name = 'web1' WHERE id = 12;";
    let error = show(&format!("{QUEENS}{twin}"), "web1").unwrap_err();
    assert!(matches!(error, ShowError::Ambiguous { .. }), "{error:?}");
}

/// Its floating IP's host may be where it really runs.
#[test]
fn the_addresses_of_every_host_that_is_named_are_read() {
    let moved = "UPDATE instances SET host = 'compute2.example.com' WHERE id = 10;";
    let record = show(&format!("{QUEENS}{moved}"), "web1").unwrap();
    let hosts: Vec<&str> =
        record.records.networks[0].host_addresses.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, ["compute1", "compute2.example.com"]);
}

#[test]
fn the_info_cache_is_held_to_the_tables() {
    let table = "CREATE TABLE instance_info_caches (id int, instance_uuid varchar(36), network_info text, \
                 deleted int);";
    let cached = |info: &str| {
        let row = format!("INSERT INTO instance_info_caches VALUES (1, '{WEB1}', '{info}', 0);");
        show(&format!("{QUEENS}{table}{row}"), "web1").unwrap().cache
    };
    let fixed = r#"{"address": "10.0.0.5"}, {"address": "10.0.0.2", "floating_ips": [FLOATING]}"#;
    let whole = format!(r#"[{{"network": {{"subnets": [{{"ips": [{fixed}]}}]}}}}]"#);
    let same = cached(&whole.replace("FLOATING", r#"{"address": "203.0.113.10"}"#));
    assert_eq!(same, InfoCache::Same("10.0.0.2 (floating 203.0.113.10) 10.0.0.5".to_owned()));
    let differs = cached(&whole.replace("FLOATING", ""));
    assert!(
        matches!(&differs, InfoCache::Differs { cache, .. } if cache == "10.0.0.2 10.0.0.5"),
        "{differs:?}"
    );
    assert_eq!(cached("{"), InfoCache::Unreadable);
    // The same addresses, of which the floating one hangs on the other.
    let moved =
        r#"{"address": "10.0.0.5", "floating_ips": [{"address": "203.0.113.10"}]}, {"address": "10.0.0.2"}"#;
    let moved = cached(&format!(r#"[{{"network": {{"subnets": [{{"ips": [{moved}]}}]}}}}]"#));
    let differs =
        |cache: &str, tables: &str| InfoCache::Differs { cache: cache.to_owned(), tables: tables.to_owned() };
    let (cache, tables) =
        ("10.0.0.2 10.0.0.5 (floating 203.0.113.10)", "10.0.0.2 (floating 203.0.113.10) 10.0.0.5");
    assert_eq!(moved, differs(cache, tables));
    // Another MAC.
    let whole = whole.replace("FLOATING", r#"{"address": "203.0.113.10"}"#);
    let of_mac = |mac: &str| cached(&whole.replacen('{', &format!(r#"{{"address": "{mac}", "#), 1));
    assert!(matches!(of_mac("FA:16:3E:00:00:10"), InfoCache::Same(_)));
    let with = |mac: &str| format!("10.0.0.2 on {mac} (floating 203.0.113.10) 10.0.0.5 on {mac}");
    let (cache, tables) = (with("fa:16:3e:00:00:99"), with("fa:16:3e:00:00:10"));
    assert_eq!(of_mac("fa:16:3e:00:00:99"), differs(&cache, &tables));
    assert_eq!(show(&format!("{QUEENS}{table}"), "web1").unwrap().cache, InfoCache::Absent);
}

#[test]
fn what_ties_rows_to_an_instance_may_have_other_letters() {
    let tables = ["fixed_ips", "virtual_interfaces", "security_group_instance_association"];
    let upper = tables.map(|table| format!("UPDATE {table} SET instance_uuid = UPPER(instance_uuid);"));
    let plain = show(QUEENS, WEB1).unwrap();
    let sql = format!("{QUEENS}{}", upper.concat());
    for wanted in [WEB1, "10.0.0.5", "fa:16:3e:00:00:10"] {
        assert_eq!(show(&sql, wanted).unwrap().records.instances, plain.records.instances, "{wanted}");
    }
    let sql = format!("{QUEENS}UPDATE instances SET uuid = UPPER(uuid);");
    let shown = show(&sql, WEB1).unwrap().records.instances;
    assert_eq!(shown[0].uuid, plain.records.instances[0].uuid.as_ref().map(|uuid| uuid.to_uppercase()));
    assert_eq!(shown[0].vifs, plain.records.instances[0].vifs);
}

#[test]
fn a_network_may_have_a_range_of_ipv6() {
    let without = show(QUEENS, WEB1).unwrap().records.networks;
    assert!(without.iter().all(|network| network.cidr_v6.is_none()), "{without:?}");
    let sql = format!(
        "{QUEENS} ALTER TABLE networks ADD COLUMN cidr_v6; ALTER TABLE networks ADD COLUMN gateway_v6;
         UPDATE networks SET cidr_v6 = 'fd00:1::/64', gateway_v6 = 'fd00:1::1' WHERE id = 1;
         UPDATE networks SET cidr_v6 = 'nonsense' WHERE id = 2;"
    );
    let record = show(&sql, WEB1).unwrap();
    let told = record.records.networks.iter().map(|network| (network.cidr_v6, network.gateway_v6));
    let [private, tenants] = told.collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(private, ("fd00:1::/64".parse().ok(), "fd00:1::1".parse().ok()));
    assert_eq!(tenants, (None, None));
}
