#!/usr/bin/env python3
"""How long a lab takes to come, to be looked after, to be diagnosed, and to go. Needs root and target/release/hopline.

Prints the median and the longest of several rounds: of a small lab, healthy and with each of a few faults, of 50
instances on three hosts, and of two machines under QEMU, from nothing to their leases; then of the small lab as sites
that know less of it: instances that cannot be entered, and nobody beyond the compute hosts. Removes what it made. Ends with
1 where a median is longer than what is asked.
"""
import json
import statistics
import subprocess
import sys
import tempfile
import time

HOPLINE = sys.argv[1] if len(sys.argv) > 1 else "target/release/hopline"
LAB = "bench-lab"
# Faults of which a question's silence tells, one that a rule makes, and those that are counted: some packets, or all.
BROKEN = ["uplink-no-carrier", "dnsmasq-hung", "ext-gateway-down", "foreign-rule-drop", "random-loss", "tc-bpf-drop",
          "l2-loop"]
# Sites that say less of the same lab: instances that cannot be entered, and those on compute hosts with nobody beyond.
SITES = ["open", "closed", "alone"]
# What is no fault, and takes longest to be told from one; a host's command that makes it, and one that ends it.
HEALTHY = {
    "gateway ignores pings": [f"sysctl -qw net.ipv4.icmp_echo_ignore_all={value}" for value in (1, 0)],
}
# What is asked of each, in seconds.
SMALL = ("1 host, 2 instances", [], 5, {"up": 3, "diagnose": 1, "diagnose broken": 5, "down": 3})
LARGE = ("3 hosts, 50 instances", ["--hosts", "3", "--instances", "50"], 3,
         {"up": 30, "reconcile": 1, "diagnose --all": 10, "down": 3})
MACHINES = ("1 host, 2 machines", ["--guest", "qemu"], 3, {"up": 30, "down": 3})


def run(*arguments, wanted=0):
    """Seconds that one command takes; its output is thrown away."""
    started = time.monotonic()
    ended = subprocess.run([HOPLINE, *arguments], stdout=subprocess.DEVNULL, check=False)
    if wanted is not None and ended.returncode != wanted:
        sys.exit(f"bench_lab: hopline {' '.join(arguments)} ended with exit code {ended.returncode}")
    return time.monotonic() - started


def lab(verb, *arguments):
    return run("lab", verb, "--name", LAB, *arguments)


def site():
    env = subprocess.run([HOPLINE, "lab", "env", "--name", LAB, "--json"], check=True, capture_output=True)
    return json.loads(env.stdout)["SITE"]


def without(text, kind):
    """The site file of another kind of site."""
    beyond = ("role = \"router\"", "role = \"external\"", "role = \"switch\"")
    parts = [part for part in text.split("\n\n") if kind != "alone" or not any(role in part for role in beyond)]
    inside = f"at = \"netns:{LAB}-web"
    lines = [line for line in "\n\n".join(parts).split("\n") if kind == "open" or not line.startswith(inside)]
    return "\n".join(lines)


def sites(folder):
    """The kinds of sites, by the file of each."""
    text = open(site(), encoding="utf-8").read()
    found = {}
    for kind in SITES:
        found[kind] = f"{folder}/{kind}.toml"
        with open(found[kind], "w", encoding="utf-8") as file:
            file.write(without(text, kind))
    return found


def measure_kinds():
    """Prints what sites of each kind take, and returns those that are late: a diagnosis where nothing is wrong, where
    what is no fault looks like one, and with each of the faults."""
    late = []
    lab("up")
    netns = f"{LAB}-gw"
    with tempfile.TemporaryDirectory() as folder:
        for kind, file in sites(folder).items():
            def told(what, bound, seconds):
                median = statistics.median(seconds)
                print(f"{kind + ' site':24} {what:24} {median:7.2f} s median  {max(seconds):7.2f} s longest  "
                      f"({bound} s asked)")
                if median > bound:
                    late.append(f"{kind}: {what}")
            told("healthy", 1, [run("diagnose", "web1", "--site", file) for _ in range(5)])
            for what, (make, end) in HEALTHY.items():
                subprocess.run(["ip", "netns", "exec", netns, *make.split()], check=True)
                told(what, 1, [run("diagnose", "web1", "--site", file) for _ in range(3)])
                subprocess.run(["ip", "netns", "exec", netns, *end.split()], check=True)
            for fault in BROKEN:
                lab("break", fault)
                # What lies beyond a site that names nobody there is no fault of its.
                told(fault, 5, [run("diagnose", "web1", "--site", file, wanted=None) for _ in range(3)])
                lab("heal")
    lab("down")
    return late


def measure(name, shape, rounds, wanted):
    """Prints what one shape took, and returns the steps that took longer than is asked of them."""
    took = {step: [] for step in wanted}
    by_fault = {}
    for _ in range(rounds):
        took["up"].append(lab("up", *shape))
        if "reconcile" in took:
            took["reconcile"].append(lab("reconcile"))
        if "diagnose --all" in took:
            took["diagnose --all"].append(run("diagnose", "--all", "--site", site()))
        if "diagnose" in took:
            took["diagnose"].append(run("diagnose", "web1", "--site", site()))
            for fault in BROKEN:
                lab("break", fault)
                seconds = run("diagnose", "web1", "--site", site(), wanted=1)
                took["diagnose broken"].append(seconds)
                by_fault.setdefault(fault, []).append(seconds)
                lab("heal")
        took["down"].append(lab("down"))
    for step, seconds in took.items():
        print(f"{name:24} {step:15} {statistics.median(seconds):7.2f} s median  {max(seconds):7.2f} s longest  "
              f"({wanted[step]} s asked)")
    for fault, seconds in sorted(by_fault.items()):
        print(f"{name:24} {fault:20} {statistics.median(seconds):7.2f} s median  {max(seconds):7.2f} s longest")
    late = [step for step, seconds in took.items() if statistics.median(seconds) > wanted[step]]
    return late + [fault for fault, seconds in by_fault.items() if statistics.median(seconds) > wanted["diagnose broken"]]


late = []
try:
    for shape in (SMALL, LARGE, MACHINES):
        late += [f"{shape[0]}: {step}" for step in measure(*shape)]
    late += measure_kinds()
finally:
    subprocess.run([HOPLINE, "lab", "down", "--name", LAB], check=False, stdout=subprocess.DEVNULL)
if late:
    sys.exit(f"bench_lab: longer than asked: {', '.join(late)}")
