#!/usr/bin/env python3
"""How long `hopline db check` takes on a large cloud, and how much memory, beside the same findings as one hand-written
statement each in the server's own client; how long `hopline db show` takes, and `hopline diagnose` of one instance with
that cloud behind it; all that beside a host of nothing and one of a thousand instances; and how long `hopline db check`
takes of a cloud that was just filled, of which the server has no statistics. Needs root, target/release/hopline and
Debian's mariadb-server and postgresql.

Starts servers of its own in a folder that goes away (`--keep FOLDER`: that stays, and need not be filled again), and
fills them by scripts/db/large.py: 1,000,000 fixed IPs, 200,000 instances, half of them deleted, 100,000 floating IPs,
and a few of everything that is inconsistent; then the same with a tenth of it. Prints what docs/bench-db.md has.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "db"))
import host  # noqa: E402
import large  # noqa: E402
import servers  # noqa: E402

BY_HAND = pathlib.Path(__file__).resolve().parent / "db/by_hand.sql"
ROUNDS = 3
SIZE, SMALL = 1_000_000, 100_000
SECONDS_MAX, MIB_MAX, RATIO_MAX = 30, 200, 1.5
SHOW_MS_MAX = 100
# Of one instance on a host that shows few: what is read is what the site has, and not the cloud.
DIAGNOSE_S_MAX, DIAGNOSE_MIB_MAX = 1, 100
# 10,000 instances, half of them deleted, and no statistics of any table.
FRESH, FRESH_S_MAX = 50_000, 10
# An empty namespace stands for the instance's host: what is measured is the database, and nothing is there to be read.
NETNS = "hopline-bench-db"
# Another holds what nova leaves on a host with so many instances.
CROWDED, CROWD = "hopline-bench-db-host", 1000


def statements():
    """(code, statement) of scripts/db/by_hand.sql."""
    parts = re.split(r"^-- ([a-z-]+)\n", BY_HAND.read_text(), flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


class Hopline:
    """The program, with the site of one database."""

    def __init__(self, program, folder, server, database, netns=NETNS):
        self.program = program
        self.site = pathlib.Path(folder) / f"{server.name}-{database}-{netns}.toml"
        self.site.write_text(f'[[host]]\nname = "compute2"\nat = "netns:{netns}"\n'
                             f'[cloud]\nkind = "nova-network"\ndatabase = "{server.url(database)}"\n')

    def run(self, *arguments):
        """Seconds, MiB at most, exit code, and the document."""
        with tempfile.TemporaryFile() as out:
            started = time.monotonic()
            process = subprocess.Popen([self.program, *arguments, "--json", "--site", self.site], stdout=out)
            _, status, usage = os.wait4(process.pid, 0)
            took = time.monotonic() - started
            out.seek(0)
            code = os.waitstatus_to_exitcode(status)
            if code not in (0, 1, 3):
                sys.exit(f"bench_db: hopline {' '.join(arguments)} ended with exit code {code}")
            return took, usage.ru_maxrss / 1024, json.load(out)

    def quickest(self, *arguments):
        """The least seconds and the most MiB of a few rounds, and the last document."""
        rounds = [self.run(*arguments) for _ in range(ROUNDS)]
        return min(took for took, _, _ in rounds), max(mib for _, mib, _ in rounds), rounds[-1][2]

    def check(self):
        return self.quickest("db", "check", "--now", "2026-11-26T12:00:00")


def rows(finding):
    """How many rows a finding has: those that are shown, and those of which only the number is told."""
    lines = [line["text"] for line in finding["evidence"]]
    more = re.search(r" \(and (\d+) more\)$", lines[-1])
    return len(lines) + (int(more.group(1)) if more else 0)


def counts(document):
    return {finding["code"]: rows(finding) for finding in document["findings"]}


def words(size):
    """What an instance in the middle goes by."""
    number = size // 20 + 1
    cloud = large.Cloud(size)
    return large.instance_uuid(number), {
        "uuid": large.instance_uuid(number), "libvirt name": f"instance-{number:08x}",
        "fixed IP": cloud.address(number), "floating IP": large.floating(number), "MAC": large.mac(number),
        "name": f"vm{number}"}


def by_hand(server, database):
    """(code, seconds, rows) of each statement."""
    for code, statement in statements():
        took = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryFile() as out:
                started = time.monotonic()
                server.ask(statement, database, out)
                took.append(time.monotonic() - started)
                out.seek(0)
                count = sum(1 for _ in out)
        yield code, min(took), count


class Told:
    """What is printed, and whether all of it is as asked."""

    def __init__(self):
        self.failed = False

    def line(self, what, value, is_right=True):
        self.failed |= not is_right
        print(f"| {what} | {value}{'' if is_right else ' **(not as asked)**'} |", flush=True)

    def title(self, title):
        print(f"\n| {title} | |\n|---|---|", flush=True)


def on_host(size):
    """An instance that runs on compute2, which is the site's: large.Cloud.host_of."""
    hosts = large.Cloud(size).alive // 500
    return next(n for n in range(2 * hosts, 4 * hosts) if large.Cloud(size).host_of(n) == "compute2")


def diagnosed(told, hopline, server, size, what, is_bound):
    took, mib, document = hopline.quickest("diagnose", f"vm{on_host(size)}", "--passive", "--timeout", "60s")
    if document["subject"] != f"vm{on_host(size)}":
        sys.exit("bench_db: hopline diagnose speaks of another")
    told.line(f"`hopline diagnose`, {server.name}, {size:,} fixed IPs, {what}", f"{took:.2f} s, {mib:.0f} MiB",
              not is_bound or (took <= DIAGNOSE_S_MAX and mib <= DIAGNOSE_MIB_MAX))


def of_server(told, hopline, server, size, expected):
    seconds, mib, document = hopline.check()
    found = counts(document)
    told.line(f"`hopline db check`, {server.name}, {size:,} fixed IPs", f"{seconds:.2f} s, {mib:.0f} MiB",
              size != SIZE or (seconds <= SECONDS_MAX and mib <= MIB_MAX))
    if expected is not None and found != expected:
        sys.exit(f"bench_db: {server.name} finds {found}, not {expected}")
    uuid, by = words(size)
    for what, word in by.items():
        took, mib, document = hopline.quickest("db", "show", word)
        if document["instance"]["uuid"] != uuid:
            sys.exit(f"bench_db: hopline db show {word} shows another")
        told.line(f"`hopline db show`, {server.name}, {size:,} fixed IPs, by {what}", f"{took * 1000:.0f} ms",
                  took * 1000 <= SHOW_MS_MAX)
    diagnosed(told, hopline, server, size, "on a host of nothing", size == SIZE)
    return found, seconds


def of_crowded_host(told, hopline, server, size):
    word = f"vm{on_host(size)}"
    took, mib, _ = hopline.quickest("db", "show", word)
    told.line(f"`hopline db show`, {server.name}, {size:,} fixed IPs, of a host with {CROWD:,} taps",
              f"{took * 1000:.0f} ms, {mib:.0f} MiB")
    diagnosed(told, hopline, server, size, f"on a host with {CROWD:,} taps", False)
    # With `--now` the tables would be of another time than the host, which would not be read.
    seconds, mib, _ = hopline.quickest("db", "check")
    told.line(f"`hopline db check`, {server.name}, {size:,} fixed IPs, beside a host with {CROWD:,} taps",
              f"{seconds:.2f} s, {mib:.0f} MiB", seconds <= SECONDS_MAX and mib <= MIB_MAX)


def fresh(told, program, folder, kind):
    """Filled, and checked at once: in a folder of its own, whose server gathers no statistics meanwhile."""
    with kind(pathlib.Path(folder) / f"fresh-{kind.name}") as server:
        server.fill("fresh", large.Cloud(FRESH), has_statistics=False)
        took, mib, _ = Hopline(program, folder, server, "fresh").check()
        told.line(f"`hopline db check`, {kind.name}, {FRESH:,} fixed IPs, without statistics",
                  f"{took:.2f} s, {mib:.0f} MiB", took <= FRESH_S_MAX)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default="target/release/hopline")
    parser.add_argument("--keep", metavar="FOLDER")
    parser.add_argument("--only", metavar="SERVER", help="MariaDB, PostgreSQL or SQLite")
    asked = parser.parse_args()
    told = Told()
    with tempfile.TemporaryDirectory(prefix="hopline-bench-db-") as folder:
        os.chmod(folder, 0o711)
        keep = pathlib.Path(asked.keep or folder)
        for netns in (NETNS, CROWDED):
            subprocess.run(["ip", "netns", "add", netns], check=True)
        try:
            on_it = [n for n in range(1, large.Cloud(SIZE).alive) if large.Cloud(SIZE).host_of(n) == "compute2"]
            # Twice as many as are recorded there: the others are recorded elsewhere, as after a move.
            others = [n + 1 for n in on_it]
            host.fill(CROWDED, (on_it + others)[:CROWD], large.Cloud(SIZE))
            measure(told, asked, folder, keep)
        finally:
            for netns in (NETNS, CROWDED):
                subprocess.run(["ip", "netns", "del", netns], check=True)
    sys.exit(told.failed)


def measure(told, asked, folder, keep):
    expected = {}
    for kind in (servers.MariaDb, servers.Postgres, servers.Sqlite):
        if asked.only not in (None, kind.name):
            continue
        with kind(keep / kind.name) as server:
            told.title(kind.name)
            for size in (SMALL, SIZE):
                database = f"nova{size}"
                if not server.has(database):
                    server.fill(database, large.Cloud(size))
                hopline = Hopline(asked.program, folder, server, database)
                expected[size], seconds = of_server(told, hopline, server, size, expected.get(size))
            of_crowded_host(told, Hopline(asked.program, folder, server, database, CROWDED), server, SIZE)
            if kind is servers.MariaDb:
                beside(told, server, database, expected[SIZE], seconds)
        fresh(told, asked.program, folder, kind)


def beside(told, server, database, found, seconds):
    sum_s = 0.0
    for code, took, count in by_hand(server, database):
        sum_s += took
        told.line(f"{code}, by hand", f"{took:.2f} s, {count} rows")
        if found.get(code, 0) != count:
            sys.exit(f"bench_db: hopline finds {found.get(code, 0)} rows of {code}, the hand {count}")
    told.line("all of them by hand", f"{sum_s:.2f} s")
    told.line("`hopline db check` is so many times that", f"{seconds / sum_s:.2f}", seconds / sum_s <= RATIO_MAX)


main()
