#!/usr/bin/env python3
"""How long whole commands take, as a user meets them. Needs root and target/release/hopline.

Prints medians of wall time and peak memory of `diagnose web1 --passive` on a lab of its own; then of
`check` on a host with 1,000 bridge ports and 10,000 iptables rules, in turn with the commands that an
operator would type for the same facts. Removes what it made.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

HOPLINE = sys.argv[1] if len(sys.argv) > 1 else "target/release/hopline"
LAB = "bench"
BIG = f"bench-big-{os.getpid()}"
RUNS = 15
PORTS, RULES = 1_000, 10_000
TYPED = [
    ["ip", "-d", "-j", "link"],
    ["bridge", "-j", "fdb"],
    ["ip", "-j", "route"],
    ["iptables-nft-save", "-c"],
    ["nft", "-j", "list", "ruleset"],
]


def run(argv):
    """Wall time in ms and peak memory in MiB of one command; its output is thrown away."""
    started = time.monotonic()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"bench: {' '.join(argv)} ended with exit code {child.returncode}")
    return (time.monotonic() - started) * 1000, usage.ru_maxrss / 1024


def tell(name, runs):
    wall = statistics.median(ms for ms, _ in runs)
    print(f"{name:45} {wall:8.1f} ms wall  {max(mib for _, mib in runs):6.1f} MiB peak")
    return wall


def lab():
    subprocess.run([HOPLINE, "lab", "up", "--name", LAB], check=True, stdout=subprocess.DEVNULL)
    try:
        env = subprocess.run([HOPLINE, "lab", "env", "--name", LAB], check=True, capture_output=True, text=True)
        site = next(line for line in env.stdout.splitlines() if line.startswith("SITE=")).removeprefix("SITE=")
        diagnose = [HOPLINE, "diagnose", "web1", "--passive", "--site", site]
        run(diagnose)
        tell("diagnose web1 --passive, on the lab", [run(diagnose) for _ in range(RUNS)])
    finally:
        subprocess.run([HOPLINE, "lab", "down", "--name", LAB], check=True, stdout=subprocess.DEVNULL)


def big():
    inside = ["ip", "netns", "exec", BIG]
    links = ["link add br100 type bridge", "link set br100 up"]
    for port in range(PORTS):
        links += [f"link add tap{port} type veth peer name far{port}", f"link set tap{port} master br100 up"]
    rules = ["*filter", ":FORWARD ACCEPT [0:0]"]
    for rule in range(RULES):
        source = f"10.{rule >> 16 & 255}.{rule >> 8 & 255}.{rule & 255}/32"
        rules.append(f"-A FORWARD -s {source} -p tcp -m tcp --dport {rule % 60_000 + 1} -j ACCEPT")
    rules += ["COMMIT", ""]
    subprocess.run(["ip", "netns", "add", BIG], check=True)
    try:
        subprocess.run(["ip", "-n", BIG, "-batch", "-"], input="\n".join(links) + "\n", text=True, check=True)
        subprocess.run([*inside, "iptables-nft-restore"], input="\n".join(rules), text=True, check=True)
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as site:
            site.write(f'[[host]]\nname = "big"\nat = "netns:{BIG}"\nrole = "compute"\n')
            site.flush()
            check = [HOPLINE, "check", "--site", site.name]
            run(check)
            ours, theirs = [], []
            for _ in range(RUNS):
                ours.append(run(check))
                typed = [run([*inside, *argv]) for argv in TYPED]
                theirs.append((sum(ms for ms, _ in typed), max(mib for _, mib in typed)))
        size = f"{PORTS} ports, {RULES} rules"
        ratio = tell(f"check, {size}", ours) / tell("the five commands one would type, in sum", theirs)
        print(f"ratio {ratio:.2f}")
    finally:
        subprocess.run(["ip", "netns", "del", BIG], check=True)


lab()
big()
