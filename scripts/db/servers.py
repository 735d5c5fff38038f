"""A MariaDB, a PostgreSQL and a SQLite file of the benches' own, filled with nova's tables.

Each keeps its data in a folder: where that is not gone since, nothing is filled again.
"""
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import time

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "crates/novadb/src/schema.sql"
START_SECONDS = 60


def statements(*replacements):
    """novadb's: (tables, indexes). Indexes are made once the rows are there, which is quicker."""
    text = "\n".join(line for line in SCHEMA.read_text().splitlines() if not line.startswith("--"))
    for ours, theirs in replacements:
        text = text.replace(ours, theirs)
    every = [statement.strip() for statement in f"{text}\n".split(";\n")]
    tables = [statement for statement in every if statement.startswith("CREATE TABLE")]
    return tables, [statement for statement in every if " INDEX " in statement.partition("\n")[0]]


def account(name):
    """Neither server agrees to run as root: the arguments of subprocess that say as whom."""
    return {"user": name, "group": shutil_group(name), "extra_groups": []} if os.geteuid() == 0 else {}


def shutil_group(name):
    import pwd
    return pwd.getpwnam(name).pw_gid


class Server:
    """What the servers have in common: a folder, a process, and that it is waited for."""

    #: Whose process it is, where we are root.
    runs_as = None

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.process = None
        is_new = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.runs_as)
        self.folder.chmod(0o711)
        if is_new:
            self.install()

    def start(self, command, answers):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **account(self.runs_as))
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command[0]} does not start: see {self.folder}/log")
            time.sleep(0.1)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()

    def run(self, command, text=None, out=subprocess.DEVNULL, **options):
        data = None if text is None else text.encode()
        return subprocess.run(command, input=data, stdout=out, check=True, **options)

    def dumped(self, columns, rows, table):
        """The rows as a file of tab-separated columns, which both servers read."""
        path = self.folder / f"{table}.tsv"
        with open(path, "w", encoding="utf-8") as file:
            for row in rows:
                file.write("\t".join("\\N" if cell is None else str(cell) for cell in row) + "\n")
        path.chmod(0o644)
        return path


class MariaDb(Server):
    name = "MariaDB"
    runs_as = "nobody"

    def install(self):
        self.run(["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--skip-test-db",
                  "--auth-root-authentication-method=normal", *self.user()])

    def user(self):
        return [f"--user={self.runs_as}"] if os.geteuid() == 0 else []

    def __enter__(self):
        path = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin")
        self.start([path, "--no-defaults", f"--datadir={self.folder}/data", f"--socket={self.folder}/sock",
                    "--skip-networking", f"--pid-file={self.folder}/pid", "--innodb-buffer-pool-size=1G",
                    # Another MariaDB that starts removes the temporary tables of a shared one.
                    f"--tmpdir={self.folder}", "--innodb-flush-log-at-trx-commit=0", *self.user()],
                   lambda: subprocess.run([*self.client(), "-e", "SELECT 1"], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL, check=False).returncode == 0)
        return self

    def __exit__(self, *_):
        self.stop()

    def client(self, database=""):
        return ["mariadb", "--no-defaults", "-uroot", f"--socket={self.folder}/sock", "-NBq", database]

    def ask(self, sql, database, out=subprocess.DEVNULL):
        return self.run(self.client(database), sql, out)

    def url(self, database):
        return f"mysql://root@/{database}?unix_socket={self.folder}/sock"

    def has(self, database):
        listed = self.run(self.client(), "SHOW DATABASES", subprocess.PIPE).stdout.decode().split()
        return database in listed

    def fill(self, database, cloud, has_statistics=True):
        tables, indexes = statements(
            ("INTEGER NOT NULL PRIMARY KEY", "INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY"),
            ("BOOLEAN", "TINYINT(1)"), (" TEXT", " MEDIUMTEXT"), ('"binary"', "`binary`"))
        self.ask(f"CREATE DATABASE {database} CHARACTER SET utf8", "")
        engine = " ENGINE=InnoDB DEFAULT CHARSET=utf8"
        self.ask(";\n".join(table + engine for table in tables), database)
        names = []
        for table, columns, rows in cloud.tables():
            path = self.dumped(columns, rows, table)
            listed = ", ".join(f"`{column}`" for column in columns)
            self.ask(f"SET foreign_key_checks = 0, unique_checks = 0; LOAD DATA INFILE '{path}' INTO TABLE {table} "
                     f"({listed})", database)
            path.unlink()
            names.append(table)
        analyze = f"; ANALYZE TABLE {', '.join(names)}" if has_statistics else ""
        self.ask(";\n".join(indexes) + analyze, database)


class Postgres(Server):
    name = "PostgreSQL"
    runs_as = "postgres"

    def program(self, name):
        newest = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=None)
        return str(newest / name) if newest else name

    def install(self):
        self.run([self.program("initdb"), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C",
                  "-D", f"{self.folder}/data"], cwd="/", **account(self.runs_as))

    def __enter__(self):
        self.start([self.program("postgres"), "-D", f"{self.folder}/data", "-k", str(self.folder), "-h", "", "-F",
                    "-c", "shared_buffers=512MB", "-c", "autovacuum=off"],
                   lambda: subprocess.run([*self.client("postgres"), "-c", "SELECT 1"], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL, check=False).returncode == 0)
        return self

    def __exit__(self, *_):
        self.stop()

    def client(self, database):
        return [self.program("psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h",
                str(self.folder), database]

    def url(self, database):
        return f"postgresql://postgres@localhost/{database}?host={self.folder}"

    def has(self, database):
        listed = self.run(self.client("postgres"), "SELECT datname FROM pg_database", subprocess.PIPE)
        return database in listed.stdout.decode().split()

    def fill(self, database, cloud, has_statistics=True):
        # Addresses are of PostgreSQL's own type, as nova makes them there (nova/db/sqlalchemy/types.py).
        tables, indexes = statements(("INTEGER NOT NULL PRIMARY KEY", "SERIAL PRIMARY KEY"),
                                     ("DATETIME", "TIMESTAMP WITHOUT TIME ZONE"), ("VARCHAR(39)", "INET"),
                                     ("VARCHAR(43)", "INET"))
        self.run(self.client("postgres"), f"CREATE DATABASE {database}")
        self.run(self.client(database), ";\n".join(tables))
        for table, columns, rows in cloud.tables():
            path = self.dumped(columns, rows, table)
            listed = ", ".join(f'"{column}"' for column in columns)
            self.run(self.client(database), f"SET session_replication_role = replica;\n"
                     f"\\copy {table} ({listed}) FROM '{path}'\n")
            path.unlink()
        self.run(self.client(database), ";\n".join(indexes) + ("; ANALYZE" if has_statistics else ""))


class Sqlite:
    """A file for each database."""

    name = "SQLite"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def path(self, database):
        return self.folder / f"{database}.sqlite"

    def url(self, database):
        return f"sqlite:{self.path(database)}"

    def has(self, database):
        return self.path(database).exists()

    def fill(self, database, cloud, has_statistics=True):
        tables, indexes = statements()
        half = self.path(database).with_suffix(".half")
        half.unlink(missing_ok=True)
        connection = sqlite3.connect(half)
        connection.executescript("PRAGMA synchronous = OFF;" + ";\n".join(tables))
        for table, columns, rows in cloud.tables():
            listed, marks = ", ".join(f'"{column}"' for column in columns), ", ".join("?" * len(columns))
            with connection:
                connection.executemany(f"INSERT INTO {table} ({listed}) VALUES ({marks})", rows)
        connection.executescript(";\n".join(indexes) + ("; ANALYZE" if has_statistics else ""))
        connection.close()
        half.rename(self.path(database))
