//! Which instance a word means.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

use cloud::{FindError, find};
use model::Intent;
use model::intent::{Floating, Instance, Vif};

fn instance(name: &str, number: u8) -> Instance {
    let fixed = [10, 0, 0, number].into();
    Instance {
        name: name.to_owned(),
        uuid: Some(format!("00000000-0000-4000-8000-0000000000{number:02x}")),
        libvirt_name: Some(format!("instance-{number:08x}")),
        host: "compute1".to_owned(),
        vifs: vec![Vif {
            mac: Some(format!("fa:16:3e:00:00:{number:02x}").parse().unwrap()),
            fixed: vec![fixed],
            floating: vec![Floating { id: None, address: [203, 0, 113, number].into(), fixed, host: None }],
            ..Vif::default()
        }],
        ..Instance::default()
    }
}

fn cloud(instances: Vec<Instance>) -> Intent {
    Intent { instances, ..Intent::default() }
}

#[test]
fn every_way_to_say_it() {
    let cloud = cloud(vec![instance("web1", 10), instance("web2", 11)]);
    let ways = [
        "web2",
        "00000000-0000-4000-8000-00000000000b",
        "00000000-0000-4000-8000-00000000000B",
        "instance-0000000b",
        "10.0.0.11",
        "203.0.113.11",
        "fa:16:3e:00:00:0b",
        "FA:16:3E:0:0:B",
        "fe:16:3e:00:00:0b",
    ];
    for way in ways {
        assert_eq!(find(&cloud, way), Ok(1), "{way}");
    }
}

#[test]
fn two_of_a_name_are_listed_with_uuid_and_host() {
    let cloud = cloud(vec![instance("web", 10), instance("db", 11), instance("web", 12)]);
    let error = find(&cloud, "web").unwrap_err();
    assert!(matches!(error, FindError::Ambiguous { .. }));
    let text = error.to_string();
    assert!(text.contains("fits 2 instances"), "{text}");
    assert!(text.contains("web (00000000-0000-4000-8000-00000000000c, on compute1)"), "{text}");
    assert!(!text.contains("00000b"), "{text}");
}

#[test]
fn near_names_are_offered_and_far_ones_listed_up_to_a_bound() {
    let mut many: Vec<_> = (0..40).map(|n| instance(&format!("worker{n:02}"), n)).collect();
    many.push(instance("database", 50));
    let cloud = cloud(many);
    let text = find(&cloud, "databsae").unwrap_err().to_string();
    assert!(text.contains("did you mean database ("), "{text}");
    let text = find(&cloud, "zzz").unwrap_err().to_string();
    assert!(text.contains("known are worker00, ") && text.ends_with("and 31 more"), "{text}");
    assert!(!text.contains("worker10"), "{text}");
    let none = find(&Intent::default(), "web1").unwrap_err();
    assert!(matches!(none, FindError::NoInstances { .. }), "{none}");
}

#[test]
fn a_hostile_name_prints_without_escapes() {
    let cloud = cloud(vec![instance("evil\u{1b}[2J\u{202e}", 10)]);
    let text = find(&cloud, "x\u{7}y").unwrap_err().to_string();
    assert!(text.contains(r"evil\u{1b}[2J\u{202e}") && text.contains(r"x\u{7}y"), "{text}");
    let text = find(&cloud, "evil").unwrap_err().to_string();
    assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
}
