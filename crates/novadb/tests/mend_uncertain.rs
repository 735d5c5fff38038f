//! A connection that ends in the commit: whether the row is changed is not known then, and is said so. A proxy between
//! hopline and a real server passes everything on until a COMMIT comes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/planted.rs"]
mod planted;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloud::{Ask, Clock, DatabaseUrl, MendError};
use databases::{Server, mariadb, postgresql};
use dumped::dump;
use planted::{PATIENCE, lax_schema, run};
use tempfile::TempDir;

/// What becomes of a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commits {
    /// It and its answer are passed on.
    Pass,
    /// It is passed on, and the connection ends when the server has answered.
    Unanswered,
    /// It never comes to the server.
    Lost,
    /// It is passed on, and nothing comes back any more.
    Silent,
}

/// A proxy before a server on 127.0.0.1.
struct Proxy {
    port: u16,
    commits: Arc<Mutex<Commits>>,
}

impl Proxy {
    fn start(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let commits = Arc::new(Mutex::new(Commits::Pass));
        let shared = Arc::clone(&commits);
        // It ends with the test's process: nobody else knows its port.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || between(&client, server, &shared));
            }
        });
        Proxy { port, commits }
    }

    fn set(&self, commits: Commits) {
        *self.commits.lock().unwrap() = commits;
    }
}

/// One connection. Both protocols are question and answer, so that one thread reads whichever side has something.
fn between(mut client: &TcpStream, server: u16, commits: &Mutex<Commits>) {
    let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
    let back = server.try_clone().unwrap();
    let answers = client.try_clone().unwrap();
    let mute = Arc::new(Mutex::new(Commits::Pass));
    let muted = Arc::clone(&mute);
    let pump = std::thread::spawn(move || pump_back(back, answers, &muted));
    let mut bytes = [0_u8; 16 << 10];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        let piece = &bytes[..count];
        // READ COMMITTED is none.
        let is_commit = |at: usize| piece[at..].starts_with(b"COMMIT") && piece.get(at + 6) != Some(&b'T');
        if (0..count).any(is_commit) {
            let what = *commits.lock().unwrap();
            *mute.lock().unwrap() = what;
            if what == Commits::Lost {
                break;
            }
        }
        if server.write_all(piece).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    pump.join().unwrap();
}

fn pump_back(mut server: TcpStream, mut client: TcpStream, commits: &Mutex<Commits>) {
    let mut bytes = [0_u8; 16 << 10];
    while let Ok(count @ 1..) = server.read(&mut bytes) {
        let what = *commits.lock().unwrap();
        match what {
            Commits::Pass => {
                if client.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            // What the server has answered is done.
            Commits::Unanswered | Commits::Lost => break,
            Commits::Silent => {}
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

const PLANTED: &str = "\
    INSERT INTO instances (id, uuid, hostname, host, project_id, vm_state, deleted) VALUES \
     (2, 'u2', 'gone1', 'compute1', 'p1', 'deleted', 2); \
    INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, instance_uuid, deleted) VALUES \
     (3, '10.0.0.3', 1, TRUE, FALSE, FALSE, 'u2', 0); \
    INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, deleted) VALUES \
     (9, '203.0.113.9', 3, 'p1', 'compute1', FALSE, 0);";

const ASK: Ask = Ask::Release { address: Ipv4Addr::new(203, 0, 113, 9), from_pool: false };

fn apply(url: &DatabaseUrl, timeout: Duration, folder: &Path) -> Result<String, MendError> {
    let change = cloud::plan(url, PATIENCE, &ASK, &Clock::default())?;
    cloud::apply(url, timeout, &ASK, &Clock::default(), &change, folder).map(|applied| applied.id)
}

fn id_of(error: MendError) -> String {
    let MendError::Uncertain { id, why } = error else { panic!("{error:?}") };
    assert!(!why.is_empty());
    id
}

/// The state of the row's record and of the row, after each way in which a commit can end.
fn each_end_is_told(direct: &DatabaseUrl, proxy: &Proxy, url: &DatabaseUrl) {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    run(direct, &format!("{}\n{PLANTED}", lax_schema()));
    let before = dump(direct);
    let undo = |id: &str| cloud::undo(url, PATIENCE, folder.path(), id);

    for commits in [Commits::Unanswered, Commits::Silent] {
        proxy.set(commits);
        let started = Instant::now();
        let timeout = if commits == Commits::Silent { Duration::from_secs(2) } else { PATIENCE };
        let id = id_of(apply(url, timeout, folder.path()).unwrap_err());
        assert!(started.elapsed() < PATIENCE, "{commits:?}");
        proxy.set(Commits::Pass);
        assert_ne!(dump(direct), before, "{commits:?}: the server has committed");
        undo(&id).unwrap();
        assert_eq!(dump(direct), before, "{commits:?}");
    }

    proxy.set(Commits::Lost);
    let id = id_of(apply(url, PATIENCE, folder.path()).unwrap_err());
    proxy.set(Commits::Pass);
    assert_eq!(dump(direct), before, "nobody has told the server");
    let told = undo(&id).unwrap_err();
    assert!(told.to_string().contains("the row is as it was before"), "{told}");

    // The way back ends in the same ways.
    let id = apply(url, PATIENCE, folder.path()).unwrap();
    let changed = dump(direct);
    proxy.set(Commits::Lost);
    assert_eq!(id_of(undo(&id).unwrap_err()), id);
    proxy.set(Commits::Pass);
    assert_eq!(dump(direct), changed);
    proxy.set(Commits::Unanswered);
    assert_eq!(id_of(undo(&id).unwrap_err()), id);
    proxy.set(Commits::Pass);
    assert_eq!(dump(direct), before);
    let told = undo(&id).unwrap_err();
    assert!(told.to_string().contains("it was taken back already"), "{told}");
}

fn through(proxy: &Proxy, server: &Server, name: &str) -> DatabaseUrl {
    let [direct, through] = [server.port, proxy.port].map(|port| format!("@127.0.0.1:{port}/"));
    DatabaseUrl::parse(&server.url(name).replace(&direct, &through)).unwrap()
}

#[test]
fn on_mariadb() {
    let (server, url) = mariadb();
    let proxy = Proxy::start(server.port);
    each_end_is_told(&url, &proxy, &through(&proxy, &server, "nova"));
}

#[test]
fn on_postgresql() {
    let (server, url) = postgresql();
    let proxy = Proxy::start(server.port);
    each_end_is_told(&url, &proxy, &through(&proxy, &server, server.first));
}
