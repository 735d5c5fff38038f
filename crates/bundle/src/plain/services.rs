//! `sysctl`, `ss -lntu` and `ps`.

use std::fmt::Write;

use model::Netns;
use model::snapshot::Host;

use crate::secrets::Arguments;

pub(super) fn sysctls(ns: &Netns) -> String {
    let lines = ns.sysctls.iter().map(|(name, value)| format!("net.{name} = {value}\n"));
    lines.collect()
}

pub(super) fn sockets(ns: &Netns) -> String {
    let mut out = "Netid Recv-Q Local Address:Port\n".to_owned();
    for socket in &ns.sockets {
        let protocol = match socket.protocol {
            6 => "tcp".to_owned(),
            17 => "udp".to_owned(),
            other => other.to_string(),
        };
        let address = if socket.address.is_ipv6() {
            format!("[{}]", socket.address)
        } else {
            socket.address.to_string()
        };
        let device = socket.device.as_ref().map(|device| format!("%{device}")).unwrap_or_default();
        let _ = writeln!(out, "{protocol} {} {address}{device}:{}", socket.receive_queue, socket.port);
    }
    out
}

/// Arguments that hold blanks are quoted, so that they are told apart.
pub(super) fn processes(host: &Host) -> String {
    let mut out = "USER PID STAT COMMAND\n".to_owned();
    for process in &host.processes {
        let arguments = Arguments::default();
        let argv = process.argv.iter().map(|word| arguments.next(word)).map(|word| {
            let plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control());
            if plain { word.into_owned() } else { format!("{word:?}") }
        });
        let argv = argv.collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "{} {} {} {argv}", process.user, process.pid, process.state);
    }
    out
}
