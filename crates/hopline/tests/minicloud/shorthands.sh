# The words in which the injectors below speak of minicloud's parts; sourced after `minicloud.sh env`.
h() { ip netns exec "$HOST_NS" "$@"; }
h2() { ip netns exec "$HOST2_NS" "$@"; }
f() { ip netns exec "$FAB_NS" "$@"; }
g() { ip netns exec "$GW_NS" "$@"; }
i1() { ip netns exec "$INST1_NS" "$@"; }

i2() { ip netns exec "$INST2_NS" "$@"; }
x() { ip netns exec "$EXT_NS" "$@"; }

# Host's dnsmasq with nova's arguments, of which LISTEN, RANGE, LMAX, HOSTSFILE and UPSTREAM replace one each.
dns1() {
  h dnsmasq --strict-order --bind-interfaces --conf-file= --domain=novalocal \
    --pid-file="$STATE/nova-$BRIDGE-1.pid" "${LISTEN:---listen-address=$GWIP}" --except-interface=lo \
    "${RANGE:---dhcp-range=set:novanetwork,$NET3.3,static,255.255.255.0,120s}" "${LMAX:---dhcp-lease-max=256}" \
    "${HOSTSFILE:---dhcp-hostsfile=$STATE/nova-$BRIDGE-1.conf}" \
    --dhcp-leasefile="$STATE/nova-$BRIDGE-1.leases" --dhcp-option=3,"$GWIP" --no-hosts --no-resolv \
    "${UPSTREAM:---server=$EXT_IP}" --local-ttl=1 --max-cache-ttl=1 --user=root --log-dhcp \
    --log-facility="$STATE/log/dnsmasq-1.log"
}
# Ends it and waits until its sockets are free.
stop1() { stop "$STATE/nova-$BRIDGE-1.pid"; }
stop() {
  local pid
  pid=$(cat "$1")
  kill "$pid"
  for _ in $(seq 500); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.01; done
  return 1
}
# The DNS server outside.
extdns() {
  case $1 in
    stop) stop "$STATE/ext-dns.pid" ;;
    start) ip netns exec "$EXT_NS" dnsmasq --bind-interfaces --conf-file= --pid-file="$STATE/ext-dns.pid" \
      --listen-address="$EXT_IP" --no-resolv --no-hosts --user=root --log-facility="$STATE/log/ext-dns.log" \
      --ptr-record=10.100.51.198.in-addr.arpa,ext.openstack.test ;;
  esac
}
# Plugs inst1 in anew, as a hard reboot does.
plug1() {
  ip link add "$TAP1" netns "$HOST_NS" type veth peer name "$GIF" netns "$INST1_NS"
  i1 ip link set "$GIF" address "$I1_MAC"
  h ip link set "$TAP1" address "fe:${I1_MAC#*:}"
  h ip link set "$TAP1" master "$BRIDGE" up
  h bridge link set dev "$TAP1" hairpin on
  i1 ip link set "$GIF" up
}
