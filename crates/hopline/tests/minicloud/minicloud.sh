#!/usr/bin/env bash
# A nova-network style cloud (FlatDHCP, multi-host) that hopline did not build: the end-to-end tests
# diagnose it as they find it. Two hosts, a switch, a router and an external server in network
# namespaces. Root only; touches nothing outside its own namespaces except $STATE and
# /etc/netns/<its namespaces>.
#
#   minicloud.sh up | down | env | dhcp N
#
#   ext(198.51.100.10) --- gw(198.51.100.1 / 203.0.113.1) --- fab:pub0 --+-- host  eth0 203.0.113.34
#                                                                        +-- host2 eth0 203.0.113.35
#   host  br100 10.0.0.1 [eth1 vnet1 vnet2] --- fab:flat0 --- host2 br100 10.0.0.2 [eth1 vnet1]
#           inst1 10.0.0.11 (203.0.113.101)   inst2 10.0.0.12 (.102)   inst3 10.0.0.13 (.103)
# ext  : DNS (openstack.test, reverse zones), http :80, icmp
# gw   : plain router, no NAT; the "external gateway" of the guide
# host : ip_forward, nova-network iptables chains, libvirt nwfilter-like ebtables chains,
#        dnsmasq (DHCP + DNS) on br100, metadata on :8775 behind 169.254.169.254:80,
#        an idle libvirt virbr0 (DOWN, NO-CARRIER: normal) with its own dnsmasq
set -u
P=${FC_PREFIX:-fc-mc}
: "${EXT_NS:=$P-ext}" "${GW_NS:=$P-gw}" "${FAB_NS:=$P-fab}" "${HOST_NS:=$P-host}" "${HOST2_NS:=$P-host2}"
: "${INST1_NS:=$P-i1}" "${INST2_NS:=$P-i2}" "${INST3_NS:=$P-i3}"
: "${BRIDGE:=br100}" "${UPLINK:=eth0}" "${FLATIF:=eth1}" "${TAP1:=vnet1}" "${TAP2:=vnet2}" "${TAP3:=vnet1}" "${GIF:=eth0}"
: "${EXT_IP:=198.51.100.10}" "${EXT_GW:=198.51.100.1}" "${PUB_GW:=203.0.113.1}" "${HOST_PUB:=203.0.113.34}" "${HOST2_PUB:=203.0.113.35}"
: "${NET:=10.0.0.0/24}" "${NET3:=10.0.0}" "${GWIP:=10.0.0.1}" "${GWIP2:=10.0.0.2}"
: "${I1_IP:=10.0.0.11}" "${I2_IP:=10.0.0.12}" "${I3_IP:=10.0.0.13}"
: "${F1_IP:=203.0.113.101}" "${F2_IP:=203.0.113.102}" "${F3_IP:=203.0.113.103}"
: "${I1_MAC:=fa:16:3e:00:00:11}" "${I2_MAC:=fa:16:3e:00:00:12}" "${I3_MAC:=fa:16:3e:00:00:13}"
: "${SG1:=nova-compute-inst-${I1_IP##*.}}" "${SG2:=nova-compute-inst-${I2_IP##*.}}" "${SG3:=nova-compute-inst-${I3_IP##*.}}"
: "${STATE:=${TMPDIR:-/tmp}/minicloud-$P}" "${IPT:=iptables}" "${EBT:=ebtables}" "${NAME:=openstack.test}"
export IPT EBT
ALL="$EXT_NS $GW_NS $FAB_NS $HOST_NS $HOST2_NS $INST1_NS $INST2_NS $INST3_NS"
case "$P" in fc-*) ;; *) echo "prefix must start with fc-" >&2; exit 2;; esac
n() { local ns=$1; shift; ip netns exec "$ns" "$@"; }
pair() { ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"; }   # ns if ns if

die_pids() { for f in "$STATE"/pids/*; do [ -f "$f" ] && kill "$(cat "$f")" 2>/dev/null; rm -f "$f"; done
  for f in "$STATE"/*.pid; do [ -f "$f" ] && kill "$(cat "$f")" 2>/dev/null; rm -f "$f"; done; }
bg() { local tag=$1; shift; setsid "$@" </dev/null >"$STATE/log/$tag.log" 2>&1 & echo $! >"$STATE/pids/$tag"; }

down() { [ -d "$STATE" ] && die_pids; for x in $ALL; do
    for p in $(ip netns pids "$x" 2>/dev/null); do kill "$p" 2>/dev/null; done; done; sleep 0.1
  for x in $ALL; do for p in $(ip netns pids "$x" 2>/dev/null); do kill -9 "$p" 2>/dev/null; done
    ip netns del "$x" 2>/dev/null; rm -rf "/etc/netns/$x"; done; rm -rf "$STATE"; }

dnsmasq_nova() { # hostns k gwip
  local ns=$1 k=$2 ip=$3
  n "$ns" dnsmasq --strict-order --bind-interfaces --conf-file= --domain=novalocal \
   --pid-file="$STATE/nova-$BRIDGE-$k.pid" --listen-address="$ip" --except-interface=lo \
   --dhcp-range=set:novanetwork,"$NET3".3,static,255.255.255.0,120s --dhcp-lease-max=256 \
   --dhcp-hostsfile="$STATE/nova-$BRIDGE-$k.conf" --dhcp-leasefile="$STATE/nova-$BRIDGE-$k.leases" \
   --dhcp-option=3,"$ip" --no-hosts --no-resolv --server="$EXT_IP" --local-ttl=1 --max-cache-ttl=1 \
   --user=root --log-dhcp --log-facility="$STATE/log/dnsmasq-$k.log"
}

nova_rules() { # hostns pub gwip  then triples tap:fixed:float
  local ns=$1 pub=$2 gw=$3; shift 3
  { echo '*nat'
    for c in nova-network-PREROUTING nova-network-OUTPUT nova-network-POSTROUTING nova-network-snat nova-network-float-snat nova-postrouting-bottom; do echo ":$c - [0:0]"; done
    echo "-A PREROUTING -j nova-network-PREROUTING
-A OUTPUT -j nova-network-OUTPUT
-A POSTROUTING -j nova-network-POSTROUTING
-A POSTROUTING -j nova-postrouting-bottom
-A nova-postrouting-bottom -j nova-network-snat
-A nova-network-snat -j nova-network-float-snat
-A nova-network-PREROUTING -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination $pub:8775
-A nova-network-POSTROUTING -s $NET -d $pub/32 -j ACCEPT
-A nova-network-POSTROUTING -s $NET -d $NET -m conntrack ! --ctstate DNAT -j ACCEPT
-A nova-network-snat -s $NET -o $UPLINK -j SNAT --to-source $pub"
    for t in "$@"; do IFS=, read -r tap fix flo <<<"$t"
      echo "-A nova-network-PREROUTING -d $flo/32 -j DNAT --to-destination $fix
-A nova-network-OUTPUT -d $flo/32 -j DNAT --to-destination $fix
-A nova-network-float-snat -s $fix/32 -d $fix/32 -m conntrack --ctstate DNAT -j SNAT --to-source $flo
-A nova-network-float-snat -s $fix/32 -o $UPLINK -j SNAT --to-source $flo"; done
    echo COMMIT; echo '*filter'
    for c in nova-filter-top nova-network-INPUT nova-network-FORWARD nova-compute-local nova-compute-provider nova-compute-sg-fallback; do echo ":$c - [0:0]"; done
    for t in "$@"; do IFS=, read -r tap fix flo <<<"$t"; echo ":nova-compute-inst-${fix##*.} - [0:0]"; done
    echo "-A INPUT -j nova-network-INPUT
-A FORWARD -j nova-filter-top
-A FORWARD -j nova-network-FORWARD
-A OUTPUT -j nova-filter-top
-A nova-filter-top -j nova-compute-local
-A nova-network-INPUT -i $BRIDGE -p udp -m udp --dport 67 -j ACCEPT
-A nova-network-INPUT -i $BRIDGE -p tcp -m tcp --dport 67 -j ACCEPT
-A nova-network-INPUT -i $BRIDGE -p udp -m udp --dport 53 -j ACCEPT
-A nova-network-INPUT -i $BRIDGE -p tcp -m tcp --dport 53 -j ACCEPT
-A nova-network-INPUT -p tcp -m tcp --dport 8775 -j ACCEPT
-A nova-network-FORWARD -i $BRIDGE -j ACCEPT
-A nova-network-FORWARD -o $BRIDGE -j ACCEPT"
    for t in "$@"; do IFS=, read -r tap fix flo <<<"$t"
      echo "-A nova-compute-local -d $fix/32 -j nova-compute-inst-${fix##*.}
-A nova-compute-inst-${fix##*.} -m state --state INVALID -j DROP
-A nova-compute-inst-${fix##*.} -m state --state RELATED,ESTABLISHED -j ACCEPT
-A nova-compute-inst-${fix##*.} -j nova-compute-provider
-A nova-compute-inst-${fix##*.} -s $gw/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A nova-compute-inst-${fix##*.} -s $NET -j ACCEPT
-A nova-compute-inst-${fix##*.} -p icmp -j ACCEPT
-A nova-compute-inst-${fix##*.} -p tcp -m tcp --dport 22 -j ACCEPT
-A nova-compute-inst-${fix##*.} -p tcp -m tcp --dport 80 -j ACCEPT
-A nova-compute-inst-${fix##*.} -j nova-compute-sg-fallback"; done
    echo "-A nova-compute-sg-fallback -j DROP
COMMIT
*mangle
:nova-network-POSTROUTING - [0:0]
-A POSTROUTING -j nova-network-POSTROUTING
-A nova-network-POSTROUTING -o $BRIDGE -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill
COMMIT"; } >"$STATE/iptables-$ns.rules"
  n "$ns" "$IPT-restore" <"$STATE/iptables-$ns.rules"
}

nwfilter() { # ns tap mac ip : libvirt nova-base (no-mac-spoofing, no-ip-spoofing, no-arp-spoofing)
  local ns=$1 tap=$2 mac=$3 ip=$4 c=libvirt-I-$2
  n "$ns" $EBT -t nat -N "$c" -P ACCEPT 2>/dev/null
  n "$ns" $EBT -t nat -A "$c" -s ! "$mac" -j DROP
  n "$ns" $EBT -t nat -A "$c" -p IPv4 --ip-src 0.0.0.0 --ip-proto udp --ip-dport 67 -j ACCEPT
  n "$ns" $EBT -t nat -A "$c" -p IPv4 --ip-src ! "$ip" -j DROP
  n "$ns" $EBT -t nat -A "$c" -p ARP --arp-ip-src 0.0.0.0 -j ACCEPT
  n "$ns" $EBT -t nat -A "$c" -p ARP --arp-mac-src ! "$mac" -j DROP
  n "$ns" $EBT -t nat -A "$c" -p ARP --arp-ip-src ! "$ip" -j DROP
  n "$ns" $EBT -t nat -A PREROUTING -i "$tap" -j "$c"
}

guest() { # ns hostns tap mac ip resolver k
  local ns=$1 hns=$2 tap=$3 mac=$4 ip=$5 gw=$6 k=$7
  pair "$hns" "$tap" "$ns" "$GIF"
  n "$ns" ip link set "$GIF" address "$mac"; n "$hns" ip link set "$tap" address "fe:${mac#*:}"
  n "$hns" ip link set "$tap" master "$BRIDGE" up; n "$hns" bridge link set dev "$tap" hairpin on   # nova's _enable_hairpin
  n "$ns" ip link set lo up; n "$ns" ip link set "$GIF" up
  mkdir -p "/etc/netns/$ns"; printf 'nameserver %s\nsearch novalocal\n' "$gw" >"/etc/netns/$ns/resolv.conf"
  dhcp_guest "$ns" >/dev/null 2>&1
  bg "http-$k" ip netns exec "$ns" busybox httpd -f -p 80 -h "$STATE/www"
  printf '<domain><name>instance-0000000%s</name><devices><interface type="bridge"><mac address="%s"/><source bridge="%s"/><target dev="%s"/></interface></devices></domain>\n' "$k" "$mac" "$BRIDGE" "$tap" >"$STATE/libvirt/instance-0000000$k.xml"
}
dhcp_guest() { n "$1" timeout 8 busybox udhcpc -f -i "$GIF" -n -q -t 4 -T 1 -s "$STATE/udhcpc.sh"; }

up() {
  down; mkdir -p "$STATE"/{pids,log,www,libvirt}
  for x in $ALL; do ip netns add "$x"; n "$x" ip link set lo up; done
  cat >"$STATE/udhcpc.sh" <<'X'
#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev $interface; ip addr add $ip/${mask:-24} dev $interface
for r in $router; do ip route replace default via $r; done
X
  chmod +x "$STATE/udhcpc.sh"
  mkdir -p "$STATE/www/2009-04-04/meta-data"; echo i-00000001 >"$STATE/www/2009-04-04/meta-data/instance-id"
  # fabric
  for b in pub0 flat0; do n "$FAB_NS" ip link add $b type bridge forward_delay 0 mcast_snooping 0; n "$FAB_NS" ip link set $b up; done
  pair "$EXT_NS" eth0 "$GW_NS" eth0; pair "$GW_NS" eth1 "$FAB_NS" gw
  n "$FAB_NS" ip link set gw master pub0 up
  n "$EXT_NS" ip addr add "$EXT_IP/24" dev eth0; n "$EXT_NS" ip link set eth0 up; n "$EXT_NS" ip route add default via "$EXT_GW"
  n "$GW_NS" ip addr add "$EXT_GW/24" dev eth0; n "$GW_NS" ip addr add "$PUB_GW/24" dev eth1
  n "$GW_NS" ip link set eth0 up; n "$GW_NS" ip link set eth1 up; n "$GW_NS" sysctl -qw net.ipv4.ip_forward=1
  # hosts
  local k=1 ns pub gw
  for ns in "$HOST_NS" "$HOST2_NS"; do
    if [ $k = 1 ]; then pub=$HOST_PUB gw=$GWIP; else pub=$HOST2_PUB gw=$GWIP2; fi
    n "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-arptables=0
    pair "$ns" "$UPLINK" "$FAB_NS" "pubh$k"; pair "$ns" "$FLATIF" "$FAB_NS" "flath$k"
    n "$FAB_NS" ip link set "pubh$k" master pub0 up; n "$FAB_NS" ip link set "flath$k" master flat0 up
    n "$ns" ip link add "$BRIDGE" type bridge forward_delay 0 mcast_snooping 0
    n "$ns" ip link set "$FLATIF" master "$BRIDGE" up; n "$ns" ip link set "$BRIDGE" up; n "$ns" ip link set "$UPLINK" up
    n "$ns" ip addr add "$gw/24" brd + dev "$BRIDGE"; n "$ns" ip addr add "$pub/24" brd + dev "$UPLINK"
    n "$ns" ip route add default via "$PUB_GW"
    mkdir -p "/etc/netns/$ns"; echo "nameserver $EXT_IP" >"/etc/netns/$ns/resolv.conf"
    bg "meta-$k" ip netns exec "$ns" busybox httpd -f -p "$pub:8775" -h "$STATE/www"
    k=$((k+1)); done
  n "$HOST_NS" ip addr add "$F1_IP/32" dev "$UPLINK"; n "$HOST_NS" ip addr add "$F2_IP/32" dev "$UPLINK"; n "$HOST2_NS" ip addr add "$F3_IP/32" dev "$UPLINK"
  nova_rules "$HOST_NS" "$HOST_PUB" "$GWIP" "$TAP1,$I1_IP,$F1_IP" "$TAP2,$I2_IP,$F2_IP"
  nova_rules "$HOST2_NS" "$HOST2_PUB" "$GWIP2" "$TAP3,$I3_IP,$F3_IP"
  printf '%s,inst1.novalocal,%s\n%s,inst2.novalocal,%s\n' "$I1_MAC" "$I1_IP" "$I2_MAC" "$I2_IP" >"$STATE/nova-$BRIDGE-1.conf"
  printf '%s,inst3.novalocal,%s\n' "$I3_MAC" "$I3_IP" >"$STATE/nova-$BRIDGE-2.conf"
  # libvirt's idle default network
  n "$HOST_NS" ip link add virbr0 address 52:54:00:12:34:56 type bridge; n "$HOST_NS" ip addr add 192.168.122.1/24 dev virbr0; n "$HOST_NS" ip link set virbr0 up
  # a bridge that never had a port reports UNKNOWN/LOWER_UP; one port come and gone gives libvirt's NO-CARRIER/DOWN
  n "$HOST_NS" ip link add vtmp type veth peer name vtmp2; n "$HOST_NS" ip link set vtmp master virbr0; n "$HOST_NS" ip link set vtmp2 up; n "$HOST_NS" ip link set vtmp up; n "$HOST_NS" ip link del vtmp
  n "$HOST_NS" dnsmasq --strict-order --bind-interfaces --pid-file="$STATE/virbr0.pid" --conf-file= --except-interface lo --listen-address 192.168.122.1 \
    --dhcp-range 192.168.122.2,192.168.122.254 --dhcp-leasefile="$STATE/default.leases" --dhcp-lease-max=253 --dhcp-no-override --user=root
  # external DNS + http
  n "$EXT_NS" dnsmasq --bind-interfaces --conf-file= --pid-file="$STATE/ext-dns.pid" --listen-address="$EXT_IP" --no-resolv --no-hosts --user=root \
    --address="/$NAME/$EXT_IP" --ptr-record=10.100.51.198.in-addr.arpa,ext.$NAME --log-queries --log-facility="$STATE/log/ext-dns.log"
  bg http-ext ip netns exec "$EXT_NS" busybox httpd -f -p 80 -h "$STATE/www"
  dnsmasq_nova "$HOST_NS" 1 "$GWIP"; dnsmasq_nova "$HOST2_NS" 2 "$GWIP2"
  guest "$INST1_NS" "$HOST_NS" "$TAP1" "$I1_MAC" "$I1_IP" "$GWIP" 1 & local w1=$!; guest "$INST2_NS" "$HOST_NS" "$TAP2" "$I2_MAC" "$I2_IP" "$GWIP" 2 & local w2=$!
  guest "$INST3_NS" "$HOST2_NS" "$TAP3" "$I3_MAC" "$I3_IP" "$GWIP2" 3 & wait $w1 $w2 $!
  nwfilter "$HOST_NS" "$TAP1" "$I1_MAC" "$I1_IP"; nwfilter "$HOST_NS" "$TAP2" "$I2_MAC" "$I2_IP"; nwfilter "$HOST2_NS" "$TAP3" "$I3_MAC" "$I3_IP"
  printenv_all >"$STATE/env"
}
printenv_all() { for v in P EXT_NS GW_NS FAB_NS HOST_NS HOST2_NS INST1_NS INST2_NS INST3_NS BRIDGE UPLINK FLATIF TAP1 TAP2 TAP3 GIF EXT_IP EXT_GW PUB_GW HOST_PUB HOST2_PUB NET NET3 GWIP GWIP2 I1_IP I2_IP I3_IP F1_IP F2_IP F3_IP I1_MAC I2_MAC I3_MAC STATE IPT EBT NAME SG1 SG2 SG3; do printf '%s=%q\n' "$v" "${!v}"; done; }

case ${1:-} in
  up) up;; down) down;; env) printenv_all;; dhcp) eval "dhcp_guest \$INST$2_NS";;
  *) sed -n 2,7p "$0"; exit 2;; esac
