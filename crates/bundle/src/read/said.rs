//! Names that reach the commands that people are told to run. What another made may be called `x;reboot`, and is no
//! name that a device or a namespace of a cloud has.

use collect::Machine;

use super::again;
use crate::assemble::Missing;

/// Bytes of a device's name (IFNAMSIZ without its end) and of a file's, which a namespace's is.
const DEVICE_MAX: usize = 15;
const NETNS_MAX: usize = 255;

/// Only a machine whose devices and namespace have names that a shell takes as they are.
pub(crate) fn plainly(machine: Machine) -> Result<Machine, Missing> {
    let devices = machine.netns.links.iter().map(|link| (link.name.as_str(), DEVICE_MAX));
    let netns = machine.netns.enter.iter().map(|name| (name.as_str(), NETNS_MAX));
    match devices.chain(netns).find(|(name, bytes_max)| !is_plain(name, *bytes_max)) {
        None => Ok(machine),
        Some((name, _)) => Err(Missing {
            why: format!("its facts name a device or namespace {name:.40?}, which is no name to repeat"),
            would_need: again(),
        }),
    }
}

/// The kernel lets a device be called nearly anything; what tools make has these marks.
fn is_plain(name: &str, bytes_max: usize) -> bool {
    let is_fit = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '@' | '+' | '=' | '-' | ',' | '%')
    };
    name.len() <= bytes_max && !name.starts_with('-') && name.chars().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clouds_pass_and_commands_do_not() {
        for name in
            ["", "vnet0", "br-abc", "eth0.100", "veth@if3", "tap1234abcd-ef", "enp3s0f1np1", "bond0:1", "lo"]
        {
            assert!(is_plain(name, DEVICE_MAX), "{name}");
        }
        for name in [
            "a;reboot",
            "$(id)",
            "`id`",
            "a b",
            "-rf",
            "a/b",
            "a\nb",
            "a'b",
            "a|b",
            "a>b",
            "1234567890123456",
        ] {
            assert!(!is_plain(name, DEVICE_MAX), "{name}");
        }
    }
}
