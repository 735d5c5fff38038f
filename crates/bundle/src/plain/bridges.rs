//! `bridge -j fdb` and `bridge -j vlan`.

use model::Netns;
use model::link::{FdbEntry, FdbKind};
use model::vlan::BridgeVlans;
use serde_json::{Value, json};

use super::{name, object};

pub(super) fn fdb(ns: &Netns) -> Vec<Value> {
    let entry = |entry: &FdbEntry| {
        let master = ns.link(entry.link).and_then(|link| link.master).filter(|_| !entry.on_self);
        let state = match entry.kind {
            FdbKind::Local => "permanent",
            FdbKind::Static => "static",
            FdbKind::Learned => "",
        };
        let flags = [("self", entry.on_self), ("sticky", entry.sticky)];
        let flags: Vec<&str> = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
        object([
            ("mac", Some(entry.mac.to_string().into())),
            ("ifname", Some(name(ns, entry.link))),
            ("dst", entry.remote.map(|remote| remote.ip.to_string().into())),
            ("vlan", entry.vlan.map(Value::from)),
            ("port", entry.remote.and_then(|remote| remote.port).map(Value::from)),
            ("vni", entry.remote.and_then(|remote| remote.vni).map(Value::from)),
            ("viaIf", entry.remote.and_then(|remote| remote.via).map(|link| name(ns, link))),
            ("flags", Some(flags.into())),
            ("master", master.map(|master| name(ns, master))),
            ("state", Some(state.into())),
        ])
    };
    ns.fdb.iter().map(entry).collect()
}

pub(super) fn vlans(ns: &Netns) -> Vec<Value> {
    let with_any = ns.links.iter().filter(|link| !link.bridge_vlans.is_empty());
    with_any
        .map(|link| {
            let vlans: Vec<Value> = link.bridge_vlans.iter().copied().map(range).collect();
            json!({ "ifname": link.name, "vlans": vlans })
        })
        .collect()
}

fn range(vlans: BridgeVlans) -> Value {
    let flags = [("PVID", vlans.pvid), ("Egress Untagged", vlans.untagged)];
    let flags: Vec<&str> = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
    object([
        ("vlan", Some(vlans.low.into())),
        ("vlanEnd", (vlans.high != vlans.low).then(|| vlans.high.into())),
        ("flags", (!flags.is_empty()).then(|| flags.into())),
    ])
}
