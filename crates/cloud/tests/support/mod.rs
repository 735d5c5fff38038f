//! What several tests need: SQLite files made from SQL text, and what the Queens fixture must give.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;
use std::time::Duration;

use cloud::{DatabaseError, DatabaseUrl, Records};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

pub(crate) const WEB1: &str = "11111111-aaaa-4000-8000-000000000010";

/// Long enough for a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Blocks on a future with a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Makes a SQLite database of this text.
pub(crate) fn make_sqlite(path: &Path, sql: &str) {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

pub(crate) fn read_sqlite(path: &Path) -> Result<Records, DatabaseError> {
    let url = DatabaseUrl::parse(&format!("sqlite:{}", path.display())).unwrap();
    cloud::read(&url, PATIENCE)
}

pub(crate) fn sqlite_records(sql: &str) -> Records {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.db");
    make_sqlite(&path, sql);
    read_sqlite(&path).unwrap()
}

/// All that `fixtures/queens*.sql` says, whichever server it went through.
pub(crate) fn assert_queens(records: &Records) {
    let [private, tenants] = records.networks.as_slice() else { panic!("{:?}", records.networks) };
    assert_eq!((private.id, private.label.as_str()), (Some(1), "private"));
    assert_eq!(private.cidr, Some("10.0.0.0/24".parse().unwrap()));
    assert_eq!(
        (private.bridge.as_deref(), private.bridge_interface.as_deref()),
        (Some("br100"), Some("eth1"))
    );
    assert_eq!(private.gateway, Some([10, 0, 0, 1].into()));
    assert_eq!(private.dhcp_server, Some([10, 0, 0, 1].into()));
    assert_eq!(private.dhcp_start, Some([10, 0, 0, 2].into()));
    assert!(private.multi_host && !private.share_address && !tenants.multi_host);
    // Free: only 10.0.0.7; a leaked lease (.8) is never given again. Reserved: only .1.
    assert_eq!(private.free, Some((1, 8)));
    let hosts = [("compute1", [10, 0, 0, 3]), ("compute2.example.com", [10, 0, 0, 4])];
    assert_eq!(private.host_addresses, hosts.map(|(host, ip)| (host.to_owned(), ip.into())));
    assert_eq!((tenants.vlan, tenants.host.as_deref()), (Some(101), Some("netnode")));

    let [web1, db1] = records.instances.as_slice() else { panic!("{:?}", records.instances) };
    assert_eq!((web1.id, web1.uuid.as_deref(), web1.name.as_str()), (Some(10), Some(WEB1), "web1"));
    assert_eq!(web1.libvirt_name.as_deref(), Some("instance-0000000a"));
    assert_eq!((web1.host.as_str(), web1.vm_state.as_deref()), ("compute1", Some("active")));
    assert_eq!(web1.project.as_deref(), Some("p1"));
    let [vif] = web1.vifs.as_slice() else { panic!("{:?}", web1.vifs) };
    assert_eq!(vif.mac, Some("fa:16:3e:00:00:10".parse().unwrap()));
    assert_eq!((vif.network, vif.device.as_deref()), (Some(0), None));
    assert_eq!(vif.fixed, [[10, 0, 0, 2], [10, 0, 0, 5]].map(std::net::Ipv4Addr::from));
    let floating: Vec<_> =
        vif.floating.iter().map(|f| (f.address.to_string(), f.fixed.to_string())).collect();
    assert_eq!(floating, [("203.0.113.10".to_owned(), "10.0.0.2".to_owned())]);
    assert_eq!(vif.floating[0].host.as_deref(), Some("compute1"));

    assert_eq!(db1.name, "db1", "display_name stands in for a missing hostname");
    let networks: Vec<_> = db1.vifs.iter().map(|vif| vif.network).collect();
    assert_eq!(networks, [Some(0), Some(1)]);
    assert_groups(records);
}

/// What is recorded of web1 and db1 alone is what is read of them among all, whatever names them.
pub(crate) fn assert_shown(url: &DatabaseUrl) {
    let all = cloud::read(url, PATIENCE).unwrap();
    let of = |wanted: &str| cloud::show(url, PATIENCE, wanted).unwrap_or_else(|e| panic!("{wanted}: {e}"));
    let words = [
        "web1",
        "10",
        WEB1,
        "instance-0000000a",
        "10.0.0.5",
        "203.0.113.10",
        "fa:16:3e:00:00:10",
        "fe:16:3e:00:00:10",
    ];
    let web1 = of("web1");
    for word in words {
        assert_eq!(of(word), web1, "{word}");
    }
    assert_eq!(of(&WEB1.to_uppercase()), web1);
    assert_eq!(web1.records.instances, all.instances[..1]);
    assert_eq!(of("db1").records.instances, all.instances[1..]);
    assert_eq!(web1.records.networks.len(), all.networks.len());
    assert_eq!(
        web1.records.networks[0].host_addresses,
        all.networks[0].host_addresses[..1],
        "its own host's"
    );
    assert_eq!(web1.leased, [([10, 0, 0, 2].into(), true), ([10, 0, 0, 5].into(), false)].into());
    for (word, said) in [("WEB1", "no instance `WEB1`"), ("web", "no instance `web`"), ("ghost", "NULL")] {
        let error = cloud::show(url, PATIENCE, word).unwrap_err().to_string();
        assert!(error.contains(said), "{word}: {error}");
    }
    let deleted = cloud::show(url, PATIENCE, "11").unwrap_err().to_string();
    assert!(deleted.contains("which is deleted"), "{deleted}");
}

fn assert_groups(records: &Records) {
    let [web1, db1] = records.instances.as_slice() else { panic!("{:?}", records.instances) };
    let names: Vec<_> = web1.security_groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["default", "web"], "a deleted group and a deleted membership do not count");
    let rule = |rule: &model::intent::SecurityGroupRule| {
        let cidr = rule.cidr.map(|cidr| cidr.to_string());
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            rule.protocol.as_deref(),
            rule.from_port,
            rule.to_port,
            cidr.as_deref(),
            rule.group.as_deref()
        )
    };
    let default: Vec<_> = web1.security_groups[0].rules.iter().map(rule).collect();
    let expected = [
        r#"Some("tcp") Some(22) Some(22) Some("0.0.0.0/0") None"#,
        r#"Some("icmp") Some(-1) Some(-1) Some("0.0.0.0/0") None"#,
    ];
    assert_eq!(default, expected);
    let web: Vec<_> = web1.security_groups[1].rules.iter().map(rule).collect();
    let expected = [
        r#"Some("tcp") Some(8000) Some(8010) None Some("default")"#,
        r#"None None None Some("192.0.2.0/24") None"#,
        r#"Some("icmp") Some(8) Some(0) Some("192.0.2.9/32") None"#,
    ];
    assert_eq!(web, expected, "deleted, IPv6 and deleted-source-group rules let nothing in");
    assert_eq!(db1.security_groups.len(), 1);
}
