//! A MariaDB and a PostgreSQL server of the test's own: from Debian's packages, with a data directory
//! that goes away, on a port of 127.0.0.1, stopped on drop and, should the test be killed, by the kernel.

#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;

/// A running server.
pub(crate) struct Server {
    process: Child,
    daemon: Daemon,
    /// Its data and socket.
    pub(crate) dir: TempDir,
    /// TCP port on 127.0.0.1.
    pub(crate) port: u16,
    /// `SCHEME://USER` of its administrator.
    account: &'static str,
    /// The database that it has from the first.
    pub(crate) first: &'static str,
}

/// How it is started, once more if need be.
struct Daemon {
    program: PathBuf,
    arguments: Vec<String>,
    account: Option<User>,
    /// It listens before it answers: what tells that it does.
    is_ready: fn(&Path) -> bool,
}

impl Server {
    /// A URL of one of its databases, as its administrator.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("{}:{ADMIN_PASSWORD}@127.0.0.1:{}/{database}", self.account, self.port)
    }

    /// Ends it as a machine that loses power would, and returns when it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on what it left behind. Of PostgreSQL's processes some end a moment after the first, and until
    /// then no other server takes their place.
    pub(crate) fn start_again(&mut self) {
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            self.process = self.daemon.spawn(self.dir.path());
            match self.daemon.wait(&mut self.process, self.dir.path(), self.port) {
                Ok(()) => return,
                Err(said) => assert!(Instant::now() < deadline, "{said}"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both servers take it as "stop at once", and PostgreSQL then ends its own children first.
        let pid = i32::try_from(self.process.id()).map(Pid::from_raw).unwrap();
        let _ = signal::kill(pid, Signal::SIGQUIT);
        let _ = self.process.wait();
    }
}

/// The password of MariaDB's `root` and PostgreSQL's `postgres`.
pub(crate) const ADMIN_PASSWORD: &str = "adm1n-of-the-test";

/// Where a test puts files for its server, which become the server's own; and where PostgreSQL has its settings.
pub(crate) const OF_TEST: &str = "of-test";

/// Nothing waits for the disk: the data go away with the test, and a killed server's writes are the kernel's by then.
const UNSYNCED: [&str; 3] = ["--innodb-flush-method=nosync", "--innodb-log-file-size=16M", "--debug-no-sync"];

pub(crate) fn mariadb() -> Server {
    mariadb_with(|_| Vec::new())
}

/// With further arguments, which follow from what the test writes into the server's folder.
pub(crate) fn mariadb_with(prepare: impl FnOnce(&Path) -> Vec<String>) -> Server {
    let install = program("/usr/bin/mariadb-install-db", "mariadb-server");
    let daemon = program("/usr/sbin/mariadbd", "mariadb-server");
    let (dir, account) = workplace("nobody");
    let data = dir.path().join("data");
    let init = dir.path().join("init.sql");
    let root = "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD";
    let sql = format!("{root}('{ADMIN_PASSWORD}');");
    fs::write(&init, sql).unwrap();
    let mut command = as_account(account.as_ref(), &install);
    command.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
    // A server that starts clears `#sql` files away from where it keeps its own: two at once would lose each other's.
    command.env("TMPDIR", dir.path());
    run(command.args(UNSYNCED).arg(format!("--datadir={}", data.display())));
    let port = free_port();
    let shown = dir.path().display();
    let mut arguments = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={shown}/data"),
        format!("--tmpdir={shown}"),
        format!("--socket={shown}/mysqld.sock"),
        format!("--pid-file={shown}/mysqld.pid"),
        format!("--init-file={shown}/init.sql"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--port={port}"),
        "--innodb-flush-log-at-trx-commit=0".to_owned(),
    ];
    arguments.extend(UNSYNCED.map(str::to_owned));
    arguments.extend(prepare(dir.path()));
    let daemon = Daemon { program: daemon, arguments, account, is_ready: |_| true };
    start(daemon, dir, port, ["mysql://root", "mysql"])
}

pub(crate) fn postgresql() -> Server {
    postgresql_with(|_| Vec::new())
}

/// With further arguments; the cluster is there when the test writes its own files.
pub(crate) fn postgresql_with(prepare: impl FnOnce(&Path) -> Vec<String>) -> Server {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path().join("bin")).max();
    let bin = newest.unwrap_or_else(|| PathBuf::from("/usr/lib/postgresql/15/bin"));
    let init = program(bin.join("initdb"), "postgresql");
    let daemon = program(bin.join("postgres"), "postgresql");
    let (dir, account) = workplace("postgres");
    let password = dir.path().join("password");
    fs::write(&password, ADMIN_PASSWORD).unwrap();
    let mut command = as_account(account.as_ref(), &init);
    command.args(["-U", "postgres", "--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"]);
    command.arg("--pwfile").arg(&password);
    run(command.arg("-D").arg(dir.path().join("data")));
    let port = free_port();
    let [data, socket] = [dir.path().join("data"), dir.path().to_owned()].map(|p| p.display().to_string());
    let own = ["-D", &data, "-k", &socket, "-p", &port.to_string(), "-h", "127.0.0.1", "-F"];
    let mut arguments: Vec<String> = own.map(str::to_owned).into();
    arguments.extend(prepare(dir.path()));
    // The last line of its pid file tells (`AddToDataDirLockFile`, `PM_STATUS_READY`).
    let is_ready = |dir: &Path| {
        let told = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap_or_default();
        told.lines().last().is_some_and(|status| matches!(status.trim(), "ready" | "standby"))
    };
    let daemon = Daemon { program: daemon, arguments, account, is_ready };
    start(daemon, dir, port, ["postgresql://postgres", "postgres"])
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program(path: impl AsRef<Path>, package: &str) -> PathBuf {
    let path = path.as_ref();
    assert!(
        path.exists(),
        "{} is missing: install Debian's package {package} to run this test",
        path.display()
    );
    path.to_owned()
}

/// A directory of the server's account, which is needed only where the test runs as root: neither
/// server agrees to run as root.
fn workplace(account: &str) -> (TempDir, Option<User>) {
    let dir = tempfile::Builder::new().prefix("ht-cloud-").tempdir().unwrap();
    let account = Uid::effective().is_root().then(|| User::from_name(account).unwrap().unwrap());
    if let Some(account) = &account {
        chown(dir.path(), Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    }
    (dir, account)
}

/// `setpriv` changes the account and has the kernel kill the program when the test dies.
fn as_account(account: Option<&User>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(account) = account {
        command.arg(format!("--reuid={}", account.uid)).arg(format!("--regid={}", account.gid));
        command.arg("--clear-groups");
    }
    command.arg("--").arg(program).current_dir("/").stdin(Stdio::null());
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

fn start(daemon: Daemon, dir: TempDir, port: u16, [account, first]: [&'static str; 2]) -> Server {
    daemon.own(&dir.path().join(OF_TEST));
    let mut process = daemon.spawn(dir.path());
    daemon.wait(&mut process, dir.path(), port).unwrap_or_else(|said| panic!("{said}"));
    Server { process, daemon, dir, port, account, first }
}

impl Daemon {
    /// Makes files the server's own, and nobody else's: neither server takes a key that others may read.
    fn own(&self, folder: &Path) {
        let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        for file in files {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some(account) = &self.account {
                chown(&file, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
            }
        }
    }

    fn spawn(&self, dir: &Path) -> Child {
        let log = fs::File::create(dir.join("log")).unwrap();
        let mut command = as_account(self.account.as_ref(), &self.program);
        command.args(&self.arguments).stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().unwrap()
    }

    /// Waits until it answers: it listens, and nothing in its directory says that it is not ready yet. Where it ends
    /// instead: what it said.
    fn wait(&self, process: &mut Child, dir: &Path, port: u16) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_mins(2);
        while TcpStream::connect(("127.0.0.1", port)).is_err() || !(self.is_ready)(dir) {
            let program = self.program.display();
            let said = || fs::read_to_string(dir.join("log")).unwrap_or_default();
            if let Some(status) = process.try_wait().unwrap() {
                return Err(format!("{program} ended: {status}\n{}", said()));
            }
            assert!(Instant::now() < deadline, "{program} does not listen\n{}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
