//! The same operations on MariaDB, PostgreSQL and SQLite: each database then says the same, and `cloud`, which reads
//! it for a diagnosis, too. Starts real servers of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/planted.rs"]
mod planted;

use std::net::Ipv4Addr;
use std::time::Duration;

use cloud::DatabaseUrl;
use databases::servers::ADMIN_PASSWORD;
use databases::{mariadb, postgresql};
use novadb::rows::Cloud;
use novadb::{Database, DbError, NewInstance, NewNetwork, NewRule};
use tempfile::TempDir;

const PROJECT: &str = "6a1fbf0e6f9d4b0c8ad5c1f2a3c3d6e1";
const OTHER: &str = "b7c2d41e90a34f5c8d6e1f2a3b4c5d6e";
const PATIENCE: Duration = Duration::from_secs(30);

fn sqlite() -> (TempDir, Database) {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&dir.path().join("nova.sqlite"));
    (dir, database)
}

fn network(label: &str, cidr: &str, vlan: Option<u16>, project: Option<&str>) -> NewNetwork {
    NewNetwork {
        label: label.to_owned(),
        cidr: cidr.parse().unwrap(),
        bridge: format!("br-{label}"),
        bridge_interface: Some("eth1".to_owned()),
        vlan,
        multi_host: vlan.is_none(),
        project: project.map(str::to_owned),
        ..NewNetwork::default()
    }
}

fn instance(name: &str, host: &str, project: &str, network: u64, address: Option<[u8; 4]>) -> NewInstance {
    NewInstance {
        name: name.to_owned(),
        host: host.to_owned(),
        project: project.to_owned(),
        networks: vec![(network, address.map(Ipv4Addr::from))],
        groups: vec!["default".to_owned()],
        ..NewInstance::default()
    }
}

/// Servers count on where a transaction was rolled back, a file does not: what follows from such a number is left out.
fn without_numbers(mut cloud: Cloud) -> Cloud {
    for instance in &mut cloud.instances {
        instance.id = 0;
        instance.uuid.clear();
        for vif in &mut instance.vifs {
            vif.id = 0;
            vif.uuid.clear();
            vif.mac = model::Mac([0; 6]);
        }
    }
    cloud
}

/// A life: networks, instances, addresses and groups come and go. What the database says after each step.
fn live(db: &Database) -> Vec<Cloud> {
    let mut said = Vec::new();
    db.create_schema("a-lab").unwrap();
    db.group_create(PROJECT, "default").unwrap();
    let icmp = NewRule {
        protocol: Some("icmp".to_owned()),
        cidr: Some("0.0.0.0/0".parse().unwrap()),
        ..NewRule::default()
    };
    let rule = db.group_rule_add(PROJECT, "default", &icmp).unwrap();
    let own = NewRule { group: Some("default".to_owned()), ..NewRule::default() };
    db.group_rule_add(PROJECT, "default", &own).unwrap();
    let flat = db.network_create(&network("flat", "10.0.0.0/16", None, None)).unwrap();
    let vlan = db.network_create(&network("vlan", "10.1.0.0/29", Some(100), Some(OTHER))).unwrap();
    db.network_set_host(vlan, "network1").unwrap();
    let pool = [30, 31].map(|last| Ipv4Addr::new(203, 0, 113, last));
    db.floating_create(&pool, "nova", "eth0").unwrap();
    db.service_create("compute1", "nova-network").unwrap();
    said.push(without_numbers(db.read().unwrap()));

    let web1 = db.boot(&instance("web1", "compute1", PROJECT, flat, Some([10, 0, 2, 24]))).unwrap();
    assert_eq!(web1.vifs[0].fixed[0].address, Ipv4Addr::new(10, 0, 2, 24));
    assert_eq!(
        db.host_address(flat, "compute1", Some([10, 0, 0, 42].into())).unwrap(),
        Ipv4Addr::new(10, 0, 0, 42)
    );
    assert_eq!(db.host_address(flat, "compute1", None).unwrap(), Ipv4Addr::new(10, 0, 0, 42), "given once");
    db.boot(&instance("web2", "compute2", PROJECT, flat, None)).unwrap();
    let floating = db.floating_allocate(PROJECT, None).unwrap();
    assert_eq!(floating, pool[0]);
    db.floating_associate(floating, "web1", None).unwrap();
    said.push(without_numbers(db.read().unwrap()));

    let (mac, address) = (web1.vifs[0].mac, web1.vifs[0].fixed[0].address);
    db.lease(mac, address).unwrap();
    assert!(db.is_leased(address).unwrap());
    assert_eq!(db.leases("compute1").unwrap().len(), 1);
    assert!(db.leases("compute2").unwrap().is_empty());
    db.stop("web2").unwrap();
    said.push(without_numbers(db.read().unwrap()));
    refused(db, flat, vlan, floating);

    db.delete("web1").unwrap();
    let taken = db.boot(&instance("web3", "compute1", PROJECT, flat, Some([10, 0, 2, 24])));
    assert!(matches!(taken, Err(DbError::AddressTaken { .. })), "leased still: {taken:?}");
    db.release(mac, address).unwrap();
    db.boot(&instance("web3", "compute1", PROJECT, flat, Some([10, 0, 2, 24]))).unwrap();
    db.group_rule_delete(rule).unwrap();
    db.group_rules_restore(PROJECT, "default", "icmp").unwrap();
    said.push(without_numbers(db.read().unwrap()));

    db.floating_associate(floating, "web3", None).unwrap();
    db.delete_unclean("web3").unwrap();
    let after = db.read().unwrap();
    assert_eq!(after.floating[0].fixed, Some(address), "the guide's case");
    said.push(without_numbers(after));
    // Room in 10.1.0.0/29 after its own, the gateway's, the VPN's and the broadcast address: four.
    // The other project's default group is there when it is first asked for; no other is.
    for name in ["db1", "db2", "db3", "db4"] {
        db.boot(&instance(name, "compute1", OTHER, vlan, None)).unwrap();
    }
    let full = db.boot(&instance("db5", "compute1", OTHER, vlan, None)).unwrap_err();
    assert!(full.to_string().starts_with("No fixed IP addresses available for network: "), "{full}");
    let after = db.read().unwrap();
    let of_other: Vec<&str> =
        after.groups.iter().filter(|group| group.project == OTHER).map(|group| group.name.as_str()).collect();
    assert_eq!(of_other, ["default"]);
    said.push(without_numbers(after));
    said
}

/// What is refused changes nothing.
fn refused(db: &Database, flat: u64, vlan: u64, floating: Ipv4Addr) {
    let before = db.read().unwrap();
    let boot = |name: &str, network: u64, address: Option<[u8; 4]>| {
        db.boot(&instance(name, "compute1", PROJECT, network, address)).unwrap_err()
    };
    assert!(matches!(boot("web1", flat, None), DbError::NameTaken { .. }));
    assert!(matches!(boot("x", flat, Some([10, 0, 2, 24])), DbError::AddressTaken { .. }));
    assert!(matches!(boot("x", flat, Some([10, 0, 0, 42])), DbError::AddressTaken { .. }), "a host's own");
    assert!(matches!(boot("x", flat, Some([10, 0, 0, 1])), DbError::AddressOutside { .. }), "reserved");
    assert!(matches!(boot("x", flat, Some([192, 0, 2, 1])), DbError::AddressOutside { .. }));
    assert!(matches!(boot("x", vlan, None), DbError::WrongProject { .. }));
    assert!(matches!(boot("x", 99, None), DbError::Unknown { .. }));
    let strange =
        NewInstance { groups: vec!["strange".to_owned()], ..instance("x", "compute1", PROJECT, flat, None) };
    assert!(matches!(db.boot(&strange), Err(DbError::Unknown { .. })));
    assert!(matches!(db.floating_release(floating), Err(DbError::Floating { .. })));
    assert!(matches!(db.floating_associate(floating, "web2", None), Err(DbError::Floating { .. })));
    let over = db.network_create(&network("over", "10.0.128.0/24", None, None));
    assert!(matches!(over, Err(DbError::Overlap { .. })), "{over:?}");
    let twin = db.network_create(&network("twin", "10.9.0.0/24", Some(100), None));
    assert!(matches!(twin, Err(DbError::Exists { .. })), "{twin:?}");
    assert!(matches!(db.create_schema("a-lab"), Err(DbError::NotEmpty { .. } | DbError::File { .. })));
    db.drop_schema("another-lab").unwrap();
    assert_eq!(db.read().unwrap(), before);
}

#[test]
fn three_databases_say_the_same() {
    let (_dir, file) = sqlite();
    let said = live(&file);
    let ((mariadb, _), (postgresql, _)) = (mariadb(), postgresql());
    for (url, server) in [(mariadb.url("nova"), mariadb), (postgresql.url(postgresql.first), postgresql)] {
        let db = Database::at(&url).unwrap();
        for (step, (theirs, ours)) in live(&db).iter().zip(&said).enumerate() {
            assert_eq!(theirs, ours, "step {step} of {}", url.split(':').next().unwrap());
        }
        let records = cloud::read(&DatabaseUrl::parse(&url).unwrap(), PATIENCE).unwrap();
        assert_eq!(records.instances.len(), 5, "{records:?}");
        assert_eq!(records.networks.len(), 2);
        db.drop_schema("a-lab").unwrap();
        db.create_schema("a-lab").unwrap();
        // The server goes away in the middle of everything.
        drop(server);
        let gone = db.read().unwrap_err();
        assert!(matches!(gone, DbError::Database(_)), "{gone}");
        assert!(!gone.to_string().contains(ADMIN_PASSWORD), "{gone}");
    }
}

#[test]
fn of_two_that_want_the_last_address_one_gets_it() {
    for round in 0..10 {
        let (_dir, db) = sqlite();
        db.create_schema("a-lab").unwrap();
        db.group_create(PROJECT, "default").unwrap();
        let id = db.network_create(&network("tiny", "10.1.0.0/30", None, None)).unwrap();
        let boot = |name: &str| db.boot(&instance(name, "compute1", PROJECT, id, None)).is_ok();
        let got = std::thread::scope(|scope| {
            let both = ["one", "two"].map(|name| scope.spawn(move || boot(name)));
            both.map(|thread| thread.join().unwrap())
        });
        assert_eq!(got.iter().filter(|got| **got).count(), 1, "round {round}");
        assert_eq!(db.read().unwrap().instances.len(), 1);
    }
}
