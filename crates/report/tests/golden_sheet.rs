//! The page of one instance's records, byte for byte, at 80 columns.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use model::snapshot::Gap;
use report::{Has, Line, OnHost, Sheet, Style};

fn on(host: &str, has: Has, text: &str) -> OnHost {
    OnHost { host: host.to_owned(), has, text: text.to_owned() }
}

fn line(what: &'static str, value: &str, hosts: Vec<OnHost>) -> Line {
    Line { what, value: value.to_owned(), hosts }
}

fn web1() -> Sheet {
    let all = |texts: &[&str]| texts.iter().map(|text| on("compute1", Has::Yes, text)).collect();
    let mut floating: Vec<OnHost> = all(&["203.0.113.30 on eth0", "DNAT rule", "SNAT rule"]);
    floating.push(on("network1", Has::Unknown, "not seen: the site file names no such host"));
    let rules = "default: tcp 22 from 0.0.0.0/0; icmp from 0.0.0.0/0; tcp 8000-8010 from group web";
    Sheet {
        name: "web1".to_owned(),
        uuid: Some("8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01".to_owned()),
        id: Some(1),
        lines: vec![
            line("instance", "web1, 8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01, instances 1", vec![]),
            line("host", "compute1", all(&["domain instance-00000001 is running"])),
            line("VIF", "fa:16:3e:00:02:24", all(&["tap vnet0", "in br100"])),
            line("fixed IP", "10.0.2.24, not leased", vec![on("compute1", Has::NotMeant, "no lease")]),
            line("floating IP", "203.0.113.30 on 10.0.2.24, host compute1", floating),
            line("security group", rules, all(&["chain nova-compute-inst-1"])),
        ],
        gaps: Vec::new(),
    }
}

fn page(sheet: &Sheet) -> String {
    let mut out = Vec::new();
    report::sheet(sheet, &Style::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_sheet_has_each_record_above_what_hosts_have_of_it() {
    insta::assert_snapshot!(page(&web1()));
}

#[test]
fn what_a_host_lacks_is_told_first() {
    let mut sheet = web1();
    sheet.lines[2].hosts = vec![on("compute1", Has::No, "no tap vnet0")];
    sheet.gaps = vec![Gap {
        what: "everything of network1".to_owned(),
        why: "the site file names no such host".to_owned(),
        would_need: "network1 in reach, and in the site file".to_owned(),
    }];
    assert_eq!(sheet.lacking(), ["VIF"]);
    insta::assert_snapshot!(page(&sheet));
    insta::assert_snapshot!(format!("{:#}", sheet.json()));
}

#[test]
fn a_name_of_a_stranger_moves_no_cursor() {
    let mut sheet = web1();
    sheet.name = "web\u{1b}[2K".to_owned();
    sheet.lines[0].value.clone_from(&sheet.name);
    assert!(!page(&sheet).contains('\u{1b}'));
}
