#!/usr/bin/env python3
"""What `hopline capture` costs beside tcpdump, in the same run. Needs root, target/release/hopline and the
example `flood` of the crate `capture`; `make bench-capture` builds both.

A wire between two namespaces of its own is flooded, bounded in count. In turn, hopline and `tcpdump -w` with
the same buffer watch its far end: CPU time a packet, drops, peak memory, at several rates and sizes. Then
sixteen vantages are watched by one hopline and by sixteen tcpdumps, once taking all packets of one of them,
once with a filter that takes none. Removes what it made. Medians of RUNS runs.
"""
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HOPLINE = os.path.abspath("target/release/hopline")
FLOOD = os.path.abspath("target/release/examples/flood")
NEAR, FAR = f"bench-near-{os.getpid()}", f"bench-far-{os.getpid()}"
WIRES = 16
RUNS = 3
BUFFER_MIB = 4
# Bytes of a frame, how many, a second (0: as many as go).
FLOODS = [(64, 200_000, 50_000), (64, 400_000, 0), (1514, 100_000, 30_000), (1514, 150_000, 0)]
SIXTEEN = (64, 200_000, 50_000)
NOTHING = "udp port 9"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def build(folder):
    """WIRES wires between two namespaces, quiet but for the flood."""
    for netns in (NEAR, FAR):
        ip("netns", "add", netns)
        quiet = ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]
        subprocess.run(["ip", "netns", "exec", netns, *quiet], check=True)
    for n in range(WIRES):
        ip("-n", NEAR, "link", "add", f"w{n}", "type", "veth", "peer", "name", f"w{n}", "netns", FAR)
        for netns in (NEAR, FAR):
            ip("-n", netns, "link", "set", f"w{n}", "up")
    with open(f"{folder}/site.toml", "w") as site:
        site.write(f'[[host]]\nname = "far"\nat = "netns:{FAR}"\n')


def packet_sockets():
    table = subprocess.run(
        ["ip", "netns", "exec", FAR, "cat", "/proc/net/packet"], check=True, capture_output=True, text=True
    )
    return len(table.stdout.splitlines()) - 1


def peak_mib(pid):
    """What wait4(2) tells would count what the process was before it became the program."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


def cpu_seconds(pid):
    """Of all its threads, to the nanosecond (proc(5), schedstat), so that a start is not counted as packets."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as figures:
            total += int(figures.read().split()[0])
    return total / 1e9


def watch(programs, vantages, flood):
    """Runs programs while w0 is flooded: their CPU seconds, peak memory in MiB, outputs; frames sent, a second."""
    children = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for argv in programs]
    deadline = time.monotonic() + 20
    while packet_sockets() < vantages:
        if time.monotonic() > deadline:
            sys.exit("bench: the captures did not start")
    time.sleep(0.3)
    started = sum(cpu_seconds(child.pid) for child in children)
    size, count, rate = flood
    sent = subprocess.run(
        ["ip", "netns", "exec", NEAR, FLOOD, "w0", str(size), str(count), str(rate)],
        check=True, capture_output=True, text=True,
    )
    sent, seconds = sent.stdout.split()
    # Both hand their last packets over within a second (tcpdump's own delay).
    time.sleep(1.2)
    cpu, outputs = sum(cpu_seconds(child.pid) for child in children) - started, []
    memory = sum(peak_mib(child.pid) for child in children)
    for child in children:
        child.send_signal(signal.SIGINT)
        out, err = child.stdout.read(), child.stderr.read()
        child.wait()
        outputs.append(out + err)
    return cpu, memory, outputs, int(sent), int(sent) / float(seconds)


def of_hopline(outputs):
    """Packets seen and dropped."""
    document = json.loads(outputs[0][outputs[0].index("{") : outputs[0].rindex("}") + 1])
    return document["packets"], document["kernel_drops"]


def of_tcpdump(outputs):
    def total(words):
        return sum(int(n) for text in outputs for n in re.findall(rf"(\d+) packets? {words}", text))

    return total("captured"), total("dropped by kernel")


def hopline(folder, devices, filter_, file):
    argv = [HOPLINE, "capture", "--json", "--no-journeys", "--site", f"{folder}/site.toml", "--buffer", str(BUFFER_MIB)]
    for device in devices:
        argv += ["--at", f"far//{device}"]
    return [argv + ["-w", f"{folder}/{file}.pcapng"] + ([filter_] if filter_ else [])]


def tcpdump(folder, devices, filter_, file):
    buffer = ["-B", str(BUFFER_MIB * 1024)]
    return [
        ["ip", "netns", "exec", FAR, "tcpdump", "-Z", "root", "-p", "-n", "-i", device, *buffer]
        + ["-w", f"{folder}/{file}-{device}.pcap"] + ([filter_] if filter_ else [])
        for device in devices
    ]


def compare(folder, title, devices, filter_, flood):
    print(f"\n{title}", flush=True)
    kinds = {"hopline": (hopline, of_hopline), "tcpdump": (tcpdump, of_tcpdump)}
    rows = {name: [] for name in kinds}
    # In turn, so that what else the machine does meets both alike.
    for _ in range(RUNS):
        for name, (argv, read) in kinds.items():
            programs = argv(folder, devices, filter_, name)
            cpu, memory, outputs, sent, rate = watch(programs, len(devices), flood)
            seen, dropped = read(outputs)
            rows[name].append((cpu, memory, sent, rate, seen, dropped))
    for name, runs in rows.items():
        cpu, memory, sent, rate, seen, dropped = (statistics.median(column) for column in zip(*runs))
        print(
            f"  {name}: {sent:7,.0f} sent at {rate:7,.0f}/s  {seen:7,.0f} seen  {dropped:6,.0f} dropped"
            f"  {cpu * 1e9 / sent:5.0f} ns CPU a packet sent  {memory:6.1f} MiB",
            flush=True,
        )


def main():
    # In memory where that can be: a disk's moods are nobody's merit.
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        try:
            build(folder)
            for size, count, rate in FLOODS:
                wanted = f"{rate:,}/s" if rate else "as many as go"
                compare(folder, f"one vantage, {size} bytes, {wanted}", ["w0"], "", (size, count, rate))
            devices = [f"w{n}" for n in range(WIRES)]
            compare(folder, f"{WIRES} vantages, one of them busy", devices, "", SIXTEEN)
            title = f"{WIRES} vantages, the kernel refuses all ({NOTHING})"
            compare(folder, title, devices, NOTHING, SIXTEEN)
        finally:
            for netns in (NEAR, FAR):
                subprocess.run(["ip", "netns", "delete", netns], check=False)


if __name__ == "__main__":
    main()
