//! Ethernet addresses.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An Ethernet (MAC) address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`, every station on the segment.
    pub const BROADCAST: Mac = Mac([0xff; 6]);
    /// `00:00:00:00:00:00`, what an unresolved neighbour and an ARP request's target carry.
    pub const ZERO: Mac = Mac([0; 6]);

    /// Broadcast or multicast: the group bit, the lowest of the first octet (IEEE 802.3).
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The last five octets equal: libvirt gives the host's side of an instance's NIC the
    /// instance's MAC with `fe` as first octet (libvirt `virnetdevtap.c`).
    pub fn is_tap_of(self, guest: Mac) -> bool {
        self == guest.of_tap()
    }

    /// The MAC that libvirt gives the host's side of the NIC that has this one.
    #[must_use]
    pub fn of_tap(self) -> Mac {
        let mut octets = self.0;
        octets[0] = 0xfe;
        Mac(octets)
    }

    /// The address that a NIC makes of its own MAC (RFC 4291, appendix A) behind the bits of this one, as nova does
    /// (nova/ipv6/rfc2462.py `to_global`).
    pub fn made_v6(self, behind: Ipv6Addr) -> Ipv6Addr {
        let Mac([first, second, third, fourth, fifth, sixth]) = self;
        let own = u64::from_be_bytes([first ^ 2, second, third, 0xff, 0xfe, fourth, fifth, sixth]);
        Ipv6Addr::from_bits(behind.to_bits() | u128::from(own))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, octet) in self.0.iter().enumerate() {
            let colon = if nth == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({self})")
    }
}

/// The text is not six colon-separated pairs of hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAMac;

impl fmt::Display for NotAMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a MAC address (expected aa:bb:cc:dd:ee:ff)")
    }
}

impl std::error::Error for NotAMac {}

impl FromStr for Mac {
    type Err = NotAMac;

    /// One or two hex digits an octet: ebtables drops leading zeros (`fa:16:3e:0:0:11`).
    fn from_str(text: &str) -> Result<Mac, NotAMac> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().ok_or(NotAMac)?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(NotAMac);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| NotAMac)?;
        }
        if parts.next().is_some() { Err(NotAMac) } else { Ok(Mac(octets)) }
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Mac, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_short_octets_are_read() {
        assert_eq!("fa:16:3e:0:0:11".parse::<Mac>().unwrap().to_string(), "fa:16:3e:00:00:11");
        for bad in ["", "fa:16:3e:00:00", "fa:16:3e:00:00:11:22", "fa:16:3e:00:00:+1", "fa-16-3e-00-00-11"] {
            assert_eq!(bad.parse::<Mac>(), Err(NotAMac), "{bad}");
        }
    }

    #[test]
    fn a_tap_wears_the_guests_mac_with_fe() {
        let guest: Mac = "fa:16:3e:00:00:11".parse().unwrap();
        assert!("fe:16:3e:00:00:11".parse::<Mac>().unwrap().is_tap_of(guest));
        assert!(!guest.is_tap_of(guest));
    }

    #[test]
    fn an_address_is_made_of_a_mac() {
        // The second from nova's own tests (nova/tests/unit/test_ipv6.py).
        for (behind, mac, address) in [
            ("fd00:1::", "fa:16:3e:00:00:01", "fd00:1::f816:3eff:fe00:1"),
            ("2001:db8::", "02:16:3e:33:44:55", "2001:db8::16:3eff:fe33:4455"),
        ] {
            let made = mac.parse::<Mac>().unwrap().made_v6(behind.parse().unwrap());
            assert_eq!(made.to_string(), address);
        }
    }
}
