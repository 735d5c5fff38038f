#!/usr/bin/env python3
"""How long a bundle of a host with a thousand instances takes to write, to read, to redact, and to diagnose one of them.

The host is made up (crates/bundle/examples/synthetic.rs); its sizes are those of a real one. Beside hopline stands
what a support desk would type: `tar` with zstd, which unpacks the same file. Redacting is measured with more and more
names that begin with the same word, too.

That a host can be read as fast as it can be written is measured on a real one, in a network namespace of the bench's
own: a tap in the bridge for each instance, and the rules that nova writes for it.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "db"))

import host  # noqa: E402
import large  # noqa: E402

INSTANCES = 1000
NAMES = [1_000, 4_000, 16_000]
RUNS = 5
NETNS = f"hopline-bundle-{os.getpid()}"
WRITTEN_MAX_S, REDACTED_MAX_S, DIAGNOSED_MAX_S, BYTES_MAX = 10.0, 10.0, 2.0, 20_000_000


def timed(argv, codes):
    """Shortest of some runs, in seconds, and the largest memory of all, in MiB."""
    best, peak = float("inf"), 0
    for _ in range(RUNS):
        started = time.monotonic()
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        best = min(best, time.monotonic() - started)
        peak = max(peak, usage.ru_maxrss // 1024)
        assert process.returncode in codes, (argv, process.returncode)
    return best, peak


def synthetic(release, bundle, *numbers):
    """Writes the bundle; how long that took and how long it is."""
    made = subprocess.run(
        [os.path.join(release, "examples/synthetic"), bundle, *map(str, numbers)],
        check=True, capture_output=True, text=True,
    )
    return json.loads(made.stdout)


@contextlib.contextmanager
def real_host():
    """A namespace with that many taps."""
    subprocess.run(["ip", "netns", "add", NETNS], check=True)
    try:
        # The smallest of the cloud's sizes in which all of them are alive.
        host.fill(NETNS, range(1, 1 + INSTANCES), large.Cloud(10 * INSTANCES))
        yield
    finally:
        subprocess.run(["ip", "netns", "del", NETNS], check=True)


def collected(release, folder):
    """Seconds and MiB to read a real host and to write its bundle, and how long that is."""
    site, bundle = (os.path.join(folder, name) for name in ("site.toml", "real.tar.zst"))
    with open(site, "w") as file:
        file.write(f'[[host]]\nname = "compute1"\nat = "netns:{NETNS}"\nrole = "compute"\n')
    with real_host():
        taken = timed([os.path.join(release, "hopline"), "collect", "-o", bundle, "--site", site], (0,))
    links = subprocess.run(
        ["tar", "--zstd", "-xOf", bundle, "compute1/main/ip-d-j-link.json"], check=True, capture_output=True)
    assert sum("vnet" in link["ifname"] for link in json.loads(links.stdout)) == INSTANCES
    return *taken, os.path.getsize(bundle)


def growth(release, folder):
    """Seconds to redact a host of a few instances, for each number of names that the database tells."""
    bundle = os.path.join(folder, "names.tar.zst")
    redact = ["collect", "--redact", "--bundle", bundle, "-o", os.path.join(folder, "renamed.tar.zst")]
    for names in NAMES:
        synthetic(release, bundle, 10, names)
        yield names, timed([os.path.join(release, "hopline"), *redact], (0,))[0]


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    release = os.path.join(root, "target/release")
    with tempfile.TemporaryDirectory() as folder:
        bundle = os.path.join(folder, "host.tar.zst")
        made = synthetic(release, bundle, INSTANCES)
        written = made["written_ms"] / 1000
        question = ["diagnose", f"prod-web-{INSTANCES // 2}", "--bundle", bundle, "--json"]
        diagnosed, memory = timed([os.path.join(release, "hopline"), *question], (0, 1, 3))
        redact = ["collect", "--redact", "--bundle", bundle, "-o", os.path.join(folder, "redacted.tar.zst")]
        redacted, redacting = timed([os.path.join(release, "hopline"), *redact], (0,))
        read, reading, size = collected(release, folder)
        grown = list(growth(release, folder))
        unpacked, _ = timed(["tar", "--zstd", "-xf", bundle, "-C", folder], (0,))
    print(f"a host of {INSTANCES} instances, shortest of {RUNS} runs")
    print(f"  written in               {written:6.2f} s   (at most {WRITTEN_MAX_S} s)")
    print(f"  size                     {made['bytes'] / 1e6:6.2f} MB  (at most {BYTES_MAX / 1e6} MB)")
    print(f"  a real one, read too     {read:6.2f} s   (at most {WRITTEN_MAX_S} s), {reading} MiB; {size / 1e6:.2f} MB")
    print(f"  one instance diagnosed   {diagnosed:6.2f} s   (at most {DIAGNOSED_MAX_S} s), {memory} MiB")
    print(f"  redacted in              {redacted:6.2f} s   (at most {REDACTED_MAX_S} s), {redacting} MiB")
    for names, seconds in grown:
        print(f"    with {names:6} names      {seconds:6.2f} s   of one first word, on a host of ten instances")
    print(f"  tar unpacks it in        {unpacked:6.2f} s")
    too_slow = max(written, read) > WRITTEN_MAX_S or redacted > REDACTED_MAX_S or diagnosed > DIAGNOSED_MAX_S
    return int(too_slow or max(made["bytes"], size) > BYTES_MAX)


if __name__ == "__main__":
    sys.exit(main())
