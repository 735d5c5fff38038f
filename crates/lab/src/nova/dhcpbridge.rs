//! nova-dhcpbridge: what dnsmasq calls to load its leases and to tell of new ones.

use std::fmt::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::conf::LEASE_SECONDS;
use super::database;
use crate::LabError;
use crate::place::DATABASE;

/// Does what dnsmasq asks for (dnsmasq(8), `--dhcp-script`), and returns what goes to stdout.
///
/// `init` answers with one line a lease, `expiry mac ip hostname *`. `add` and `del` are written to the
/// database; `old` changes nothing, as in nova. Nothing else may be printed: dnsmasq reads each line as
/// a lease.
pub fn dhcpbridge(state: &Path, args: &[String]) -> Result<String, LabError> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let path = state.join(DATABASE);
    match args.as_slice() {
        ["init", ..] => Ok(lease_lines(&database::leases(&path)?, now_seconds() + LEASE_SECONDS)),
        ["old", _mac, _address, ..] => Ok(String::new()),
        ["add", _mac, address, ..] => database::lease(&path, address).map(|()| String::new()),
        ["del", _mac, address, ..] => database::release(&path, address).map(|()| String::new()),
        _ => Err(LabError::DhcpBridgeArgs { args: args.iter().map(|arg| (*arg).to_owned()).collect() }),
    }
}

fn lease_lines(leases: &[database::Lease], expiry: u64) -> String {
    let mut lines = String::new();
    for database::Lease { mac, address, hostname } in leases {
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
        let lease = database::Lease {
            mac: "fa:16:3e:00:02:24".to_owned(),
            address: "10.0.2.24".to_owned(),
            hostname: "web1".to_owned(),
        };
        assert_eq!(lease_lines(&[lease], 9), "9 fa:16:3e:00:02:24 10.0.2.24 web1 *\n");
    }

    #[test]
    fn an_unknown_call_is_refused() {
        let error = dhcpbridge(Path::new("/nonexistent"), &["add".to_owned()]).unwrap_err();
        assert!(matches!(error, LabError::DhcpBridgeArgs { .. }), "{error}");
    }
}
