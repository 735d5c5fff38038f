"""A host of many instances, as nova-network leaves one: for each a tap in the bridge and its rules. For bench_db.py
and bench_bundle.py.

Everything is in one network namespace of the bench's own, by one batch for ip and one for iptables-restore.
"""
import subprocess

import large

BRIDGE = "br101"


def tap_mac(number):
    """As libvirt gives it to the tap of large.mac(number)."""
    octets = number.to_bytes(3, "big")
    return "fe:16:3e:" + ":".join(f"{octet:02x}" for octet in octets)


def links(numbers):
    yield f"link add {BRIDGE} type bridge"
    yield f"link set {BRIDGE} up"
    for at, number in enumerate(numbers):
        yield f"tuntap add vnet{at} mode tap"
        yield f"link set vnet{at} address {tap_mac(number)} master {BRIDGE} up"


def rules(numbers, cloud):
    """nova-compute's chain of each instance, and nova-network's pair of each floating address."""
    yield "*filter"
    yield from (f":{chain} - [0:0]" for chain in ("nova-compute-FORWARD", "nova-compute-local",
                                                   "nova-compute-sg-fallback"))
    yield from (f":nova-compute-inst-{number} - [0:0]" for number in numbers)
    yield "-A FORWARD -j nova-compute-FORWARD"
    yield "-A nova-compute-FORWARD -j nova-compute-local"
    for number in numbers:
        chain, address = f"nova-compute-inst-{number}", cloud.address(number)
        yield f"-A nova-compute-local -d {address}/32 -j {chain}"
        yield f"-A {chain} -m state --state INVALID -j DROP"
        yield f"-A {chain} -m state --state RELATED,ESTABLISHED -j ACCEPT"
        yield f"-A {chain} -p tcp -m tcp --dport 22 -j ACCEPT"
        yield f"-A {chain} -j nova-compute-sg-fallback"
    yield "-A nova-compute-sg-fallback -j DROP"
    yield "COMMIT"
    yield "*nat"
    yield from (f":{chain} - [0:0]" for chain in ("nova-network-PREROUTING", "nova-network-float-snat"))
    yield "-A PREROUTING -j nova-network-PREROUTING"
    yield "-A POSTROUTING -j nova-network-float-snat"
    for number in numbers:
        outside, inside = large.floating(number), cloud.address(number)
        yield f"-A nova-network-PREROUTING -d {outside}/32 -j DNAT --to-destination {inside}"
        yield f"-A nova-network-float-snat -s {inside}/32 -j SNAT --to-source {outside}"
    yield "COMMIT"


def fill(netns, numbers, cloud):
    """Makes all of it."""
    within = ["ip", "netns", "exec", netns]
    for command, lines in (["ip", "-batch", "-"], links(numbers)), (["iptables-restore"], rules(numbers, cloud)):
        text = "".join(line + "\n" for line in lines)
        subprocess.run([*within, *command], input=text, text=True, check=True)
