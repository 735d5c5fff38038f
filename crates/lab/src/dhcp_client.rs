//! A DHCP client of few words: it says one thing, as those do that go wrong, and hears nothing.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use model::Mac;
use nix::sys::socket::{setsockopt, sockopt::BindToDevice};
use plumbing::address;

use crate::LabError;
use crate::error::file;
use crate::guest;
use crate::layout::GUEST_NIC;
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::process;
use crate::scene::Scene;

/// How long dnsmasq may take to write down what it heard.
const DEADLINE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);
/// Of BOOTP's fixed part and the options' magic number, in octets.
const FIXED: usize = 240;
const TRANSACTION: [u8; 4] = [0x6c, 0x61, 0x62, 0x01];

/// What it says (RFC 2131, 4.4).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word {
    /// It wants this address again, which it had before it was started.
    Again(Ipv4Addr),
    /// It was given this address, and found that somebody else has it.
    Declines(Ipv4Addr),
}

impl Word {
    /// By which dnsmasq's log tells of it, and of what came of it.
    fn logged(self) -> &'static str {
        match self {
            Word::Again(_) => "DHCPNAK(",
            Word::Declines(_) => "DHCPDECLINE(",
        }
    }
}

/// web1's own client ends, and its NIC is left without an address.
pub(crate) fn lose_address(scene: &mut Scene, code: &'static str) -> Result<(), LabError> {
    let net = scene.nic.fixed_net();
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code }) };
    process::end_every(&[inside.inode()], |process| process.mentions("udhcpc"))?;
    if let Some(net) = net
        && address::exists(inside, net)?
    {
        address::delete(inside, GUEST_NIC, net)?;
    }
    Ok(())
}

/// web1 forgets its address and asks for it. Whoever once took the offer of another server has made its own forget the
/// lease: dnsmasq refuses a request for an address that is not its own to give, and drops the one that it gave.
pub(crate) fn ask_anew(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    match &mut scene.inside {
        Some(inside) => guest::restart_dhcp_client(lab, &scene.compute.host.name, inside, &scene.web1),
        None => Ok(()),
    }
}

/// web1 says this to its server, and the server's log has it when this returns.
pub(crate) fn say(lab: &Lab, scene: &Scene, word: Word, code: &'static str) -> Result<(), LabError> {
    let Scene { inside, nic, served, server, .. } = scene;
    let Some(inside) = inside else { return Err(LabError::NoInside { code }) };
    let message = message(nic.mac, served.gateway, word);
    let log = dnsmasq::log_file(lab, &server.host.name);
    let count = || -> Result<usize, LabError> {
        let text = fs::read_to_string(&log).map_err(file("read", &log))?;
        let mac = nic.mac.to_string();
        Ok(text.lines().filter(|line| line.contains(word.logged()) && line.contains(&mac)).count())
    };
    let before = count()?;
    inside.inside(|| send(&message))?.map_err(file("send by", GUEST_NIC))?;
    let deadline = Instant::now() + DEADLINE;
    while count()? == before {
        if Instant::now() >= deadline {
            return Err(LabError::Timeout {
                seconds: DEADLINE.as_secs(),
                awaited: format!("dnsmasq to log `{}`", word.logged()),
                log,
            });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Broadcast by the NIC, which may have no address.
fn send(message: &[u8]) -> io::Result<()> {
    let client = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68))?;
    setsockopt(&client, BindToDevice, &GUEST_NIC.into())?;
    client.set_broadcast(true)?;
    client.send_to(message, (Ipv4Addr::BROADCAST, 67)).map(drop)
}

/// A message of 300 octets, with the flag by which everybody may hear the answer.
fn message(mac: Mac, server: Ipv4Addr, word: Word) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0];
    message.extend(TRANSACTION);
    message.extend([0, 0, 0x80]);
    message.resize(28, 0);
    message.extend(mac.0);
    message.resize(FIXED - 4, 0);
    message.extend([0x63, 0x82, 0x53, 0x63]);
    let (kind, address) = match word {
        Word::Again(address) => (3, address),
        Word::Declines(address) => (4, address),
    };
    message.extend([53, 1, kind, 50, 4]);
    message.extend(address.octets());
    match word {
        // Of no server in particular (RFC 2131, 4.3.2).
        Word::Again(_) => {}
        Word::Declines(_) => {
            message.extend([54, 4]);
            message.extend(server.octets());
        }
    }
    message.push(255);
    message.resize(300, 0);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decline_names_its_server_and_a_request_for_an_old_address_names_none() {
        let (mac, server) = (Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 42));
        let old = Ipv4Addr::new(10, 0, 9, 9);
        let declined = message(mac, server, Word::Declines(old));
        assert_eq!((declined.len(), &declined[28..34]), (300, &mac.0[..]));
        assert_eq!(declined[10..12], [0x80, 0]);
        assert_eq!(declined[240..256], [53, 1, 4, 50, 4, 10, 0, 9, 9, 54, 4, 10, 0, 0, 42, 255]);
        assert_eq!(message(mac, server, Word::Again(old))[240..250], [53, 1, 3, 50, 4, 10, 0, 9, 9, 255]);
    }
}
