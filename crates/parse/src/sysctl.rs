//! `sysctl -a` (sysctl(8)).

use std::collections::BTreeMap;

/// The network's settings by dotted name without `net.`, as the model has them. A dot in a device's name is printed
/// as a slash. Of what stands there twice, the last counts; what is not read (`sysctl: permission denied ...`) is not
/// there.
pub fn network(text: &str) -> BTreeMap<String, String> {
    let settings = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("net.")?.split_once('=')?;
        Some((name.trim().replace('/', "."), value.trim().to_owned()))
    });
    settings.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_networks_settings_are_read() {
        let text = "\
kernel.hostname = a
sysctl: permission denied on key 'net.core.bpf_jit_harden'
net.ipv4.ip_forward = 1
net.ipv4.conf.eth0/100.rp_filter = 2
net.ipv4.tcp_rmem = 4096\t131072\t6291456
net.bridge.bridge-nf-call-iptables=0
";
        let read = network(text);
        assert_eq!(read.get("ipv4.ip_forward").map(String::as_str), Some("1"));
        assert_eq!(read.get("ipv4.conf.eth0.100.rp_filter").map(String::as_str), Some("2"));
        assert_eq!(read.get("bridge.bridge-nf-call-iptables").map(String::as_str), Some("0"));
        assert_eq!(read.len(), 4);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(net\\.|ipv4|=| |/|\n|\\PC){0,40}") {
            prop_assert!(network(&text).len() <= text.lines().count());
        }
    }
}
