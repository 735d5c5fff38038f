//! One dimension's part of an ipset's element.

use std::net::IpAddr;

use ipnet::IpNet;
use model::Mac;
use model::netfilter::{Dimension, Part};
use model::packet::{ICMP, ICMPV6, TCP, UDP};

use crate::iptables_save::values::{self, bits};

/// Appends what a dimension's text stands for: one part, of a port two. `bitmap` are ports alone.
pub(super) fn push(
    key: &mut Vec<Part>,
    dimension: Dimension,
    text: &str,
    (netmask, bitmap): (Option<u8>, bool),
) -> Option<()> {
    match dimension {
        Dimension::Ip | Dimension::Net => {
            let (low, high) = addresses(text, netmask)?;
            key.push(Part::Range(low, high));
        }
        Dimension::Port => {
            let (protocols, ports) = port(text, bitmap)?;
            key.push(Part::Range(protocols.0.into(), protocols.1.into()));
            key.push(Part::Range(ports.0.into(), ports.1.into()));
        }
        Dimension::Mac => {
            let mac: Mac = text.parse().ok()?;
            let number = mac.0.iter().fold(0, |sum, octet| sum << 8 | u128::from(*octet));
            key.push(Part::Range(number, number));
        }
        // `physdev:eth0` is a bridge port, which is not the link that the engine looks at.
        Dimension::Iface => key.push(Part::Name((!text.contains(':')).then(|| text.to_owned())?)),
        Dimension::Mark => {
            let mark = values::number(text)?.into();
            key.push(Part::Range(mark, mark));
        }
        Dimension::Set => return None,
    }
    Some(())
}

/// An address, a prefix, or `low-high`; an address under a set's netmask is a prefix.
fn addresses(text: &str, netmask: Option<u8>) -> Option<(u128, u128)> {
    if let Some((low, high)) = values::ip_range(text) {
        return Some((bits(low), bits(high)));
    }
    let mut net = values::net(text)?;
    if let Some(length) = netmask {
        let ip: IpAddr = net.addr();
        net = IpNet::new(ip, length).ok()?;
    }
    Some((bits(net.network()), bits(net.broadcast())))
}

/// Inclusive ranges of protocol and port: `tcp:80`, `udp:53-54`, `icmp:echo-request`, `gre:0`, and
/// `80`, which is TCP's but in a bitmap, where it is UDP's too (`ip_set_get_ip_port`).
fn port(text: &str, bitmap: bool) -> Option<((u8, u8), (u16, u16))> {
    let Some((protocol, port)) = text.split_once(':') else {
        let ports = values::ports(text, '-')?;
        // No protocol between the two has ports.
        return Some(((TCP, if bitmap { UDP } else { TCP }), ports));
    };
    let number = values::protocol(protocol)?;
    let coded = |(kind, code): (u8, Option<u8>)| {
        let both = u16::from_be_bytes([kind, code.unwrap_or(0)]);
        (both, both)
    };
    let ports = match number {
        ICMP => coded(values::icmp(port)?),
        ICMPV6 => coded(values::icmpv6(port)?),
        _ => values::ports(port, '-')?,
    };
    Some(((number, number), ports))
}
