//! Any octets as a sosreport's archive, and as each file that is read of one: nothing panics, and what is read is of one
//! host.

#![no_main]

use bundle::sosreport::{self, Packing};
use libfuzzer_sys::fuzz_target;

/// Files whose text is the input's, each at a time. The first octet of an input is a place in this list: new ones go to
/// its end.
const FILES: [&str; 29] = [
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
    "sos_commands/firewall_tables/iptables-save_-c",
    "sos_commands/firewall_tables/ip6tables-save_-c",
    "sos_commands/ebtables/ebtables-save",
    "sos_commands/networking/ss_-peaonmi",
    "sos_commands/process/ps_axo_pid_ppid_lstart_tty_time_cmd",
    "sos_commands/networking/tc_-s_qdisc_show",
    "sos_commands/virsh/virsh_-r_dumpxml_instance-00000001",
    "etc/libvirt/qemu/instance-00000002.xml",
    "var/lib/nova/instances/instance-00000001/console.log",
    "var/lib/nova/networks/nova-br100.conf",
    "var/lib/nova/networks/nova-br100.leases",
    "var/log/syslog",
    "proc/net/nf_conntrack",
    "sos_commands/networking/namespaces/n/ip_netns_exec_n_ip_-d_address_show",
    "sos_commands/networking/namespaces/n/ip_netns_exec_n_ip_route_show_table_all",
    "sos_commands/networking/namespaces/n/ip_netns_exec_n_iptables-save",
];

const LINKS: &[u8] = b"2: br100: <BROADCAST,UP,LOWER_UP> mtu 1500 state UP\n    bridge stp_state 0\n";
const ROUTES: &[u8] = b"10.0.0.0/16 dev br100 scope link\n";

/// What each file says where it is not the input's: such that the host is read, and its namespace, its servers and
/// whatever they name.
fn usual(path: &str) -> &'static [u8] {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        "ip_-s_-d_link" | "ip_netns_exec_n_ip_-d_address_show" => LINKS,
        "ip_route_show_table_all" | "ip_netns_exec_n_ip_route_show_table_all" => ROUTES,
        "ip_netns" => b"n (id: 0)\n",
        "ps_auxwwwm" => {
            b"USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND\n\
              nobody 7 0.0 0.0 1 1 ? S 10:00 0:00 dnsmasq --interface=br100 --dhcp-range=10.0.0.2,static \
              --dhcp-hostsfile=/var/lib/nova/networks/nova-br100.conf \
              --dhcp-leasefile=/var/lib/nova/networks/nova-br100.leases\n"
        }
        _ => b"",
    }
}

fuzz_target!(|octets: &[u8]| {
    for packing in [Packing::Xz, Packing::Gzip, Packing::Tar] {
        let _ = sosreport::read(octets, packing, "x");
    }
    // The first octet chooses the file that is the input's.
    let (chosen, text) = octets.split_first().unwrap_or((&0, octets));
    let mut tar = tar::Builder::new(Vec::new());
    for (nth, path) in FILES.iter().enumerate() {
        let is_chosen = nth == usize::from(*chosen) % FILES.len();
        let own = if is_chosen { text } else { usual(path) };
        let mut header = tar::Header::new_gnu();
        header.set_size(own.len() as u64);
        if tar.append_data(&mut header, path, own).is_err() {
            return;
        }
    }
    // Processes' starts are read only where the clock is in UTC.
    let date = b"Sat Nov 28 20:00:00 UTC 2026\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(date.len() as u64);
    if tar.append_data(&mut header, "sos_commands/date/date", &date[..]).is_err() {
        return;
    }
    let Ok(archive) = tar.into_inner() else { return };
    let read = sosreport::read(&archive[..], Packing::Tar, "x").expect("it is a sosreport");
    for member in &read.members {
        if let Ok(machine) = &member.outcome {
            assert_eq!(machine.netns.machine, member.name);
        }
    }
});
