//! Faults in minicloud's own words: what makes each, what heals it, and where it is to be found.

/// A fault in minicloud's words.
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    /// Where it is found, once for each finding.
    pub(crate) hops: &'static [&'static str],
    pub(crate) inject: &'static str,
    pub(crate) heal: &'static str,
}

const fn fault(
    code: &'static str,
    hops: &'static [&'static str],
    inject: &'static str,
    heal: &'static str,
) -> Fault {
    Fault { code, hops, inject, heal }
}

/// Where a fault inside inst1 is found: its NIC's name is known only to those who can look inside.
pub(crate) const INSIDE: &str = "inst1//eth0";
pub(crate) const INSIDE_UNSEEN: &str = "inst1//";

pub(crate) const LINKS: [Fault; 12] = [
    fault(
        "uplink-down",
        &["host//eth0"],
        "h ip link set $UPLINK down",
        "h ip link set $UPLINK up; h ip route add default via $PUB_GW",
    ),
    fault("uplink-no-carrier", &["host//eth0"], "f ip link set pubh1 down", "f ip link set pubh1 up"),
    fault("flatif-down", &["host//eth1"], "h ip link set $FLATIF down", "h ip link set $FLATIF up"),
    fault(
        "flatif-not-enslaved",
        &["host//eth1"],
        // The bridge's MAC changes with its ports, and who remembers the old one is a matter of its own.
        "h ip link set $FLATIF nomaster; i1 ip neigh flush all; i2 ip neigh flush all",
        "h ip link set $FLATIF master $BRIDGE; i1 ip neigh flush all; i2 ip neigh flush all",
    ),
    fault("bridge-down", &["host//br100"], "h ip link set $BRIDGE down", "h ip link set $BRIDGE up"),
    fault("tap-down", &["host//vnet1"], "h ip link set $TAP1 down", "h ip link set $TAP1 up"),
    fault(
        "tap-missing",
        &["host//vnet1"],
        "h ip link del $TAP1",
        "plug1; i1 ip addr add $I1_IP/24 dev $GIF; i1 ip route add default via $GWIP",
    ),
    fault(
        "tap-not-enslaved",
        &["host//vnet1"],
        "h ip link set $TAP1 nomaster",
        "h ip link set $TAP1 master $BRIDGE; h bridge link set dev $TAP1 hairpin on",
    ),
    fault(
        "tap-wrong-bridge",
        &["host//vnet1"],
        "h ip link set $TAP1 master virbr0",
        "h ip link set $TAP1 master $BRIDGE; h bridge link set dev $TAP1 hairpin on",
    ),
    fault(
        "guest-nic-down",
        &[INSIDE],
        "i1 ip link set eth0 down",
        "i1 ip link set eth0 up; i1 ip route replace default via $GWIP",
    ),
    fault("ext-gateway-down", &["gw//eth1"], "g ip link set eth1 down", "g ip link set eth1 up"),
    fault(
        "rp-filter-asymmetric",
        &["host//eth0"],
        "h ip link add eth2 type veth peer name mg; h ip link set mg netns $GW_NS
         h ip addr add 192.0.2.2/24 dev eth2; h ip link set eth2 up
         g ip addr add 192.0.2.1/24 dev mg; g ip link set mg up
         h ip route add $EXT_IP via 192.0.2.1 dev eth2
         for t in $I1_IP:$F1_IP $I2_IP:$F2_IP; do
           h $IPT -t nat -A nova-network-float-snat -s ${t%:*}/32 -o eth2 -j SNAT --to-source ${t#*:}
         done
         h sysctl -qw net.ipv4.conf.$UPLINK.rp_filter=1",
        "h sysctl -qw net.ipv4.conf.$UPLINK.rp_filter=2",
    ),
];

/// By which packets are led astray: what bridges and neighbours know, and routes.
pub(crate) const ASTRAY: [Fault; 12] = [
    fault(
        "hairpin-off",
        &["host//vnet1"],
        "h bridge link set dev $TAP1 hairpin off",
        "h bridge link set dev $TAP1 hairpin on",
    ),
    fault(
        "port-isolated",
        &["host//vnet2"],
        "h bridge link set dev $TAP1 isolated on; h bridge link set dev $TAP2 isolated on",
        "h bridge link set dev $TAP1 isolated off; h bridge link set dev $TAP2 isolated off",
    ),
    fault(
        "flood-off-unknown-unicast",
        &["host//vnet1"],
        "h bridge link set dev $TAP1 learning off flood off; h bridge fdb del $I1_MAC dev $TAP1 master || true",
        "h bridge link set dev $TAP1 learning on flood on",
    ),
    fault(
        "fdb-static-stale",
        &["host//br100"],
        "h bridge fdb replace $I1_MAC dev $FLATIF master static sticky",
        "h bridge fdb del $I1_MAC dev $FLATIF master",
    ),
    fault(
        "blackhole-route",
        &["host//br100"],
        "h ip route add blackhole 198.51.100.0/24",
        "h ip route del blackhole 198.51.100.0/24",
    ),
    fault(
        "policy-route-wrong",
        &["host//virbr0"],
        "h ip rule add from $NET lookup 100 pref 100
         h ip route add default via 192.168.122.2 dev virbr0 onlink table 100",
        "h ip rule del pref 100; h ip route flush table 100",
    ),
    fault(
        "host-subnet-overlap",
        &["host//docker0"],
        "h ip link add docker0 type bridge; h ip addr add 198.51.100.1/24 dev docker0; h ip link set docker0 up",
        "h ip link del docker0",
    ),
    fault(
        "arp-ignore",
        &["host//br100"],
        "h sysctl -qw net.ipv4.conf.$BRIDGE.arp_ignore=8; i1 ip neigh flush all",
        "h sysctl -qw net.ipv4.conf.$BRIDGE.arp_ignore=0; i1 ip neigh flush all",
    ),
    fault(
        "ext-gateway-not-forwarding",
        &["gw//eth1"],
        "g sysctl -qw net.ipv4.ip_forward=0",
        "g sysctl -qw net.ipv4.ip_forward=1",
    ),
    fault(
        "ext-no-return-route",
        &["ext//eth0"],
        "x ip route del default",
        "x ip route add default via $EXT_GW",
    ),
    fault(
        "ext-server-down",
        &["ext//eth0"],
        "x ip link set eth0 down",
        "x ip link set eth0 up; x ip route add default via $EXT_GW",
    ),
    fault(
        "stale-arp-after-float-move",
        &["gw//eth1"],
        "g ip neigh replace $F1_IP lladdr 02:00:5e:00:53:01 dev eth1 nud permanent",
        "g ip neigh del $F1_IP dev eth1",
    ),
];

/// Inside inst1.
pub(crate) const GUESTS: [Fault; 5] = [
    fault(
        "guest-no-default-route",
        &[INSIDE],
        "i1 ip route del default",
        "i1 ip route add default via $GWIP",
    ),
    fault(
        "guest-wrong-gateway",
        &[INSIDE],
        "i1 ip route replace default via $NET3.254",
        "i1 ip route replace default via $GWIP",
    ),
    fault(
        "guest-wrong-ip",
        &[INSIDE],
        "i1 ip addr flush dev eth0; i1 ip addr add $NET3.77/24 dev eth0; i1 ip route add default via $GWIP",
        "i1 ip addr flush dev eth0; i1 ip addr add $I1_IP/24 dev eth0; i1 ip route replace default via $GWIP",
    ),
    fault(
        "guest-firewall",
        &[INSIDE],
        "i1 $IPT -P INPUT DROP; i1 $IPT -A INPUT -i lo -j ACCEPT",
        "i1 $IPT -P INPUT ACCEPT; i1 $IPT -F",
    ),
    fault(
        "guest-arp-poisoned",
        &[INSIDE],
        "i1 ip neigh replace $GWIP lladdr 02:de:ad:00:00:01 dev eth0 nud permanent",
        "i1 ip neigh del $GWIP dev eth0",
    ),
];

pub(crate) const RULES: [Fault; 22] = [
    fault(
        "ip-forward-0",
        &["host//br100"],
        "h sysctl -qw net.ipv4.ip_forward=0",
        "h sysctl -qw net.ipv4.ip_forward=1",
    ),
    fault(
        "default-route-missing",
        &["host//br100"],
        "h ip route del default",
        "h ip route add default via $PUB_GW",
    ),
    fault(
        "default-route-wrong-gw",
        &["host//eth0"],
        "h ip route replace default via 203.0.113.254",
        "h ip route replace default via $PUB_GW",
    ),
    fault(
        "forward-policy-drop-no-accept",
        &["host//br100"],
        "h $IPT -F nova-network-FORWARD; h $IPT -P FORWARD DROP",
        "h $IPT -P FORWARD ACCEPT; h $IPT -A nova-network-FORWARD -i $BRIDGE -j ACCEPT
         h $IPT -A nova-network-FORWARD -o $BRIDGE -j ACCEPT",
    ),
    fault(
        "sg-missing-icmp",
        &["host//eth0"],
        "h $IPT -D $SG1 -p icmp -j ACCEPT",
        "h $IPT -I $SG1 6 -p icmp -j ACCEPT",
    ),
    fault(
        "float-dnat-missing",
        &["host//eth0"],
        "h $IPT -t nat -D nova-network-PREROUTING -d $F1_IP/32 -j DNAT --to-destination $I1_IP",
        "h $IPT -t nat -A nova-network-PREROUTING -d $F1_IP/32 -j DNAT --to-destination $I1_IP",
    ),
    fault(
        "float-snat-missing",
        &["host//eth0"],
        "h $IPT -t nat -D nova-network-float-snat -s $I1_IP/32 -o $UPLINK -j SNAT --to-source $F1_IP",
        "h $IPT -t nat -A nova-network-float-snat -s $I1_IP/32 -o $UPLINK -j SNAT --to-source $F1_IP",
    ),
    fault(
        "float-address-missing",
        &["host//eth0"],
        "h ip addr del $F1_IP/32 dev $UPLINK",
        "h ip addr add $F1_IP/32 dev $UPLINK",
    ),
    fault(
        "rules-flushed",
        &["host//eth0"],
        "h $IPT -F; h $IPT -t nat -F",
        "h $IPT-restore <$STATE/iptables-$HOST_NS.rules",
    ),
    fault("dnsmasq-not-running", &["host//br100"], "stop1", "dns1"),
    fault(
        "dnsmasq-pool-exhausted",
        &["host//br100"],
        "stop1
         echo \"$(($(date +%s) + 9999)) fa:16:3e:aa:aa:aa 10.0.0.50 ghost *\" >$STATE/nova-$BRIDGE-1.leases
         RANGE=--dhcp-range=set:novanetwork,10.0.0.50,10.0.0.50,120s HOSTSFILE=--dhcp-hostsfile=/dev/null
         dns1",
        "stop1; rm -f $STATE/nova-$BRIDGE-1.leases; dns1",
    ),
    fault(
        "iptables-legacy-hidden",
        &["host//br100"],
        "h iptables-legacy -I FORWARD -i $BRIDGE -o $UPLINK -j DROP",
        "h iptables-legacy -F FORWARD",
    ),
    fault(
        "nft-other-priority",
        &["host//br100"],
        "h nft add table inet lockdown
         h nft 'add chain inet lockdown fw { type filter hook forward priority 10; policy accept; }'
         h nft add rule inet lockdown fw iifname $BRIDGE oifname $UPLINK counter drop",
        "h nft delete table inet lockdown",
    ),
    // Two rules, both on the way: one for the gateway, one for the neighbours.
    fault(
        "ebtables-drop",
        &["host//vnet1", "host//vnet1"],
        "h $EBT -A FORWARD -p IPv4 -i $TAP1 -j DROP; h $EBT -A INPUT -p IPv4 -i $TAP1 -j DROP",
        "h $EBT -F",
    ),
    fault(
        "br-netfilter-docker-drop",
        &["host//vnet1"],
        "h $IPT -F nova-network-FORWARD
         h $IPT -A nova-network-FORWARD -i $BRIDGE -o $UPLINK -j ACCEPT
         h $IPT -A nova-network-FORWARD -i $UPLINK -o $BRIDGE -j ACCEPT
         h $IPT -P FORWARD DROP; h $IPT -D FORWARD -j nova-filter-top
         h $IPT -N DOCKER-USER; h $IPT -A FORWARD -j DOCKER-USER",
        "h $IPT -P FORWARD ACCEPT; h $IPT-restore <$STATE/iptables-$HOST_NS.rules",
    ),
    fault(
        "conntrack-stale-dnat",
        &["host//eth0"],
        "h conntrack -I -p udp -s $EXT_IP -d $F1_IP --sport 40000 --dport 9000 -r $I2_IP -q $EXT_IP \
           --reply-port-src 9000 --reply-port-dst 40000 -t 600 -u SEEN_REPLY,ASSURED",
        "h conntrack -D -p udp --orig-dst $F1_IP --sport 40000",
    ),
    fault(
        "conntrack-full",
        &["host//br100"],
        "for n in $(seq 0 $(($(cat /proc/sys/net/netfilter/nf_conntrack_max) - 1))); do
           echo \"-I -s 10.1.$((n >> 8 & 255)).$((n & 255)) -d 10.2.0.1 -p udp --sport $((1024 + (n >> 16))) \
             --dport 9 -t 600 -u SEEN_REPLY,ASSURED\"
         done >$STATE/ct.txt; h conntrack -R $STATE/ct.txt >/dev/null 2>&1 || true",
        "h conntrack -F",
    ),
    fault(
        "snat-missing",
        &["host//eth0"],
        "h $IPT -t nat -D POSTROUTING -j nova-postrouting-bottom",
        "h $IPT -t nat -A POSTROUTING -j nova-postrouting-bottom",
    ),
    fault(
        "snat-wrong-address",
        &["host//eth0"],
        "h $IPT -t nat -F nova-network-float-snat
         h $IPT -t nat -R nova-network-snat 2 -s $NET -o $UPLINK -j SNAT --to-source 203.0.113.99",
        "h $IPT-restore <$STATE/iptables-$HOST_NS.rules",
    ),
    fault(
        "dnat-wrong-fixed-ip",
        &["host//eth0"],
        "h $IPT -t nat -R nova-network-PREROUTING 2 -d $F1_IP/32 -j DNAT --to-destination $NET3.99",
        "h $IPT -t nat -R nova-network-PREROUTING 2 -d $F1_IP/32 -j DNAT --to-destination $I1_IP",
    ),
    fault(
        "rule-order-wrong",
        &["host//eth0"],
        "h $IPT -I FORWARD 1 -d $I1_IP -j REJECT --reject-with icmp-host-prohibited",
        "h $IPT -D FORWARD 1",
    ),
    fault("foreign-rule-drop", &["gw//eth1"], "g $IPT -I FORWARD -i eth1 -j DROP", "g $IPT -F FORWARD"),
];

/// What DHCP, DNS and metadata suffer from, as the same cloud's operator would break it.
pub(crate) const SERVICES: [Fault; 13] = [
    fault(
        "dnsmasq-hung",
        &["host//br100"],
        "kill -STOP $(cat $STATE/nova-$BRIDGE-1.pid)",
        "kill -CONT $(cat $STATE/nova-$BRIDGE-1.pid)",
    ),
    fault(
        "dnsmasq-wrong-interface",
        &["host//br100"],
        "stop1; LISTEN=--listen-address=$HOST_PUB dns1",
        "stop1; dns1",
    ),
    fault(
        "dnsmasq-wrong-subnet",
        &["host//br100"],
        "stop1; RANGE=--dhcp-range=set:novanetwork,10.0.1.3,static,255.255.255.0,120s dns1",
        "stop1; dns1",
    ),
    fault(
        "dnsmasq-stale-hosts-file",
        &["host//br100"],
        "stop1; sed -i /$I1_MAC/d $STATE/nova-$BRIDGE-1.conf; dns1",
        "stop1; printf '%s,inst1.novalocal,%s\n' $I1_MAC $I1_IP >>$STATE/nova-$BRIDGE-1.conf; dns1",
    ),
    fault(
        "dnsmasq-hosts-not-reloaded",
        &["host//br100"],
        "stop1; sed -i /$I1_MAC/d $STATE/nova-$BRIDGE-1.conf; dns1
         i1 busybox udhcpc -f -n -q -i $GIF -t 1 -T 1 -s /bin/true || true
         printf '%s,inst1.novalocal,%s\n' $I1_MAC $I1_IP >>$STATE/nova-$BRIDGE-1.conf",
        "kill -HUP $(cat $STATE/nova-$BRIDGE-1.pid)",
    ),
    fault(
        "dnsmasq-lease-max",
        &["host//br100"],
        "stop1
         echo \"$(($(date +%s) + 9999)) fa:16:3e:aa:aa:aa 10.0.0.50 ghost *\" >$STATE/nova-$BRIDGE-1.leases
         LMAX=--dhcp-lease-max=1 dns1",
        "stop1; rm -f $STATE/nova-$BRIDGE-1.leases; dns1",
    ),
    fault(
        "input-blocks-dhcp",
        &["host//br100"],
        "h $IPT -I INPUT -i $BRIDGE -p udp --dport 67 -j DROP",
        "h $IPT -D INPUT 1",
    ),
    fault(
        "dhcp-reply-lost",
        &["host//br100"],
        "h $IPT -D $SG1 -s $GWIP/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT
         h $IPT -D $SG1 -s $NET -j ACCEPT",
        "h $IPT -I $SG1 4 -s $GWIP/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT
         h $IPT -I $SG1 5 -s $NET -j ACCEPT",
    ),
    fault("dns-upstream-wrong", &["host//br100"], "stop1; UPSTREAM=--server=192.0.2.53 dns1", "stop1; dns1"),
    fault(
        "dns-port53-blocked",
        &["host//br100"],
        "h $IPT -I INPUT -i $BRIDGE -p udp --dport 53 -j DROP",
        "h $IPT -D INPUT 1",
    ),
    fault(
        "metadata-dnat-missing",
        &["host//br100"],
        "h $IPT -t nat -D nova-network-PREROUTING 1",
        "h $IPT -t nat -I nova-network-PREROUTING 1 -d 169.254.169.254/32 -p tcp --dport 80 -j DNAT \
           --to-destination $HOST_PUB:8775",
    ),
    // The guide's old bridge, on which a tap that was plugged in just now does not forward yet.
    fault(
        "stp-forward-delay",
        &["host//vnet1"],
        "h ip link set $BRIDGE type bridge forward_delay 3000 stp_state 1; h ip link set $TAP1 nomaster
         h ip link set $TAP1 master $BRIDGE; h bridge link set dev $TAP1 hairpin on",
        "h ip link set $BRIDGE type bridge stp_state 0; h ip link set $BRIDGE type bridge forward_delay 0
         h ip link set $TAP1 nomaster; h ip link set $TAP1 master $BRIDGE
         h bridge link set dev $TAP1 hairpin on
         h ip link set $FLATIF nomaster; h ip link set $FLATIF master $BRIDGE",
    ),
    fault("dns-upstream-dead", &["ext//eth0"], "extdns stop", "extdns start"),
];

/// Beyond the hosts is a switch that nobody looks into: that nobody is there is known when nobody answers.
pub(crate) const SILENCES: [Fault; 2] = [
    fault(
        "guest-resolv-conf-wrong",
        &[INSIDE],
        "echo nameserver 10.0.0.53 >/etc/netns/$INST1_NS/resolv.conf",
        "echo nameserver $GWIP >/etc/netns/$INST1_NS/resolv.conf",
    ),
    fault(
        "metadata-zeroconf-route",
        &[INSIDE],
        "i1 ip route add 169.254.0.0/16 dev eth0",
        "i1 ip route del 169.254.0.0/16 dev eth0",
    ),
];
