#!/usr/bin/env python3
"""How long `hopline db check` takes on a large cloud, and how much memory, beside the same findings as one hand-written
statement each in the server's own client; and how long `hopline db show` takes. Needs root, target/release/hopline and
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
import large  # noqa: E402
import servers  # noqa: E402

BY_HAND = pathlib.Path(__file__).resolve().parent / "db/by_hand.sql"
ROUNDS = 3
SIZE, SMALL = 1_000_000, 100_000
SECONDS_MAX, MIB_MAX, RATIO_MAX = 30, 200, 1.5
SHOW_MS_MAX = 100
# An empty namespace stands for the instance's host: what is measured is the database, and nothing is there to be read.
NETNS = "hopline-bench-db"


def statements():
    """(code, statement) of scripts/db/by_hand.sql."""
    parts = re.split(r"^-- ([a-z-]+)\n", BY_HAND.read_text(), flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


class Hopline:
    """The program, with the site of one database."""

    def __init__(self, program, folder, server, database):
        self.program = program
        self.site = pathlib.Path(folder) / f"{server.name}-{database}.toml"
        self.site.write_text(f'[[host]]\nname = "compute2"\nat = "netns:{NETNS}"\n'
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
    return found, seconds


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
        subprocess.run(["ip", "netns", "add", NETNS], check=True)
        try:
            measure(told, asked, folder, keep)
        finally:
            subprocess.run(["ip", "netns", "del", NETNS], check=True)
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
            if kind is servers.MariaDb:
                beside(told, server, database, expected[SIZE], seconds)


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
