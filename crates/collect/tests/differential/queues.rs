//! Queueing disciplines and filters against `tc -s qdisc` and `tc filter`.

use model::queueing::{Qdisc, QdiscPlace, QueueLimit, TcSide};
use serde_json::{Value, json};

use crate::canonical::{assert_same, list};
use crate::scratch::Scratch;

#[test]
fn every_queue_is_as_tc_tells_it() {
    let scratch = Scratch::new("queue");
    scratch.ip("link add v0 type veth peer name v1").ip("link set v0 up").ip("link set v1 up");
    for line in [
        "qdisc add dev v0 root handle 10: tbf rate 64kbit burst 1600 limit 3000",
        "qdisc add dev v0 clsact",
        "qdisc add dev v1 root handle 11: htb",
        "class add dev v1 parent 11: classid 11:1 htb rate 1mbit",
        "class add dev v1 parent 11: classid 11:2 htb rate 1mbit",
        "qdisc add dev v1 parent 11:1 handle 12: pfifo limit 7",
        "qdisc add dev v1 parent 11:2 handle 13: bfifo limit 900",
    ] {
        scratch.run(&format!("tc {line}"));
    }
    let (told, netns) = scratch.settled(|scratch| {
        let told: Value = serde_json::from_str(&scratch.text("tc -s -j qdisc show")).unwrap();
        told
    });
    let shaper = netns.links.iter().find(|link| link.name == "v0").and_then(|link| link.root_qdisc());
    assert_eq!(shaper.and_then(|qdisc| qdisc.limit), Some(QueueLimit::Octets(3000)));
    let told = list(&told).iter().filter(|queue| queue["dev"] != "lo").map(told_queue);
    let links = netns.links.iter().filter(|link| link.name != "lo");
    let read = links.flat_map(|link| link.qdiscs.iter().map(|qdisc| read_queue(&link.name, qdisc)));
    let sorted = |queues: &mut dyn Iterator<Item = Value>| {
        let mut queues: Vec<Value> = queues.collect();
        queues.sort_by_key(Value::to_string);
        queues
    };
    assert_same("queues", &sorted(&mut told.into_iter()), &sorted(&mut read.into_iter()));
}

#[test]
fn filters_that_only_choose_are_told_from_those_that_act() {
    let scratch = Scratch::new("filter");
    scratch.ip("link add v0 type veth peer name v1").ip("link set v0 up");
    scratch.run("tc qdisc add dev v0 clsact");
    let matches = "protocol ip u32 match ip protocol 1 0xff";
    scratch.run(&format!("tc filter add dev v0 ingress prio 7 {matches} classid 1:1"));
    scratch
        .run(&format!("tc filter add dev v0 egress prio 9 {matches} action mirred egress redirect dev v1"));
    let netns = scratch.read();
    let link = netns.links.iter().find(|link| link.name == "v0").unwrap();
    let told: Vec<_> = link
        .filters
        .iter()
        .map(|filter| (filter.side, filter.priority, filter.to_string(), filter.may_drop()))
        .collect();
    assert_eq!(
        told,
        [
            (TcSide::Ingress, 7, "u32".to_owned(), false),
            (TcSide::Egress, 9, "u32 action mirred".to_owned(), true)
        ]
    );
}

fn told_queue(queue: &Value) -> Value {
    let place = match (&queue["root"], queue["parent"].as_str()) {
        (Value::Bool(true), _) => "root".to_owned(),
        (_, Some("ffff:fff1")) => "filters".to_owned(),
        (_, parent) => parent.unwrap_or_default().to_owned(),
    };
    let options = &queue["options"];
    let limit = if matches!(queue["kind"].as_str(), Some("pfifo" | "bfifo")) {
        options["limit"].clone()
    } else {
        Value::Null
    };
    json!([
        queue["dev"],
        queue["kind"],
        place,
        queue["handle"].as_str().unwrap_or("0:"),
        limit,
        options["rate"],
        queue["packets"],
        queue["drops"],
        queue["overlimits"],
        queue["qlen"],
        queue["backlog"]
    ])
}

fn read_queue(link: &str, qdisc: &Qdisc) -> Value {
    let place = match qdisc.place {
        QdiscPlace::Root => "root".to_owned(),
        QdiscPlace::Filters => "filters".to_owned(),
        QdiscPlace::Class(class) => format!("{:x}:{:x}", class >> 16, class & 0xffff),
    };
    // Of a tbf tc tells how long a packet waits at most.
    let limit = qdisc.limit.filter(|_| qdisc.kind != "tbf").map(|limit| match limit {
        QueueLimit::Packets(most) | QueueLimit::Octets(most) => most,
    });
    let stats = qdisc.stats;
    json!([
        link,
        qdisc.kind,
        place,
        format!("{:x}:", qdisc.handle >> 16),
        limit,
        qdisc.rate.map(|rate| rate.octets_per_s),
        stats.packets,
        stats.drops,
        stats.overlimits,
        stats.backlog_packets,
        stats.backlog_octets
    ])
}
