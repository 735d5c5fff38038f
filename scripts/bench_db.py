#!/usr/bin/env python3
"""How long `hopline db check` takes on a large cloud, and how much memory, beside the same findings as one hand-written
statement each in the server's own client; and how long `hopline db show` takes. Needs target/release/hopline and Debian's mariadb-server.

Starts a MariaDB of its own in a folder that goes away, and fills it by scripts/db/large.sql: 1,000,000 fixed IPs,
200,000 instances, half of them deleted, 100,000 floating IPs, and a few of everything that is inconsistent.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HOPLINE = sys.argv[1] if len(sys.argv) > 1 else "target/release/hopline"
ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS = 3
SECONDS_MAX, MIB_MAX, RATIO_MAX = 30, 200, 1.5
SHOW_MS_MAX = 100
# nova's own indexes that `db show` goes by, which the lab's small tables do without (nova/db/sqlalchemy/models.py).
INDEXES = """CREATE INDEX fixed_ips_host_idx ON fixed_ips (host);
CREATE INDEX floating_ips_fixed_ip_id_fkey ON floating_ips (fixed_ip_id);"""


def schema():
    """nova's tables in MySQL's words, as novadb makes them."""
    text = (ROOT / "crates/novadb/src/schema.sql").read_text()
    for ours, theirs in (("INTEGER NOT NULL PRIMARY KEY", "INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY"),
                         ("BOOLEAN", "TINYINT(1)"), (" TEXT", " MEDIUMTEXT"), ('"binary"', "`binary`"),
                         ("\n);", "\n) ENGINE=InnoDB DEFAULT CHARSET=utf8;")):
        text = text.replace(ours, theirs)
    return text


def statements():
    """(code, statement) of scripts/db/by_hand.sql."""
    parts = re.split(r"^-- ([a-z-]+)\n", (ROOT / "scripts/db/by_hand.sql").read_text(), flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


class Server:
    """A MariaDB that goes away."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = f"{folder}/mysqld.sock"
        # The server agrees to run as root only where it is told which account to be.
        account = ["--user=nobody"] if os.geteuid() == 0 else []
        if account:
            shutil.chown(folder, "nobody")
        os.chmod(folder, 0o711)
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--skip-test-db",
                        "--auth-root-authentication-method=normal", *account], check=True, stdout=subprocess.DEVNULL)
        path = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin")
        self.process = subprocess.Popen(
            [path, "--no-defaults", f"--datadir={folder}/data", f"--socket={self.socket}", "--skip-networking",
             f"--pid-file={folder}/pid", "--innodb-buffer-pool-size=1G", "--innodb-flush-log-at-trx-commit=0", *account],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.deadline = time.monotonic() + 60

    def wait(self):
        """Until it answers."""
        while subprocess.run(["mariadb", "--no-defaults", "-uroot", f"--socket={self.socket}", "-e", "SELECT 1"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > self.deadline:
                sys.exit("bench_db: MariaDB does not start")
            time.sleep(0.1)

    def client(self, sql, database="nova", out=subprocess.DEVNULL):
        return subprocess.run(["mariadb", "--no-defaults", "-uroot", f"--socket={self.socket}", "-NBq", database],
                              input=sql.encode(), stdout=out, check=True)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def hopline(site):
    """Seconds, MiB at most, and the document."""
    with tempfile.TemporaryFile() as out:
        started = time.monotonic()
        process = subprocess.Popen([HOPLINE, "db", "check", "--now", "2026-11-26T12:00:00", "--json", "--site", site],
                                   stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.monotonic() - started
        code = os.waitstatus_to_exitcode(status)
        if code != 1:
            sys.exit(f"bench_db: hopline db check ended with exit code {code}")
        out.seek(0)
        return took, usage.ru_maxrss / 1024, json.load(out)


def show(site):
    """Milliseconds of `db show`, the quickest of a few, by each word for an instance in the middle."""
    uuid = "00000000-0000-4000-8000-000000050001"
    words = {"uuid": uuid, "number": "50001", "name": "vm50001"}
    for what, word in words.items():
        took = []
        for _ in range(ROUNDS):
            started = time.monotonic()
            run = subprocess.run([HOPLINE, "db", "show", word, "--json", "--site", site], stdout=subprocess.PIPE,
                                 check=False)
            took.append((time.monotonic() - started) * 1000)
            if run.returncode == 2 or json.loads(run.stdout)["instance"]["uuid"] != uuid:
                sys.exit(f"bench_db: hopline db show {word} ended with exit code {run.returncode}")
        yield what, min(took)


def rows(finding):
    """How many rows a finding has: those that are shown, and those of which only the number is told."""
    lines = [line["text"] for line in finding["evidence"]]
    more = re.search(r" \(and (\d+) more\)$", lines[-1])
    return len(lines) + (int(more.group(1)) if more else 0)


def main():
    with tempfile.TemporaryDirectory(prefix="hopline-bench-db-") as folder:
        server = Server(folder)
        try:
            server.wait()
            started = time.monotonic()
            server.client("CREATE DATABASE nova CHARACTER SET utf8", database="")
            server.client(schema() + (ROOT / "scripts/db/large.sql").read_text())
            print(f"filled in {time.monotonic() - started:.0f} s")
            site = f"{folder}/site.toml"
            pathlib.Path(site).write_text(
                '[[host]]\nname = "here"\nat = "local"\n[cloud]\nkind = "nova-network"\n'
                f'database = "mysql://root@/nova?unix_socket={server.socket}"\n')
            measured = [hopline(site) for _ in range(ROUNDS)]
            seconds, mib = min(took for took, _, _ in measured), max(mib for _, mib, _ in measured)
            found = {finding["code"]: rows(finding) for finding in measured[0][2]["findings"]}
            by_hand = 0.0
            for code, statement in statements():
                took = []
                for _ in range(ROUNDS):
                    with tempfile.TemporaryFile() as out:
                        started = time.monotonic()
                        server.client(statement, out=out)
                        took.append(time.monotonic() - started)
                        out.seek(0)
                        count = sum(1 for _ in out)
                by_hand += min(took)
                agree = "" if found.get(code, 0) == count else f"   hopline finds {found.get(code, 0)}"
                print(f"{code:34} {min(took):7.2f} s by hand, {count} rows{agree}")
                if agree:
                    sys.exit("bench_db: the two do not say the same")
            server.client(INDEXES)
            shown = list(show(site))
            for what, ms in shown:
                print(f"hopline db show by {what}: {ms:.0f} ms ({SHOW_MS_MAX} asked)")
            ratio = seconds / by_hand
            print(f"hopline db check {seconds:.2f} s ({SECONDS_MAX} asked), {mib:.0f} MiB ({MIB_MAX} asked), "
                  f"{ratio:.2f} times the {by_hand:.2f} s by hand ({RATIO_MAX} asked)")
            if seconds > SECONDS_MAX or mib > MIB_MAX or ratio > RATIO_MAX \
                    or any(ms > SHOW_MS_MAX for _, ms in shown):
                sys.exit(1)
        finally:
            server.stop()


main()
