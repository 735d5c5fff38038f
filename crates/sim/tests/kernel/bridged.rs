//! Whose frames the stack of a bridge takes: those for the bridge, and of its ports' those for the one they came by.

use std::process::Command;

use model::Intent;
use sim::{Endpoint, Protocol, Question, World};

use crate::single::{Scratch, read};

/// The bridge, and two of its ports of which the neighbour is behind the first.
const MACS: [(&str, &str); 3] =
    [("br0", "02:00:00:00:0b:00"), ("near", "02:00:00:00:0b:01"), ("other", "02:00:00:00:0b:02")];

#[test]
fn a_bridges_stack_takes_for_the_walk_what_it_takes_for_the_kernel() {
    let (here, there) = (Scratch::new("bridged", "here"), Scratch::new("bridged", "there"));
    here.run("ip link add br0 type bridge", "");
    here.run(&format!("ip link add near type veth peer name up0 netns {}", there.name), "");
    here.run("ip link add other type veth peer name end", "");
    for (link, mac) in MACS {
        here.run(&format!("ip link set {link} address {mac}"), "");
    }
    for port in ["near", "other"] {
        here.run(&format!("ip link set {port} master br0"), "");
    }
    for link in ["near", "other", "end", "br0"] {
        here.run(&format!("ip link set {link} up"), "");
    }
    here.run("ip addr add 10.9.0.1/24 dev br0", "");
    there.run("ip link set up0 up", "");
    there.run("ip addr add 10.9.0.2/24 dev up0", "");
    let mut heard = Vec::new();
    for (link, mac) in MACS {
        there.run(&format!("ip neigh replace 10.9.0.1 lladdr {mac} dev up0 nud permanent"), "");
        let ping = ["netns", "exec", &there.name, "ping", "-c", "1", "-W", "1", "10.9.0.1"];
        let answered = Command::new("ip").args(ping).output().unwrap().status.success();
        let snapshot = read(&[&here, &there]);
        let intent = Intent::default();
        let world = World::new(&snapshot, &intent);
        let from = Endpoint::Machine(world.main_ns(there.role).unwrap());
        let to = "10.9.0.1".parse().unwrap();
        let walked = sim::ask(&world, &Question { from, to, protocol: Protocol::Icmp, reply: true });
        assert_eq!(walked.answered, answered, "to the MAC of {link}: {:#?}", walked.paths);
        heard.push(answered);
    }
    assert_eq!(heard, [true, true, false], "the kernel's own word");
}
