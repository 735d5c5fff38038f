//! Any octets as a sosreport's archive, and as each file that is read of one: nothing panics, and what is read is of one
//! host.

#![no_main]

use bundle::sosreport::{self, Packing};
use libfuzzer_sys::fuzz_target;

/// Files whose text is the input's, each at a time.
const FILES: [&str; 13] = [
    "sos_commands/networking/ip_-s_-d_link",
    "sos_commands/networking/ip_-d_address",
    "sos_commands/networking/ip_route_show_table_all",
    "sos_commands/networking/ip_-4_rule_list",
    "sos_commands/networking/ip_-s_-s_neigh_show",
    "sos_commands/networking/bridge_-s_-s_-d_-t_fdb_show",
    "sos_commands/networking/bridge_-d_vlan_show",
    "sos_commands/networking/ip_netns",
    "sos_commands/networking/nft_list_ruleset",
    "sos_commands/networking/brctl_show",
    "sos_commands/kernel/sysctl_-a",
    "sos_commands/process/ps_auxwwwm",
    "proc/net/udp",
];

fuzz_target!(|octets: &[u8]| {
    for packing in [Packing::Xz, Packing::Gzip, Packing::Tar] {
        let _ = sosreport::read(octets, packing, "x");
    }
    // The first octet chooses the file that is the input's; the others are such that the host is read.
    let (chosen, text) = octets.split_first().unwrap_or((&0, octets));
    let mut tar = tar::Builder::new(Vec::new());
    for (nth, path) in FILES.iter().enumerate() {
        let own: &[u8] = match nth {
            _ if nth == usize::from(*chosen) % FILES.len() => text,
            0 => b"2: br100: <BROADCAST,UP,LOWER_UP> mtu 1500 state UP\n    bridge stp_state 0\n",
            2 => b"10.0.0.0/16 dev br100 scope link\n",
            _ => b"",
        };
        let mut header = tar::Header::new_gnu();
        header.set_size(own.len() as u64);
        if tar.append_data(&mut header, path, own).is_err() {
            return;
        }
    }
    let Ok(archive) = tar.into_inner() else { return };
    let read = sosreport::read(&archive[..], Packing::Tar, "x").expect("it is a sosreport");
    for member in &read.members {
        if let Ok(machine) = &member.outcome {
            assert_eq!(machine.netns.machine, member.name);
        }
    }
});
