//! What a kernel may lack, found out by trying.

use std::process::{Command, Stdio};

/// What a kernel may be built without, or be used for beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// VLAN devices (`CONFIG_VLAN_8021Q`).
    Vlan,
    /// Delay and loss on purpose (`CONFIG_NET_SCH_NETEM`).
    Netem,
    /// Nobody else's network hangs on it: a test may fill what all its namespaces share, and load modules that leave
    /// something in the first of them. Only the virtual machine's has that.
    NoOthers,
}

impl Feature {
    /// Why the running kernel has it not; `None` where it has. It is used for this, in a namespace of its own:
    /// a module that can be loaded may still be no use, and what is built in is no module.
    ///
    /// # Panics
    ///
    /// Where no namespace can be made: then no test can be run either.
    #[expect(clippy::panic, reason = "part of a test, which fails by panicking")]
    pub(super) fn lack(self) -> Option<String> {
        let tries: &[&[&str]] = match self {
            Feature::NoOthers => {
                let is_inside = std::env::var_os(super::INSIDE).is_some();
                return (!is_inside).then(|| "other networks of this machine share it".to_owned());
            }
            Feature::Vlan => &[
                &["ip", "link", "add", "lower", "type", "veth", "peer", "name", "other"],
                &["ip", "link", "add", "link", "lower", "name", "tagged", "type", "vlan", "id", "5"],
            ],
            Feature::Netem => &[&["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]],
        };
        let netns = sys::netns::unnamed("of the kernel's features");
        let netns = netns.unwrap_or_else(|e| panic!("{e}; these tests need root"));
        tries.iter().find_map(|words| {
            let (program, arguments) = words.split_first()?;
            let mut command = Command::new(sys::programs::path_of(program));
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let ended =
                sys::netns::spawn_in(&netns, &mut command).and_then(std::process::Child::wait_with_output);
            match ended {
                Ok(output) if output.status.success() => None,
                Ok(output) => {
                    Some(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
                }
                Err(e) => panic!("{program}, of iproute2, could not be started: {e}"),
            }
        })
    }
}
