//! What `tcpdump -n` prints, with `-v` (two lines a packet) or without, on one link or `-i any`.
//!
//! Only IP packets become sightings; others (ARP, LLDP, ...) count as frames and are passed over.
//! Hex dumps (`-x`) and what `-vv` adds below a packet are passed over too. Link-level headers
//! (`-e`) and names in place of addresses (without `-n`) are problems that say so.

mod ip;
mod seen;
mod stamp;

pub use seen::sighting as seen;

use model::listing::ListedPacket;

use crate::{Parsed, Problem};

/// Reads a whole listing. `vantage` is where it was made.
///
/// With date (`-tttt`) or epoch (`-tt`) stamps times are nanoseconds since the epoch, a date being
/// taken as UTC because tcpdump prints local time without its zone; with clock stamps they are
/// nanoseconds since midnight; without stamps (`-t`) 0.
pub fn parse(vantage: &str, text: &str) -> Parsed<Vec<ListedPacket>> {
    let mut out = Parsed::<Vec<ListedPacket>>::default();
    let mut frame = 0;
    let mut unfinished: Option<Unfinished<'_>> = None;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let begun = first_line(line, frame + 1);
        let read = match (begun, unfinished.take()) {
            (Some((place, packet)), cut_off) => {
                out.problems.extend(cut_off.map(Unfinished::problem));
                frame += 1;
                match ip::fields(packet) {
                    Ok(Some((fields, ""))) => {
                        unfinished = Some(Unfinished { place, fields, index, line });
                        continue;
                    }
                    Ok(Some((fields, addresses))) => ip::sighting(&fields, addresses).map(|ip| (place, ip)),
                    Ok(None) => continue,
                    Err(what) => Err(what),
                }
            }
            (None, Some(header)) => ip::sighting(&header.fields, line.trim()).map(|ip| (header.place, ip)),
            (None, None) if is_commentary(line) => continue,
            (None, None) => Err("expected a packet as `tcpdump -n` prints it: `12:51:42.019519 IP ...`"),
        };
        match read {
            Ok((place, ip)) => out.value.push(sighting(vantage, place, ip)),
            Err(what) => out.problems.push(Problem::at(index, line, line.trim_start(), what)),
        }
    }
    out.problems.extend(unfinished.map(Unfinished::problem));
    out
}

/// When, at which link, and as which packet of the listing something was seen.
struct Place {
    frame: u32,
    time_ns: u64,
    interface: Option<(String, String)>,
}

/// A packet of `-v` whose addresses are on the next line.
struct Unfinished<'a> {
    place: Place,
    fields: ip::Fields,
    index: usize,
    line: &'a str,
}

impl Unfinished<'_> {
    fn problem(self) -> Problem {
        Problem::at(self.index, self.line, self.line, "the second line of this packet is missing")
    }
}

fn sighting(vantage: &str, place: Place, packet: ip::IpPacket) -> ListedPacket {
    ListedPacket {
        vantage: vantage.to_owned(),
        interface: place.interface,
        frame: place.frame,
        time_ns: place.time_ns,
        ip: packet.header,
        transport: packet.transport,
    }
}

/// `[STAMP] [LINK In|Out|B|M|P] PACKET`; `None` for a line that begins no packet.
fn first_line(line: &str, frame: u32) -> Option<(Place, &str)> {
    if line.starts_with(char::is_whitespace) {
        return None;
    }
    let (time_ns, rest) = match stamp::split(line) {
        Some(split) => split,
        None if line.starts_with("IP ") || line.starts_with("IP6 ") => (0, line),
        None => return None,
    };
    // libpcap's packet types, as `-i any` prints them since tcpdump 4.99: to this host, from it,
    // broadcast, multicast, to another host (promiscuous).
    let words = rest.split_once(' ').and_then(|(link, rest)| Some((link, rest.split_once(' ')?)));
    match words {
        Some((link, (direction @ ("In" | "Out" | "B" | "M" | "P"), rest))) => {
            let interface = Some((link.to_owned(), direction.to_owned()));
            Some((Place { frame, time_ns, interface }, rest.trim_start()))
        }
        Some(_) | None => Some((Place { frame, time_ns, interface: None }, rest)),
    }
}

/// A line that belongs to no packet, or to what is below one: headings, totals, hex, `-vv`.
fn is_commentary(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["tcpdump:", ..] | ["listening", "on", ..] | ["reading", "from", ..] | ["dropped", "privs", ..] => {
            true
        }
        [count, "packet" | "packets", "captured" | "received" | "dropped", ..] => {
            count.parse::<u64>().is_ok()
        }
        _ => line.starts_with(char::is_whitespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_cut_off_is_a_problem_and_the_next_is_read() {
        let text = "12:51:42.0 IP (tos 0x0, ttl 64, id 0, offset 0, flags [DF], proto ICMP (1), length 84)\n\
                    12:51:43.0 IP (tos 0x0, ttl 64, id 0, offset 0, flags [DF], proto ICMP (1), length 84)\n\
                    \n10.0.2.24 > 1.2.3.4: ICMP echo request, id 24895, seq 1, length 64\n\
                    12:51:44.0 IP (tos 0x0, ttl 64, id 0, offset 0, flags [DF], proto ICMP (1), length 84)\n";
        let read = parse("a", text);
        assert_eq!(read.value.iter().map(|s| s.frame).collect::<Vec<_>>(), [2]);
        assert_eq!(read.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 5]);
    }

    #[test]
    fn headings_totals_and_other_protocols_are_passed_over() {
        let text = "\
tcpdump: listening on br100, link-type EN10MB (Ethernet), snapshot length 262144 bytes
02:24:42.435586 ARP, Request who-has 10.0.0.1 tell 10.0.0.3, length 28
02:24:42.435672 IP 10.0.0.3 > 10.0.0.1: ICMP echo request, id 10755, seq 1, length 64
\t0x0000:  4500 0054 339c 4000 4001 f305 0a00 0003
1 packet captured
0 packets dropped by kernel
";
        let read = parse("a", text);
        assert_eq!(read.problems, []);
        assert_eq!(read.value.iter().map(|s| s.frame).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_is_not_read_says_what_to_do() {
        let what = |line| parse("a", line).problems.remove(0).what;
        let linked = "02:24:42.435672 fa:16:3e:00:00:11 > fe:16:3e:00:00:11, ethertype IPv4 (0x0800)";
        assert!(what(linked).contains("`-e`"));
        assert!(
            what("02:24:42.435672 IP web1 > example.org: ICMP echo request, id 1, seq 1")
                .contains("`tcpdump -n`")
        );
        assert!(what("garbage").contains("expected a packet"));
    }
}
