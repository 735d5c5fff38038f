#!/usr/bin/env bash
# Loads br_netfilter where it is missing, saying so: with it, iptables sees bridged packets, as on every
# compute host of nova's. The kernel loads every other module that the lab needs by itself.
set -euo pipefail

# An ordinary user's PATH lacks the place where modprobe is.
PATH="$PATH:/usr/sbin:/sbin"

[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || exit 0
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "loading the kernel module br_netfilter${as_root[*]:+ with sudo} (until the next boot)"
if ! "${as_root[@]}" modprobe br_netfilter; then
    echo "br_netfilter could not be loaded; as root: modprobe br_netfilter" >&2
    exit 1
fi
