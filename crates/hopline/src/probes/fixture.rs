//! Who asks, and with what, in the tests of asking.

use std::collections::BTreeSet;
use std::net::IpAddr;

use collect::{At, MachinePlan};
use probe::EchoSize;
use probe::as_instance::Asks;

use super::{From, Probe, USUAL};

/// A machine that may be entered, and of which nothing else is known.
pub(crate) fn machine(name: &str) -> MachinePlan {
    MachinePlan {
        name: name.to_owned(),
        role: String::new(),
        at: At::Local,
        instance: false,
        nova_conf: None,
        libvirt: None,
        dnsmasq_log: None,
        console_logs: None,
    }
}

/// A usual ping of its own.
pub(crate) fn ping(machine: &MachinePlan, to: impl Into<IpAddr>) -> Probe<'_> {
    Probe {
        from: From::Inside(machine),
        to: to.into(),
        asks: Asks::Echo(EchoSize { octets: 84, whole: false }),
        pace: USUAL,
        id: 1,
        is_foreseen_silent: false,
        server_port: 53,
        passed_on: 0,
        is_at_home: false,
        listeners: BTreeSet::new(),
        needless_once: None,
    }
}
