//! What strangers named stays one value of one line; that the files agree with the tools is tested on real namespaces.

use cloud::Records;
use model::intent::Instance;
use model::link::{Link, LinkKind};
use model::service::Process;
use model::snapshot::Host;

use super::*;

const HOSTILE: &str = "a\"\n-,\u{1b}[31m b";

#[test]
fn lists_are_json_with_an_object_a_line() {
    let named = |index, name: &str| Link { index, name: name.to_owned(), ..Link::default() };
    let ns = Netns { links: vec![named(1, HOSTILE), named(2, "eth0")], ..Netns::default() };
    let text = lines(&links::links(&ns));
    assert_eq!(text.lines().count(), 2);
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read[0]["ifname"], HOSTILE);
    assert_eq!(read[1]["linkinfo"], Value::Null);
    assert_eq!(lines(&[]), "[]\n");
}

#[test]
fn kinds_are_the_kernels_words() {
    for word in ["bridge", "veth", "tun", "vlan", "vxlan", "bond", "dummy", "ifb"] {
        let link = Link { kind: LinkKind::from_kernel(word), ..Link::default() };
        let listed = links::links(&Netns { links: vec![link], ..Netns::default() });
        assert_eq!(listed[0]["linkinfo"]["info_kind"], word);
    }
}

#[test]
fn a_command_line_stays_one_line() {
    let argv = vec!["dnsmasq".to_owned(), String::new(), HOSTILE.to_owned()];
    let process =
        Process { pid: 7, user: "nobody".to_owned(), state: "S".to_owned(), argv, ..Process::default() };
    let text = services::processes(&Host { processes: vec![process], ..Host::default() });
    let expected = "nobody 7 S dnsmasq \"\" \"a\\\"\\n-,\\u{1b}[31m b\"";
    assert_eq!(text.lines().collect::<Vec<_>>(), ["USER PID STAT COMMAND", expected]);
}

#[test]
fn a_cell_stays_one_cell() {
    let instance =
        Instance { id: Some(1), name: HOSTILE.to_owned(), host: "c".to_owned(), ..Instance::default() };
    let [(file, text), ..] = records::tables(&Records { instances: vec![instance], ..Records::default() });
    assert_eq!(file, "instances.csv");
    assert_eq!(text, "id,uuid,name,host,vm_state,project\n1,,\"a\"\"\n-,\u{1b}[31m b\",c,,\n");
}
