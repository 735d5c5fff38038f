#!/usr/bin/env python3
"""How long a lab takes to come, to be looked after, to be diagnosed, and to go. Needs root and target/release/hopline.

Prints the median and the longest of several rounds: of a small lab, healthy and with each of a few faults, of 50
instances on three hosts, and of two machines under QEMU, from nothing to their leases. Removes what it made. Ends with
1 where a median is longer than what is asked.
"""
import json
import statistics
import subprocess
import sys
import time

HOPLINE = sys.argv[1] if len(sys.argv) > 1 else "target/release/hopline"
LAB = "bench-lab"
# Faults of which a question's silence tells, one that a rule makes, and those that are counted: some packets, or all.
BROKEN = ["uplink-no-carrier", "dnsmasq-hung", "ext-gateway-down", "foreign-rule-drop", "random-loss", "tc-bpf-drop",
          "l2-loop"]
# What is asked of each, in seconds.
SMALL = ("1 host, 2 instances", [], 5, {"up": 3, "diagnose": 1, "diagnose broken": 5, "down": 3})
LARGE = ("3 hosts, 50 instances", ["--hosts", "3", "--instances", "50"], 3,
         {"up": 30, "reconcile": 1, "diagnose --all": 10, "down": 3})
MACHINES = ("1 host, 2 machines", ["--guest", "qemu"], 3, {"up": 30, "down": 3})


def run(*arguments, wanted=0):
    """Seconds that one command takes; its output is thrown away."""
    started = time.monotonic()
    ended = subprocess.run([HOPLINE, *arguments], stdout=subprocess.DEVNULL, check=False)
    if ended.returncode != wanted:
        sys.exit(f"bench_lab: hopline {' '.join(arguments)} ended with exit code {ended.returncode}")
    return time.monotonic() - started


def lab(verb, *arguments):
    return run("lab", verb, "--name", LAB, *arguments)


def site():
    env = subprocess.run([HOPLINE, "lab", "env", "--name", LAB, "--json"], check=True, capture_output=True)
    return json.loads(env.stdout)["SITE"]


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
finally:
    subprocess.run([HOPLINE, "lab", "down", "--name", LAB], check=False, stdout=subprocess.DEVNULL)
if late:
    sys.exit(f"bench_lab: longer than asked: {', '.join(late)}")
