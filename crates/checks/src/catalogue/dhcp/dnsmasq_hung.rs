//! # dnsmasq-hung
//!
//! The dnsmasq of the instances' bridge is there and does not work.
//!
//! ## What it means
//! New instances get no address, and names time out, where without a process they would be refused at once. Somebody
//! stopped it, or it waits for a disk that is full or gone, or for its dhcp-script.
//!
//! ## How hopline knows
//! The process is in state `T` (stopped by a signal) or `t` (by a debugger); or in state `D`, which every process is in
//! at times, while queries wait in its sockets.
//!
//! ## What it looks like
//! `ss -lun` shows `Recv-Q` of ports 53 and 67 growing; dnsmasq's log is silent; nothing is refused, nothing answers.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-not-running`: no process, and DNS is refused by ICMP port unreachable.
//! * `input-blocks-dhcp`: the process is fine, and `Recv-Q` is 0.
//!
//! ## Fix
//! Let it go on (`kill -CONT PID`); if it stops again, look at what stopped it. Else kill that one, or restart
//! nova-network with it gone. Undo of the first: `kill -STOP PID`.
//!
//! ## References
//! proc(5) on process states; ss(8); dnsmasq(8) `--dhcp-script`.

use model::finding::{Confidence, Evidence, Remedy};
use model::path::Stage;
use model::service::Dnsmasq;

use crate::dhcp_refused;
use crate::dhcp_server;
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::restart;
use crate::view::{Seat, View};

/// Looks for servers of bridges that do not run on: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let served = dhcp_server::each(view).into_iter();
    served.filter_map(|(seat, server)| hung(view, &seat, server)).map(dhcp_refused::breaks_dhcp).collect()
}

fn hung(view: &View, seat: &Seat, server: &Dnsmasq) -> Option<Found> {
    let waiting = || dhcp_server::sockets(seat, server).filter(|socket| socket.receive_queue > 0);
    let (state, confidence) = match server.state.chars().next()? {
        'T' => ("stopped", Confidence::Proven),
        't' => ("stopped by a debugger", Confidence::Proven),
        'D' if waiting().next().is_some() => ("waiting for a disk or a program", Confidence::Likely),
        _ => return None,
    };
    let bridge = seat.bridge_name()?;
    let process = format!("dnsmasq pid {}: STAT {}", server.pid, server.state);
    let mut evidence: Vec<Evidence> = vec![evidence::state(seat.server_ns, "ps aux", process)];
    evidence.extend(
        waiting().map(|socket| evidence::state(seat.server_ns, "ss -lun", dhcp_server::socket_text(socket))),
    );
    let fault = Fault {
        code: "dnsmasq-hung",
        hop: at(seat.server_ns, bridge, Stage::Service),
        summary: format!(
            "dnsmasq of {bridge} on {} does not work: no addresses, and names time out",
            seat.server.name
        ),
        cause: format!("dnsmasq (pid {}) is {state}", server.pid),
        confidence,
        evidence,
        owner: "nova-network",
        remedy: remedy(view, *seat, server),
        instances: dhcp_server::clients(view, seat).iter().map(|i| i.name.clone()).collect(),
        stopped: dhcp_server::stop(view, seat),
        mend: vec![dhcp_server::put_right(seat, Dnsmasq { state: "S".to_owned(), ..server.clone() })],
    };
    Some(fault.found())
}

fn remedy(view: &View, seat: Seat, server: &Dnsmasq) -> Vec<Remedy> {
    let signal = |name: &str| format!("kill -{name} {}", server.pid);
    let first = if server.state.starts_with('D') {
        evidence::advice(
            format!("cat /proc/{}/wchan", server.pid),
            "mends nothing: tells what it waits for, which ends the wait",
        )
    } else {
        Remedy {
            command: signal("CONT"),
            undo: signal("STOP"),
            note: "it goes on where it was stopped; disturbs nobody".to_owned(),
        }
    };
    let anew = restart::dnsmasq(view, seat, server, "KILL", "ends it, if it does not go on");
    [first].into_iter().chain(anew).collect()
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    fn waits(cloud: &mut Cloud, bytes: u32) {
        let gateway: std::net::IpAddr = "10.0.0.42".parse().unwrap();
        let sockets = cloud.netns("compute1").sockets.iter_mut();
        let own = sockets.filter(|s| s.address == gateway && (s.protocol, s.port) == (17, 53));
        own.for_each(|s| s.receive_queue = bytes);
    }

    #[test]
    fn fires_on_a_process_that_is_stopped() {
        let diagnosis = broken("dnsmasq-hung").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-hung compute1//br100"]);
        let commands: Vec<&str> = diagnosis.findings[0].remedy.iter().map(|r| r.command.as_str()).collect();
        let [cont, kill, restart] = commands.as_slice() else { panic!("{commands:?}") };
        assert!(cont.starts_with("kill -CONT ") && kill.starts_with("kill -KILL "), "{commands:?}");
        assert_eq!(*restart, "systemctl restart nova-network");
    }

    #[test]
    fn fires_on_one_that_waits_while_queries_do() {
        let mut cloud = healthy();
        "D".clone_into(&mut cloud.dnsmasq("compute1").state);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new(), "for a moment every process is");
        waits(&mut cloud, 1664);
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dnsmasq-hung compute1//br100"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
        assert!(diagnosis.findings[0].evidence.iter().any(|e| e.text.contains("Recv-Q 1664")));
    }

    #[test]
    fn stays_silent_while_it_works_off_what_waits() {
        let mut cloud = healthy();
        waits(&mut cloud, 512);
        "R".clone_into(&mut cloud.dnsmasq("compute1").state);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_when_libvirts_own_is_stopped_or_none_is_there() {
        let mut cloud = healthy();
        let servers = cloud.host("compute1").dnsmasq.iter_mut();
        servers.filter(|d| d.is_libvirts()).for_each(|d| "T".clone_into(&mut d.state));
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
        assert!(lacks(&broken("dnsmasq-not-running").diagnose("web1"), "dnsmasq-hung"));
    }
}
