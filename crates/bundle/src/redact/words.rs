//! Words that are no names, or cannot be taken for one where they stand in a text.

/// Names that everybody's cloud and machine has: they stay.
const EVERYBODYS: [&str; 32] = [
    "default",
    "nova",
    "neutron",
    "cinder",
    "glance",
    "keystone",
    "libvirt",
    "libvirt-qemu",
    "qemu",
    "kvm",
    "dnsmasq",
    "root",
    "nobody",
    "daemon",
    "www-data",
    "syslog",
    "messagebus",
    "systemd-network",
    "systemd-resolve",
    "systemd-timesync",
    "mysql",
    "rabbitmq",
    "postgres",
    "localhost",
    "localhost.localdomain",
    "localdomain",
    "novalocal",
    "openstacklocal",
    "ip6-localhost",
    "ubuntu",
    "debian",
    "cirros",
];

/// What tools, configurations and our own facts say all the time. Who calls a host so has it replaced where it stands
/// as a host's name, and nowhere else: the text would no longer be what it is.
const COMMON: &str = "
    a accept access action active address addresses admin alias all allocated allow an and any api append args
    arp as at auth auto back bad base block bond boot both br bridge broadcast bytes cache chain chains check
    class client closed cloud comment compute conf config connect connected connection console control
    controller core count counter create ct data database date db debug default_ingress deleted deny dest
    destination dev device devices dhcp dhcpack dhcpdiscover dhcpnak dhcpoffer dhcprequest dir disabled dns dom
    domain down driver drop dropped dst dynamic eb edge else empty enable enabled end ends error established etc
    eth ether event ex exec expires external false family fdb field file files filter fixed flag flags flat
    float floating flow for forward forwarding from gateway global go goto group groups guest handle hardware
    header hook host hostname hosts html http https icmp id ids if iface ifname image in index inet info init
    input inside inst instance instances interface interfaces internal internet invalid ip iptables ipv4 ipv6 is
    json kernel key kind l2 l3 label lan last learned learning lease leased leases len length level lib limit
    line link linkinfo linux list listen lo local location log logs lost mac machine machines main manager map
    mark mask master match meta metadata method mode model mtu multi name named names nat neighbour neighbours
    net netmask netns network networks new next nft no node none not null number of off ok on one operator
    option options or other out outbound output outside owner packets path peer percent permanent physdev
    physical pid ping policy pool port ports postrouting prerouting private probe process project protocol
    provider proxy public qdisc range raw read ready received reject related release remote reply request
    reserve resolv resolver return role root route router routes routing rule rules run running save scope
    security self server service services set shared show site size snat socket sort source spoof src start
    started state static status stop stopped subnet switch sys syslog system table tag tap target tcp tcpdump
    template tenant test text the this time to token tool true trusted ttl tun type udp unicast unit unknown up
    use user users uuid valid value var version via vif virtual vlan vm vnet volume wan watch which with write
    xml yes zone
    announce call cidr conntrack dmz firewall gc ignore localnet mangle max mem min nf ra redirects rp share
    thresh thresh1 thresh2 thresh3 timeout
";

/// A name that stays, wherever it stands.
pub(super) fn is_everybodys(name: &str) -> bool {
    EVERYBODYS.iter().any(|known| known.eq_ignore_ascii_case(name)) || is_counted(name)
}

/// A word that cannot be told from a name in a text.
pub(super) fn is_common(name: &str) -> bool {
    let short = name.chars().filter(|c| c.is_alphanumeric()).count() < 2;
    let lower = name.to_ascii_lowercase();
    let is_known = |word: &str| COMMON.split_ascii_whitespace().any(|known| known == word);
    // What nova's services are called, and the chains after them: `nova-network`.
    let is_service = |name: &str| name.split('-').all(is_known);
    short || is_number(&lower) || is_known(&lower) || lower.strip_prefix("nova-").is_some_and(is_service)
}

/// Numbers are in every text.
fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix("0x").unwrap_or(name);
    digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':' | b'_'))
}

/// Names that libvirt's domains get of a row's number (`instance_name_template`, nova/conf), which stays too.
fn is_counted(name: &str) -> bool {
    let number = name.strip_prefix("instance-");
    number.is_some_and(|hex| hex.len() == 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
