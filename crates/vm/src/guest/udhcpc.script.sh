#!/bin/sh
# What an instance does at its DHCP client's events: takes the address, or gives it back.
case "$1" in
deconfig)
    ip -4 addr flush dev "$interface"
    ip link set "$interface" up
    ;;
bound | renew)
    ip -4 addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" brd + dev "$interface"
    for gateway in $router; do
        ip route add default via "$gateway" dev "$interface"
    done
    [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
    {
        [ -z "$domain" ] || echo "search $domain"
        for server in $dns; do
            echo "nameserver $server"
        done
    } >/etc/resolv.conf
    ;;
esac
