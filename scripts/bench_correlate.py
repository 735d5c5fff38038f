#!/usr/bin/env python3
"""`hopline correlate` on four generated captures: is it exact, and how fast is it beside its peers?

    scripts/bench_correlate.py [PACKETS]        2,000,000 unless given

Peers, in the same run: a bare hash join in C on the same files, and, on shorter captures because it would
take minutes, what a user does today: `tshark -T fields` on each, two at a time, then a join in Python by IP
id and sequence numbers. Medians of alternating runs. Exits with 1 where anything planted is missed or invented.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PACKETS = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
PACKETS_TSHARK = min(PACKETS, 50_000)
RUNS = 5
HOPLINE = "target/release/hopline"
CAPTURES = "target/release/examples/captures"
NAMES = ["tap", "uplink", "router", "server"]
FIELDS = ["frame.number", "ip.src", "ip.dst", "ip.id", "ip.proto", "icmp.seq", "tcp.seq_raw", "udp.length", "dns.id"]


def timed(argv):
    """Output, wall time in s and peak memory in MiB of a command."""
    with tempfile.TemporaryFile() as out:
        started = time.monotonic()
        child = subprocess.Popen(argv, stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - started
        out.seek(0)
        return out.read().decode(), wall, usage.ru_maxrss / 1024


def generate(folder, packets, *more):
    subprocess.run([CAPTURES, folder, str(packets), "7", *more], check=True)
    return [f"{folder}/{name}.pcap" for name in NAMES], json.loads(pathlib.Path(folder, "key.json").read_text())


def wrong(report, key):
    """What is not as it was planted."""
    found = sorted([lost["last_seen"], lost["frame"], lost["expected_at"]] for lost in report["lost"])
    planted = sorted(key["lost"])
    told = []
    if found != planted:
        missed = [lost for lost in planted if lost not in found]
        invented = [lost for lost in found if lost not in planted]
        told.append(f"{len(missed)} losses missed {missed[:3]}, {len(invented)} invented {invented[:3]}")
    if report["duplicates"] != key["duplicates"]:
        told.append(f"{report['duplicates']} duplicates of {key['duplicates']}")
    base = key["ahead_ns"][report["clock_reference"]]
    for vantage in report["vantages"]:
        truth, offset = (key["ahead_ns"][vantage["name"]] - base) / 1000, vantage["clock_offset_us"]
        if offset is None or not offset["low"] <= truth <= offset["high"]:
            told.append(f"clock of {vantage['name']}: {offset}, truth {truth}")
    return told


def tshark(files):
    """The losses that a join by what tshark prints finds, and the seconds it takes."""
    started = time.monotonic()
    fields = [argument for field in FIELDS for argument in ("-e", field)]
    texts = []
    for pair in (files[:2], files[2:]):
        argv = [["tshark", "-n", "-r", file, "-T", "fields", *fields] for file in pair]
        children = [subprocess.Popen(a, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for a in argv]
        texts += [child.stdout.read() for child in children]
        [child.wait() for child in children]
    seen = {}
    for place, text in enumerate(texts):
        for line in text.splitlines():
            frame, _, _, *key = line.split("\t")
            seen.setdefault(tuple(key), []).append((place, int(frame)))
    lost = []
    for sightings in seen.values():
        places = {place for place, _ in sightings}
        if places == {0, 1}:
            lost += [("uplink", frame) for place, frame in sightings if place == 1]
        elif places == {2, 3}:
            lost += [("router", frame) for place, frame in sightings if place == 2]
    return lost, time.monotonic() - started


def main():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        join = f"{folder}/hash_join"
        subprocess.run(["cc", "-O3", "-march=native", "-pthread", "-o", join, "scripts/correlate/hash_join.c"], check=True)
        files, key = generate(f"{folder}/full", PACKETS)
        ours, theirs = [], []
        for _ in range(RUNS):
            theirs.append(timed([join, *files]))
            ours.append(timed([HOPLINE, "correlate", "--json", *files]))
        report = json.loads(ours[0][0])
        failures += wrong(report, key)
        sightings = sum(vantage["packets"] for vantage in report["vantages"])
        wall = statistics.median(run[1] for run in ours)
        bare = statistics.median(run[1] for run in theirs)
        peak = max(run[2] for run in ours)
        print(f"{sightings} sightings, {len(key['lost'])} losses and {key['duplicates']} copies planted")
        print(f"hopline correlate      {wall:7.2f} s  {sightings / wall:12,.0f} sightings/s  {peak:7.1f} MiB peak")
        print(f"bare hash join in C    {bare:7.2f} s  {sightings / bare:12,.0f} sightings/s")
        print(f"ratio                  {wall / bare:7.2f}")
        alone, planted = generate(f"{folder}/full", PACKETS, str(PACKETS // 2 - 1))
        failures += wrong(json.loads(timed([HOPLINE, "correlate", "--json", *alone])[0]), planted)
        print(f"a single loss among them is named: {planted['lost']}")
        short, key = generate(f"{folder}/short", PACKETS_TSHARK)
        lost, seconds = tshark(short)
        planted = {(last, frame) for last, frame, _ in key["lost"]}
        rate = 4 * PACKETS_TSHARK / seconds
        print(f"tshark and Python      {seconds:7.2f} s  {rate:12,.0f} sightings/s, on {4 * PACKETS_TSHARK} of them")
        print(f"  finds {len(planted & set(lost))} of {len(planted)} losses, and {len(set(lost) - planted)} that are none")
        print(f"hopline is {sightings / wall / rate:.0f} times as fast")
    for failure in failures:
        print(f"not exact: {failure}")
    sys.exit(1 if failures else 0)


main()
