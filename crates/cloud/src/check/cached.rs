//! What is said of an instance's fixed IPs, by its info cache or by the tables, and whether both say the same.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use model::Mac;
use serde_json::Value;

/// A fixed IP with the NIC that has it, and the floating IPs that hang on it. What one side does not say is not
/// compared: older series cached less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) fixed: Ipv4Addr,
    pub(crate) mac: Option<Mac>,
    /// The NIC's uuid.
    pub(crate) vif: Option<Box<str>>,
    /// The network's uuid.
    pub(crate) network: Option<Box<str>>,
    pub(crate) floating: Vec<Ipv4Addr>,
    /// The other side need not say anything of it.
    pub(crate) may_be_left_out: bool,
}

/// What is told of each fixed IP beside its floating ones: what differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    mac: bool,
    vif: bool,
    network: bool,
}

impl Said {
    /// A row of `fixed_ips`. nova leaves one whose NIC or network is not there out of the cache, and has one in it
    /// that was given back until it is tied to the instance no more (nova/network/manager.py `get_instance_nw_info`).
    pub(crate) fn by_tables(
        fixed: Ipv4Addr,
        is_given: bool,
        nic: Option<Nic>,
        network: Option<Uuid>,
    ) -> Said {
        let may_be_left_out = !is_given || nic.is_none() || network.is_none();
        let Nic { mac, uuid } = nic.unwrap_or_default();
        let (vif, network) = (uuid.0, network.unwrap_or_default().0);
        Said { fixed, mac, vif, network, floating: Vec::new(), may_be_left_out }
    }

    /// In which of them they differ.
    fn unlike(&self, other: &Said) -> Told {
        fn differ<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_some_and(|(one, other)| one != other)
        }
        Told {
            mac: differ(self.mac.as_ref(), other.mac.as_ref()),
            vif: differ(self.vif.as_ref(), other.vif.as_ref()),
            network: differ(self.network.as_ref(), other.network.as_ref()),
        }
    }

    /// They say the same, but for floating IPs that are among these.
    fn agrees(&self, other: &Said, unsettled: &HashSet<Ipv4Addr>) -> bool {
        let settled = |said: &Said| -> Vec<Ipv4Addr> {
            let mut all: Vec<Ipv4Addr> =
                said.floating.iter().filter(|ip| !unsettled.contains(ip)).copied().collect();
            all.sort_unstable();
            all
        };
        self.unlike(other) == Told::default() && settled(self) == settled(other)
    }

    fn text(&self, told: Told) -> String {
        let mut text = self.fixed.to_string();
        if let Some(mac) = self.mac.filter(|_| told.mac) {
            text.push_str(&format!(" on {mac}"));
        }
        if let Some(vif) = self.vif.as_ref().filter(|_| told.vif) {
            text.push_str(&format!(" by NIC {vif}"));
        }
        if let Some(network) = self.network.as_ref().filter(|_| told.network) {
            text.push_str(&format!(" in network {network}"));
        }
        let mut floating = self.floating.clone();
        floating.sort_unstable();
        if !floating.is_empty() {
            let all: Vec<String> = floating.iter().map(Ipv4Addr::to_string).collect();
            text.push_str(&format!(" (floating {})", all.join(" ")));
        }
        text
    }
}

/// A uuid in small letters, as nova writes it; or that none is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Uuid(Option<Box<str>>);

impl Uuid {
    pub(crate) fn of(text: Option<&str>) -> Uuid {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        Uuid(text.map(|text| text.to_ascii_lowercase().into()))
    }
}

/// A NIC that there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Nic {
    pub(crate) mac: Option<Mac>,
    pub(crate) uuid: Uuid,
}

/// Both in a sentence; `None` where they say the same, but for addresses that are unsettled.
pub(crate) fn differ(cache: &[Said], tables: &[Said], unsettled: &HashSet<Ipv4Addr>) -> Option<[String; 2]> {
    let is_settled = |said: &&Said| !unsettled.contains(&said.fixed);
    let mut left: Vec<&Said> = tables.iter().filter(is_settled).collect();
    let mut is_same = true;
    for said in cache.iter().filter(is_settled) {
        let same = left.iter().position(|other| other.fixed == said.fixed && said.agrees(other, unsettled));
        match same {
            Some(at) => drop(left.swap_remove(at)),
            None => is_same = false,
        }
    }
    if is_same && left.iter().all(|said| said.may_be_left_out) {
        return None;
    }
    let mut told = Told::default();
    for said in cache {
        for other in tables.iter().filter(|other| other.fixed == said.fixed) {
            let unlike = said.unlike(other);
            told.mac |= unlike.mac;
            told.vif |= unlike.vif;
            told.network |= unlike.network;
        }
    }
    let is_meant = |said: &&Said| !said.may_be_left_out || cache.iter().any(|one| one.fixed == said.fixed);
    Some([sentence(cache.iter(), told), sentence(tables.iter().filter(is_meant), told)])
}

/// What a cache says of IPv4; `None` where it is not what nova writes. An empty one says nothing.
pub(crate) fn cached(network_info: Option<&str>) -> Option<Vec<Said>> {
    let text = network_info.unwrap_or_default().trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let info: Value = serde_json::from_str(text).ok()?;
    let ip = |value: &Value| -> Option<Ipv4Addr> {
        value.get("address").and_then(Value::as_str).and_then(|text| text.parse().ok())
    };
    let word = |value: Option<&Value>| Uuid::of(value.and_then(Value::as_str)).0;
    let mut all = Vec::new();
    for vif in info.as_array()? {
        let network = vif.get("network");
        let mac = vif.get("address").and_then(Value::as_str).and_then(|text| text.trim().parse().ok());
        for subnet in each(network, "subnets") {
            for fixed in each(Some(subnet), "ips") {
                let Some(address) = ip(fixed) else { continue };
                all.push(Said {
                    fixed: address,
                    mac,
                    vif: word(vif.get("id")),
                    network: word(network.and_then(|network| network.get("id"))),
                    floating: each(Some(fixed), "floating_ips").filter_map(ip).collect(),
                    may_be_left_out: false,
                });
            }
        }
    }
    Some(all)
}

fn each<'v>(value: Option<&'v Value>, name: &str) -> impl Iterator<Item = &'v Value> {
    value.and_then(|value| value.get(name)).and_then(Value::as_array).into_iter().flatten()
}

/// All of it in a sentence, by address.
pub(crate) fn list(said: &[Said]) -> String {
    sentence(said.iter(), Told::default())
}

fn sentence<'s>(said: impl Iterator<Item = &'s Said>, told: Told) -> String {
    let mut all: Vec<&Said> = said.collect();
    all.sort_by_key(|said| said.fixed);
    if all.is_empty() {
        return "no fixed IP".to_owned();
    }
    all.into_iter().map(|said| said.text(told)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_wherever_they_stand() {
        let text = r#"[{"network": {"subnets": [{"ips": [
            {"address": "10.0.0.9", "floating_ips": []},
            {"address": "10.0.0.2", "floating_ips": [{"address": "203.0.113.1"}]},
            {"address": "fd00::2"}]}]}}, {"network": {}}]"#;
        let told = |text| cached(text).map(|said| list(&said));
        assert_eq!(told(Some(text)).unwrap(), "10.0.0.2 (floating 203.0.113.1) 10.0.0.9");
        for (text, said) in
            [(None, Some("no fixed IP")), (Some("[]"), Some("no fixed IP")), (Some("[{"), None)]
        {
            assert_eq!(told(text).as_deref(), said, "{text:?}");
        }
        assert!(cached(Some("{}")).is_none(), "not a list");
    }

    /// A cache of one NIC with one fixed IP beside the tables of the same; both as they are told, if at all.
    fn told(cache: &str, tables: &[Said], unsettled: &[Ipv4Addr]) -> Option<[String; 2]> {
        differ(&cached(Some(cache)).unwrap(), tables, &unsettled.iter().copied().collect())
    }

    fn nic(mac: &str, uuid: &str, network: &str, ips: &str) -> String {
        format!(
            r#"[{{"id": {uuid}, "address": {mac}, "network": {{"id": {network}, "subnets": [{{"ips": [{ips}]}}]}}}}]"#
        )
    }

    const FIXED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const FLOATING: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

    fn tables() -> Said {
        let nic = Nic { mac: Some("fa:16:3e:00:00:01".parse().unwrap()), uuid: Uuid::of(Some("V1")) };
        let said = Said::by_tables(FIXED, true, Some(nic), Some(Uuid::of(Some("n1"))));
        Said { floating: vec![FLOATING], ..said }
    }

    #[test]
    fn what_differs_is_told_and_nothing_else() {
        let ips = r#"{"address": "10.0.0.2", "floating_ips": [{"address": "203.0.113.1"}]}"#;
        let (mac, uuid, network) = (r#""FA:16:3E:00:00:01""#, r#""v1""#, r#""N1""#);
        assert_eq!(told(&nic(mac, uuid, network, ips), &[tables()], &[]), None);
        // What is not said is not compared.
        assert_eq!(told(&nic("null", "7", "null", ips), &[tables()], &[]), None);
        for (cache, one, other) in [
            (
                nic(r#""fa:16:3e:00:00:02""#, uuid, network, ips),
                "on fa:16:3e:00:00:02",
                "on fa:16:3e:00:00:01",
            ),
            (nic(mac, r#""v2""#, network, ips), "by NIC v2", "by NIC v1"),
            (nic(mac, uuid, r#""n2""#, ips), "in network n2", "in network n1"),
        ] {
            let [cache, tables] = told(&cache, &[tables()], &[]).unwrap();
            assert_eq!(cache, format!("10.0.0.2 {one} (floating 203.0.113.1)"));
            assert_eq!(tables, format!("10.0.0.2 {other} (floating 203.0.113.1)"));
        }
    }

    #[test]
    fn a_floating_ip_hangs_on_its_own_fixed_one() {
        let ips = r#"{"address": "10.0.0.2"}, {"address": "10.0.0.3", "floating_ips": [{"address": "203.0.113.1"}]}"#;
        let other = Said { fixed: Ipv4Addr::new(10, 0, 0, 3), floating: Vec::new(), ..tables() };
        let cache = nic("null", "null", "null", ips);
        let both = [tables(), other];
        let [cache_says, tables_say] = told(&cache, &both, &[]).unwrap();
        assert_eq!(cache_says, "10.0.0.2 10.0.0.3 (floating 203.0.113.1)");
        assert_eq!(tables_say, "10.0.0.2 (floating 203.0.113.1) 10.0.0.3");
        assert_eq!(told(&cache, &both, &[FLOATING]), None, "moved a moment ago");
    }

    #[test]
    fn what_nova_leaves_out_or_keeps_is_no_difference() {
        let with = nic("null", "null", "null", r#"{"address": "10.0.0.2"}"#);
        let nic = || Some(Nic::default());
        let network = || Some(Uuid::default());
        for said in [
            Said::by_tables(FIXED, false, nic(), network()),
            Said::by_tables(FIXED, true, None, network()),
            Said::by_tables(FIXED, true, nic(), None),
        ] {
            let said = [said];
            assert_eq!([told("[]", &said, &[]), told(&with, &said, &[])], [None, None], "{said:?}");
        }
        let said = [Said::by_tables(FIXED, true, nic(), network())];
        assert_eq!(told(&with, &said, &[]), None);
        assert_eq!(told("[]", &said, &[]).unwrap(), ["no fixed IP", "10.0.0.2"]);
        assert_eq!(told("[]", &said, &[FIXED]), None, "given a moment ago");
        assert_eq!(told(&with, &[], &[]).unwrap(), ["10.0.0.2", "no fixed IP"]);
    }
}
