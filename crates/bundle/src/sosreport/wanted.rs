//! Which files of a sosreport are kept, and how much of each: it holds thousands that tell nothing of a packet's way.

/// What of a file is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// All of it; where it is longer, nothing.
    Whole(u64),
    /// Its end.
    Tail(u64),
}

/// A list or a listing, a domain's XML, the ends of logs.
const LISTING_MAX: u64 = 64 << 20;
const FILE_MAX: u64 = 16 << 20;
/// What is short on every host, and looked through for each namespace.
const SHORT_MAX: u64 = 256 << 10;
const LOG_TAIL: u64 = 8 << 20;
const CONSOLE_TAIL: u64 = 100 << 10;

/// Folders whose files are kept whole, but for those of ethtool.
const COMMANDS: [&str; 5] = ["networking", "firewall_tables", "firewalld", "ebtables", "virsh"];
/// Files that are kept whole.
const FILES: [&str; 17] = [
    "etc/hostname",
    "etc/resolv.conf",
    "etc/iproute2/rt_tables",
    "etc/nova/nova.conf",
    "hostname",
    "installed-debs",
    "installed-rpms",
    "lsmod",
    "proc/modules",
    "proc/sys/kernel/osrelease",
    "sos_commands/dpkg/dpkg_-l",
    "sos_commands/kernel/lsmod",
    "sos_commands/kernel/sysctl_-a",
    "sos_commands/kernel/uname_-a",
    "uname",
    "var/lib/config-data/puppet-generated/nova/etc/nova/nova.conf",
    "var/lib/config-data/puppet-generated/nova_libvirt/etc/nova/nova.conf",
];
/// Of them, what each namespace has to be read with.
const SHORT: [&str; 4] = ["etc/iproute2/rt_tables", "lsmod", "proc/modules", "sos_commands/kernel/lsmod"];
/// Tables of one process's namespace.
const PROC_NET: [&str; 8] =
    ["arp_tables_names", "ip6_tables_names", "ip_tables_names", "nf_conntrack", "tcp", "tcp6", "udp", "udp6"];
/// Where dnsmasq's messages may be.
const LOGS: [&str; 4] = ["daemon.log", "dnsmasq.log", "messages", "syslog"];

/// What of the file with this path from the report's root.
pub(super) fn keep(path: &str) -> Option<Keep> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if SHORT.contains(&path) {
        return Some(Keep::Whole(SHORT_MAX));
    }
    if let Some(of_plugin) = path.strip_prefix("sos_strings/") {
        return of_long_log(of_plugin).then_some(Keep::Tail(LOG_TAIL));
    }
    if let Some(command) = path.strip_prefix("sos_commands/") {
        let (plugin, _) = command.split_once('/')?;
        if plugin == "logs" {
            return is_journal(name).then_some(Keep::Tail(LOG_TAIL));
        }
        let is_of_tools = COMMANDS.contains(&plugin) && !name.contains("ethtool");
        let is_told = is_of_tools
            || FILES.contains(&path)
            || (plugin == "rpm" && (name == "package-data" || name.contains("_-qa_")))
            || (plugin == "process" && (name.starts_with("ps_aux") || is_of_starts(name)))
            || (matches!(plugin, "date" | "general") && name == "date")
            || (matches!(plugin, "host" | "general") && name == "hostname");
        return is_told.then_some(Keep::Whole(LISTING_MAX));
    }
    if let Some(log) = path.strip_prefix("var/log/") {
        return (LOGS.contains(&log) || log.contains("dnsmasq")).then_some(Keep::Tail(LOG_TAIL));
    }
    if name == "console.log" && path.contains("/instances/") {
        return Some(Keep::Tail(CONSOLE_TAIL));
    }
    let in_proc_net = path.strip_prefix("proc/").and_then(|rest| rest.split_once("/net/"));
    let of_dnsmasq =
        path.contains("dnsmasq") || path.contains("/networks/nova-") || path.ends_with(".leases");
    let is_domain = is_domain(path) && !path.contains("/networks/");
    let is_kept = FILES.contains(&path)
        || is_domain
        || of_dnsmasq
        || in_proc_net.is_some_and(|(_, table)| PROC_NET.contains(&table))
        || path.strip_prefix("proc/net/").is_some_and(|table| PROC_NET.contains(&table));
    // A full table of a quarter of a million connections has 40 MiB.
    is_kept.then_some(Keep::Whole(if name == "nf_conntrack" { LISTING_MAX } else { FILE_MAX }))
}

/// The listing that tells when processes were started: `ps axo ...,lstart,...`.
pub(super) fn is_of_starts(name: &str) -> bool {
    name.starts_with("ps_axo") && name.contains("_lstart_")
}

/// What the journal holds, and not what there is of it (`journalctl --disk-usage`).
fn is_journal(name: &str) -> bool {
    name.starts_with("journalctl_") && name.contains("--no-pager")
}

/// `PLUGIN/var.log.syslog.tailed`: of a log or a journal that was too long for sos its end, to which a link leads from
/// where the whole would be.
fn of_long_log(path: &str) -> bool {
    let file = path.rsplit('/').next().and_then(|file| file.strip_suffix(".tailed"));
    file.is_some_and(|file| {
        is_journal(file)
            || file.contains("dnsmasq")
            || file.strip_prefix("var.log.").is_some_and(|log| LOGS.contains(&log))
    })
}

/// A domain's XML, persistent or live, as libvirt's QEMU driver keeps it.
pub(super) fn is_domain(path: &str) -> bool {
    path.contains("libvirt/qemu/") && path.rsplit_once('.').is_some_and(|(_, extension)| extension == "xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_of_the_network_is_kept_and_nothing_else() {
        for path in [
            "sos_commands/networking/ip_-s_-d_link",
            "sos_commands/networking/namespaces/qdhcp-1/ip_netns_exec_qdhcp-1_iptables-save",
            "sos_commands/kernel/sysctl_-a",
            "sos_commands/process/ps_auxwwwm",
            "sos_commands/process/ps_axo_flags_state_uid_pid_ppid_pgid_sid_cls_pri_addr_sz_lstart_tty_time_cmd",
            "sos_commands/date/date",
            "sos_commands/dpkg/dpkg_-l",
            "installed-rpms",
            "sos_commands/rpm/package-data",
            "sos_commands/rpm/sh_-c_rpm_--nodigest_-qa_--qf_NAME_-_VERSION_-_RELEASE_._ARCH_INSTALLTIME_date",
            "sos_commands/virsh/virsh_-r_dumpxml_instance-00000001",
            "etc/libvirt/qemu/instance-00000001.xml",
            "run/libvirt/qemu/instance-00000001.xml",
            "var/lib/nova/networks/nova-br100.conf",
            "var/lib/misc/second.leases",
            "proc/2177/net/udp",
            "var/log/syslog",
            "var/log/nova/dnsmasq.log",
            "sos_strings/logs/var.log.syslog.tailed",
            "sos_strings/dnsmasq/var.log.nova.dnsmasq.log.tailed",
            "sos_strings/logs/journalctl_--no-pager.tailed",
            "sos_commands/logs/journalctl_--no-pager_--catalog_--boot",
            "var/lib/nova/instances/8d7b/console.log",
        ] {
            assert!(keep(path).is_some(), "{path}");
        }
        for path in [
            "etc/shadow",
            "etc/nova/api-paste.ini",
            "etc/libvirt/qemu/networks/default.xml",
            "proc/2177/environ",
            "sos_commands/kernel/dmesg",
            "sos_commands/rpm/rpm_-Va",
            "sos_commands/dpkg/dpkg_-V",
            "sos_commands/networking/ethtool_-S_eth0",
            "sos_commands",
            "var/log/nova/nova-compute.log",
            "sos_strings/nova/var.log.nova.nova-compute.log.tailed",
            "sos_commands/logs/journalctl_--disk-usage",
            "",
        ] {
            assert_eq!(keep(path), None, "{path}");
        }
    }
}
