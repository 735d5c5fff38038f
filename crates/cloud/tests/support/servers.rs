//! A MariaDB and a PostgreSQL server of the test's own: from Debian's packages, with a data directory
//! that goes away, on a port of 127.0.0.1, stopped on drop and, should the test be killed, by the kernel.

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
    /// Its data and socket.
    pub(crate) dir: TempDir,
    /// TCP port on 127.0.0.1.
    pub(crate) port: u16,
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

pub(crate) fn mariadb() -> Server {
    mariadb_with(&[])
}

/// With more arguments for the server.
pub(crate) fn mariadb_with(more: &[&str]) -> Server {
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
    run(command.arg(format!("--datadir={}", data.display())));
    let arguments = |dir: &Path, port| {
        let dir = dir.display();
        let own = [
            "--no-defaults".to_owned(),
            format!("--datadir={dir}/data"),
            format!("--socket={dir}/mysqld.sock"),
            format!("--pid-file={dir}/mysqld.pid"),
            format!("--init-file={dir}/init.sql"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--port={port}"),
            "--innodb-flush-log-at-trx-commit=0".to_owned(),
        ];
        own.into_iter().chain(more.iter().map(|&argument| argument.to_owned())).collect()
    };
    start(dir, account.as_ref(), &daemon, arguments, |_| true)
}

pub(crate) fn postgresql() -> Server {
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
    let arguments = |dir: &Path, port: u16| {
        let [data, socket] = [dir.join("data"), dir.to_owned()].map(|path| path.display().to_string());
        let port = port.to_string();
        ["-D", &data, "-k", &socket, "-p", &port, "-h", "127.0.0.1", "-F"].map(str::to_owned).into()
    };
    // It listens before it answers: the last line of its pid file tells (`AddToDataDirLockFile`, `PM_STATUS_READY`).
    let is_ready = |dir: &Path| {
        let told = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap_or_default();
        told.lines().last().is_some_and(|status| status.trim() == "ready")
    };
    start(dir, account.as_ref(), &daemon, arguments, is_ready)
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

/// Starts it and waits until it answers: it listens, and nothing in its directory says that it is not ready yet.
fn start(
    dir: TempDir,
    account: Option<&User>,
    daemon: &Path,
    arguments: impl Fn(&Path, u16) -> Vec<String>,
    is_ready: impl Fn(&Path) -> bool,
) -> Server {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log_path = dir.path().join("log");
    let log = fs::File::create(&log_path).unwrap();
    let mut command = as_account(account, daemon);
    command.args(arguments(dir.path(), port)).stdout(log.try_clone().unwrap()).stderr(log);
    let mut server = Server { process: command.spawn().unwrap(), dir, port };
    let deadline = Instant::now() + Duration::from_mins(2);
    while TcpStream::connect(("127.0.0.1", port)).is_err() || !is_ready(server.dir.path()) {
        let said = || fs::read_to_string(&log_path).unwrap_or_default();
        if let Some(status) = server.process.try_wait().unwrap() {
            panic!("{} ended: {status}\n{}", daemon.display(), said());
        }
        assert!(Instant::now() < deadline, "{} does not listen\n{}", daemon.display(), said());
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}
