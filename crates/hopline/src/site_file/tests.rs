//! Site files, good and bad.

use super::*;

fn parsed(text: &str) -> Result<Site, Failure> {
    parse(Path::new("/etc/hopline/site.toml"), text)
}

/// Message and hint as printed.
fn refusal(text: &str) -> String {
    let mut out = Vec::new();
    parsed(text).expect_err("a bad site file").print(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const GOOD: &str = r#"
[[host]]
name = "compute1"
at = "local"
role = "compute"
console_logs = "logs"

[[host]]
name = "external"
at = "netns:lab-ext"
role = "external"

[[instance]]
name = "web1"
host = "compute1"
device = "vnet1"
mac = "fa:16:3e:00:00:11"
addresses = ["10.0.0.11"]
floating = ["203.0.113.101"]
at = "netns:lab-i1"

[cloud]
kind = "nova-network"
database = "sqlite:nova.sqlite"
"#;

#[test]
fn the_contracts_example_is_read() {
    let site = parsed(GOOD).unwrap();
    let names: Vec<_> = site.machines.iter().map(|m| (m.name.as_str(), m.instance)).collect();
    assert_eq!(names, [("compute1", false), ("external", false), ("web1", true)]);
    assert_eq!(site.machines[0].console_logs, Some("/etc/hopline/logs".into()));
    assert_eq!(site.machines[1].at, At::Netns("lab-ext".to_owned()));
    assert_eq!(site.instances[0].addresses, ["10.0.0.11".parse::<Ipv4Addr>().unwrap()]);
    assert!(site.instances[0].at_given);
    assert!(site.database.is_some());
}

#[test]
fn a_relative_path_of_a_database_is_meant_from_the_site_files_folder() {
    for (written, path) in [
        ("sqlite:nova.sqlite", "/etc/hopline/nova.sqlite"),
        ("sqlite:///db/nova.sqlite", "/etc/hopline/db/nova.sqlite"),
        ("sqlite+pysqlite:///nova.sqlite", "/etc/hopline/nova.sqlite"),
        ("sqlite:${CARGO_PKG_NAME}.db", "/etc/hopline/hopline.db"),
        ("sqlite:/srv/nova.sqlite", "/srv/nova.sqlite"),
        ("sqlite:////srv/nova.sqlite", "/srv/nova.sqlite"),
    ] {
        let site = parsed(&GOOD.replace("sqlite:nova.sqlite", written)).unwrap();
        assert_eq!(site.database.unwrap().file(), Some(Path::new(path)), "{written}");
    }
}

#[test]
fn novas_own_file_tells_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    let text = GOOD.replace("sqlite:nova.sqlite", "nova.conf:nova.conf");
    let of = |conf: &str| {
        std::fs::write(folder.path().join("nova.conf"), conf).unwrap();
        super::parse(&path, &text).map(|site| site.database.unwrap().to_string())
    };
    let queens = "[DEFAULT]\nsql_connection = mysql://old@old/old\nhost = db\n\n[database]\n\
                  connection = mysql+pymysql://nova:s3cr3t$$x@$host/nova?charset=utf8\n";
    let essex = "[DEFAULT]\nsql_connection=mysql://nova:s3cr3t@10.0.0.1:3307/nova\n";
    assert_eq!(of(essex).unwrap(), "mysql://nova@10.0.0.1:3307/nova");
    assert_eq!(of(queens).unwrap(), "mysql://nova@db/nova");
    let file = "[database]\nconnection = sqlite:////var/lib/nova/nova.sqlite\n";
    assert_eq!(of(file).unwrap(), "sqlite:/var/lib/nova/nova.sqlite");
    for (conf, piece) in [
        ("[DEFAULT]\n", "has neither `connection` in [database] nor"),
        ("[database]\nconnection = nova:s3cr3t\n", "the connection in"),
        ("[database]\nconnection = sqlite:///nova.sqlite\n", "as `database = \"sqlite:PATH\"`"),
    ] {
        let refused = of(conf).unwrap_err().to_string();
        assert!(refused.contains(piece) && refused.contains("line 24"), "{refused}");
        assert!(!refused.contains("s3cr3t"), "{refused}");
    }
    std::fs::remove_file(folder.path().join("nova.conf")).unwrap();
    let refused = super::parse(&path, &text).unwrap_err().to_string();
    assert!(refused.contains("cannot read") && refused.contains("nova.conf"), "{refused}");
}

#[test]
fn an_unknown_key_is_told_with_line_and_nearest_key() {
    let typos = [
        ("console_logs", "console_log", 6, "[[host]]"),
        ("mac =", "nac =", 17, "[[instance]]"),
        ("kind", "kid", 23, "[cloud]"),
        ("[[instance]]", "[[instances]]", 13, "the site file"),
    ];
    for (right, wrong, line, table) in typos {
        let text = refusal(&GOOD.replacen(right, wrong, 1));
        let (key, near) =
            (wrong.trim_matches(['[', ']', ' ', '=']), right.trim_matches(['[', ']', ' ', '=']));
        assert!(
            text.contains(&format!("/etc/hopline/site.toml, line {line}: unknown key `{key}` in {table}")),
            "{text}"
        );
        assert!(text.contains(&format!("hint: the nearest known key is `{near}`")), "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_line() {
    let cases = [
        ("netns:lab-ext", "ssh:root@db", "line 10: `at = \"ssh:root@db\"`: ssh is not yet in this version"),
        ("netns:lab-ext", "netns:", "line 10: `netns:` names no network namespace"),
        ("netns:lab-ext", "netns:../x", "line 10: `netns:../x` names no network namespace"),
        ("netns:lab-ext", "local:1", "line 10: `local:1` is no way to reach a machine"),
        ("name = \"external\"", "name = \"compute1\"", "line 9: the name `compute1` is given twice"),
        ("name = \"web1\"", "name = \"external\"", "line 14: the name `external` is given twice"),
        ("name = \"web1\"", "name = \"w\\u001b[1m\"", "line 14: the name `w\\u{1b}[1m` holds"),
        ("host = \"compute1\"", "host = \"compute2\"", "line 15: there is no host `compute2`"),
        ("nova-network", "neutron", "line 23: `neutron` is no kind of cloud"),
        ("10.0.0.11", "10.0.0.256", "line 18: invalid IPv4 address syntax"),
        ("at = \"local\"", "", "line 2: missing field `at`"),
        ("[cloud]", "[cloud", "line 22: "),
        ("sqlite:nova", "${HOPLINE_TEST_NOT_SET}", "line 24: "),
    ];
    for (right, wrong, message) in cases {
        let text = refusal(&GOOD.replacen(right, wrong, 1));
        assert!(text.contains(message), "{wrong}: {text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn an_unknown_host_is_told_with_the_one_that_was_meant() {
    let text = refusal(&GOOD.replacen("host = \"compute1\"", "host = \"compute\"", 1));
    assert!(text.contains("did you mean `compute1`?"), "{text}");
}

#[test]
fn a_file_without_hosts_is_refused() {
    assert!(refusal("").contains("it names no host"));
}
