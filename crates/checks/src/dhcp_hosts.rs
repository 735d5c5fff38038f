//! What dnsmasq's hosts file says of a NIC, beside what is recorded of it and what it was offered.

use std::net::Ipv4Addr;

use model::dhcp::{HeardReply, ReplyKind};
use model::finding::{Evidence, EvidenceKind};
use model::service::{DhcpHost, Dnsmasq};

use crate::dhcp_server;
use crate::dhcp_stranger;
use crate::evidence;
use crate::said;
use crate::view::{Seat, View};

/// What the network's own server offered to our DISCOVERs in this instance's name. The first NIC asks.
pub(crate) fn own_offers<'v>(view: &View<'v>, seat: &Seat) -> Vec<&'v HeardReply> {
    let is_first = seat.instance.vifs.first().is_some_and(|first| std::ptr::eq(first, seat.vif));
    let gateway = seat.gateway().filter(|_| is_first);
    let offers = said::offers(view.probes, &seat.instance.name);
    let offers = offers.filter(|heard| heard.reply.kind == ReplyKind::Offer);
    // Where hosts share an address, another one's offer has it too.
    let is_own = |heard: &&HeardReply| {
        gateway == Some(dhcp_stranger::server(heard)) && dhcp_stranger::of(view, *seat, heard).is_none()
    };
    offers.filter(is_own).collect()
}

/// The file's line for a NIC: of several the last, as dnsmasq takes it.
pub(crate) fn line<'v>(seat: &Seat, server: &'v Dnsmasq) -> Option<&'v DhcpHost> {
    server.hosts.iter().flatten().rev().find(|line| Some(line.mac) == seat.vif.mac)
}

/// That line, where it has another address than those that are recorded.
pub(crate) fn wrong_line<'v>(seat: &Seat, server: &'v Dnsmasq) -> Option<(&'v DhcpHost, Ipv4Addr)> {
    let line = line(seat, server)?;
    let ip = line.ip.filter(|ip| !seat.vif.fixed.is_empty() && !seat.vif.fixed.contains(ip))?;
    Some((line, ip))
}

/// The line has the recorded address, and dnsmasq has offered another one, which it can have from nowhere but this file
/// as it was before.
pub(crate) fn is_offered_what_stood_before(seat: &Seat, server: &Dnsmasq, heard: &HeardReply) -> bool {
    let is_recorded = |ip: &Ipv4Addr| seat.vif.fixed.contains(ip);
    let is_right = line(seat, server).and_then(|line| line.ip).is_some_and(|ip| is_recorded(&ip));
    let is_other = heard.reply.address.is_some_and(|ip| !is_recorded(&ip));
    is_right && is_other && goes_by_file_alone(server) && dhcp_server::beside(seat).is_empty()
}

/// A lease may make a server with a range of its own pass over a line (dnsmasq's src/rfc2131.c, `dhcp_reply`); one
/// whose ranges are static offers nothing but what it was told, and is told by this file alone.
fn goes_by_file_alone(server: &Dnsmasq) -> bool {
    let tells = |argument: &String| {
        let name = argument.split('=').next().unwrap_or_default();
        let is_short = ["-G", "-Z", "-7"].iter().any(|short| argument.starts_with(short));
        is_short || matches!(name, "--dhcp-host" | "--dhcp-hostsdir" | "--read-ethers" | "--conf-dir")
    };
    server.ranges.iter().all(|range| range.is_static)
        && server.conf_file.is_none()
        && !server.argv.iter().any(tells)
}

/// A line of the file, as evidence.
pub(crate) fn evidence(server: &Dnsmasq, line: &DhcpHost) -> Evidence {
    let file = server.hosts_file.as_deref().unwrap_or("dnsmasq's hosts file");
    let has = line.ip.map_or_else(|| "no address".to_owned(), |ip| ip.to_string());
    evidence::record(EvidenceKind::Config, format!("{file}:{}", line.line), format!("{} has {has}", line.mac))
}
