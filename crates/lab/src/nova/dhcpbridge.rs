//! nova-dhcpbridge: what dnsmasq calls to load its leases and to tell of new ones.

use std::fmt::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use novadb::Lease;

use super::conf::LEASE_SECONDS;
use crate::LabError;
use crate::database::ask;
use crate::record;

/// Does what a host's dnsmasq asks for (dnsmasq(8), `--dhcp-script`), and returns what goes to stdout.
///
/// `init` answers with one line a lease, `expiry mac ip hostname *`. `add` and `del` are written to the
/// database; `old` changes nothing, as in nova. Nothing else may be printed: dnsmasq reads each line as
/// a lease.
pub fn dhcpbridge(state: &Path, host: &str, args: &[String]) -> Result<String, LabError> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let unknown = || LabError::DhcpBridgeArgs { args: args.iter().map(|arg| (*arg).to_owned()).collect() };
    let lab = || record::of_state(state);
    match args.as_slice() {
        ["init", ..] => {
            let leases = ask(&lab()?, |db| db.leases(host))?;
            Ok(lease_lines(&leases, now_seconds() + LEASE_SECONDS))
        }
        ["old", _mac, _address, ..] => Ok(String::new()),
        [what @ ("add" | "del"), mac, address, ..] => {
            let mac = mac.parse().map_err(|_| unknown())?;
            let address = address.parse().map_err(|_| unknown())?;
            let is_new = *what == "add";
            ask(&lab()?, |db| if is_new { db.lease(mac, address) } else { db.release(mac, address) })?;
            Ok(String::new())
        }
        _ => Err(unknown()),
    }
}

fn lease_lines(leases: &[Lease], expiry: u64) -> String {
    let mut lines = String::new();
    for Lease { mac, address, hostname } in leases {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{expiry} {mac} {address} {hostname} *");
    }
    lines
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_a_line_of_dnsmasqs_lease_file() {
        let lease = Lease {
            mac: "fa:16:3e:00:02:24".parse().unwrap(),
            address: "10.0.2.24".parse().unwrap(),
            hostname: "web1".to_owned(),
        };
        assert_eq!(lease_lines(&[lease], 9), "9 fa:16:3e:00:02:24 10.0.2.24 web1 *\n");
    }

    #[test]
    fn an_unknown_call_is_refused() {
        for args in [&["add"][..], &["add", "no mac", "10.0.2.24"], &["del", "fa:16:3e:00:02:24", "x"]] {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            let error = dhcpbridge(Path::new("/nonexistent"), "compute1", &args).unwrap_err();
            assert!(matches!(error, LabError::DhcpBridgeArgs { .. }), "{error}");
        }
    }
}
