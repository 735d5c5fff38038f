//! The programs that are neither nova's nor in an instance: what runs on the external server, libvirt's
//! dnsmasq, and the metadata service.

use std::fs;
use std::net::{SocketAddrV4, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use novadb::rows::Cloud;
use plumbing::Namespace;

use crate::command::{command, run, start};
use crate::error::{LabError, file};
use crate::layout::{EXTERNAL, Host, LIBVIRT_ADDRESS, METADATA_PORT, PUBLIC_GATEWAY, ZONE};
use crate::nova::dnsmasq;
use crate::place::Lab;
use crate::process;

/// Where the EC2-style metadata of an instance is.
const METADATA_PATH: &str = "2009-04-04/meta-data/instance-id";

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// Writes a host's script for dnsmasq, and the pages that its metadata service serves.
pub(crate) fn write_host_files(lab: &Lab, host: &str) -> Result<(), LabError> {
    let hopline = crate::env::shell_quote(&lab.hopline.display().to_string());
    let state = lab.state.display();
    write_script(
        &lab.host_path(host, "bin/nova-dhcpbridge"),
        &format!("#!/bin/sh\nexec {hopline} lab dhcpbridge --state {state} --host {host} \"$@\"\n"),
    )?;
    write_page(&lab.host_path(host, "metadata").join(METADATA_PATH), "i-00000001")
}

/// The pid file of libvirt's dnsmasq, by which it is told from others.
const LIBVIRT_PID_FILE: &str = "run/libvirt/network/default.pid";

/// What a dnsmasq binds its ports on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Its own addresses, sharing port 67 with whoever does likewise.
    EachInterface,
    /// Every address of the host, shared with nobody.
    Wildcard,
}

/// libvirt's dnsmasq for its default network, with the argument list of libvirt 0.9. Only the user and
/// the log are the lab's: no package has made the user, and no syslogd listens.
pub(crate) fn start_libvirt_dnsmasq(
    lab: &Lab,
    host: &str,
    ns: &Namespace,
    binding: Binding,
) -> Result<(), LabError> {
    let path = |relative: &str| lab.host_path(host, relative).display().to_string();
    let mut arguments = vec![
        "--strict-order".to_owned(),
        format!("--pid-file={}", path(LIBVIRT_PID_FILE)),
        "--conf-file=".to_owned(),
        "--except-interface".to_owned(),
        "lo".to_owned(),
        "--listen-address".to_owned(),
        LIBVIRT_ADDRESS.addr().to_string(),
        "--dhcp-range".to_owned(),
        "192.168.122.2,192.168.122.254".to_owned(),
        format!("--dhcp-leasefile={}", path("lib/libvirt/dnsmasq/default.leases")),
        "--dhcp-lease-max=253".to_owned(),
        "--dhcp-no-override".to_owned(),
        format!("--log-facility={}", path("log/libvirt-dnsmasq.log")),
    ];
    match binding {
        Binding::EachInterface => arguments.insert(1, "--bind-interfaces".to_owned()),
        Binding::Wildcard => {}
    }
    run(ns, dnsmasq::program(lab, arguments), "")
}

/// Ends it.
pub(crate) fn stop_libvirt_dnsmasq(ns: &Namespace) -> Result<(), LabError> {
    process::end_every(&[ns.inode()], |process| process.mentions(LIBVIRT_PID_FILE)).map(drop)
}

/// nova-api-metadata, as far as an instance's boot asks. It listens when this returns.
pub(crate) fn start_metadata(lab: &Lab, host: &Host, ns: &Namespace) -> Result<(), LabError> {
    let root = lab.host_path(&host.name, "metadata").display().to_string();
    let address = metadata_address(host).to_string();
    serve_metadata(lab, host, ns, command("busybox", ["httpd", "-f", "-p", &address, "-h", &root]))
}

/// The same, with a service that fails at whatever it is asked. It is told from others by its address, as the other is.
pub(crate) fn start_failing_metadata(lab: &Lab, host: &Host, ns: &Namespace) -> Result<(), LabError> {
    let script = lab.host_path(&host.name, "bin/failing-metadata");
    write_script(&script, FAILING)?;
    let (script, port) = (script.display().to_string(), METADATA_PORT.to_string());
    let address = metadata_address(host).to_string();
    serve_metadata(lab, host, ns, command("busybox", ["nc", "-ll", "-p", &port, "-e", &script, &address]))
}

/// Reads a request to its empty line and says what nova says where it failed.
const FAILING: &str = "#!/bin/sh
cr=$(printf '\\r')
while read -r line && [ \"$line\" != \"$cr\" ]; do :; done
printf 'HTTP/1.0 500 Internal Server Error\\r\\nContent-Type: text/plain\\r\\n\\r\\nAn unknown error has occurred.\\n'
";

fn serve_metadata(lab: &Lab, host: &Host, ns: &Namespace, command: Command) -> Result<(), LabError> {
    let address = metadata_address(host);
    let log = lab.host_path(&host.name, "log/metadata.log");
    start(ns, command, &log)?;
    let deadline = Instant::now() + PATIENCE;
    let connect = || TcpStream::connect_timeout(&address.into(), PATIENCE).is_ok();
    while !sys::netns::within(&ns.handle, connect).is_ok_and(|listens| listens) {
        if Instant::now() >= deadline {
            let awaited = format!("the metadata service of {} to listen on {address}", host.name);
            return Err(LabError::Timeout { seconds: PATIENCE.as_secs(), awaited, log });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Ends it.
pub(crate) fn stop_metadata(host: &Host, ns: &Namespace) -> Result<(), LabError> {
    let address = metadata_address(host).to_string();
    process::end_every(&[ns.inode()], |process| process.args.contains(&address)).map(drop)
}

fn metadata_address(host: &Host) -> SocketAddrV4 {
    SocketAddrV4::new(host.public().addr(), METADATA_PORT)
}

/// The external server: DNS and the web.
pub(crate) fn start_external(lab: &Lab, cloud: &Cloud, external: &Namespace) -> Result<(), LabError> {
    start_dns(lab, cloud, external)?;
    let root = lab.path("external/www");
    write_page(&root.join("index.html"), "the external server\n")?;
    start_web(external, &root, &lab.path("external/web.log"))
}

/// The external server's DNS, forward and reverse. It knows the floating addresses that instances have now.
pub(crate) fn start_dns(lab: &Lab, cloud: &Cloud, external: &Namespace) -> Result<(), LabError> {
    let address = EXTERNAL.addr();
    let mut arguments = vec![
        format!("--local=/{ZONE}/"),
        "--local=/4.3.2.1.in-addr.arpa/".to_owned(),
        "--local=/113.0.203.in-addr.arpa/".to_owned(),
        format!("--host-record={ZONE},{address}"),
        format!("--host-record=ext.{ZONE},{address}"),
        format!("--host-record=gw.{ZONE},{}", PUBLIC_GATEWAY.addr()),
    ];
    let hosts = lab.shape.hosts();
    let hosts = hosts.iter().map(|host| (host.name.as_str(), host.public().addr()));
    let floating = cloud.floating.iter().filter_map(|floating| {
        let fixed = floating.fixed?;
        let has_it = |instance: &&novadb::rows::Instance| {
            instance.vifs.iter().flat_map(|vif| &vif.fixed).any(|own| own.address == fixed)
        };
        Some((cloud.instances.iter().find(has_it)?.name.as_str(), floating.address))
    });
    let records = hosts.chain(floating);
    arguments.extend(records.map(|(name, ip)| format!("--host-record={name}.{ZONE},{ip}")));
    run_dns(lab, external, arguments)
}

/// The same, knowing nothing: it refuses whatever it is asked.
pub(crate) fn start_dns_without_zones(lab: &Lab, external: &Namespace) -> Result<(), LabError> {
    run_dns(lab, external, Vec::new())
}

fn run_dns(lab: &Lab, external: &Namespace, knowledge: Vec<String>) -> Result<(), LabError> {
    let mut arguments = vec![
        "--bind-interfaces".to_owned(),
        "--conf-file=".to_owned(),
        dns_pid_file(lab),
        format!("--listen-address={}", EXTERNAL.addr()),
        "--except-interface=lo".to_owned(),
        "--no-hosts".to_owned(),
        "--no-resolv".to_owned(),
        format!("--log-facility={}", lab.path("external/dns.log").display()),
    ];
    arguments.extend(knowledge);
    run(external, dnsmasq::program(lab, arguments), "")
}

/// Ends it.
pub(crate) fn stop_dns(lab: &Lab, external: &Namespace) -> Result<(), LabError> {
    let mark = dns_pid_file(lab);
    process::end_every(&[external.inode()], |process| process.mentions(&mark)).map(drop)
}

fn dns_pid_file(lab: &Lab) -> String {
    format!("--pid-file={}", lab.path("external/dns.pid").display())
}

/// A web server on port 80.
pub(crate) fn start_web(ns: &Namespace, root: &Path, log: &Path) -> Result<(), LabError> {
    let root = root.display().to_string();
    start(ns, command("busybox", ["httpd", "-f", "-p", "80", "-h", &root]), log)?;
    Ok(())
}

/// Writes a page, and the folders on the way to it.
pub(crate) fn write_page(path: &Path, text: &str) -> Result<(), LabError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(file("make", parent))?;
    }
    fs::write(path, text).map_err(file("write", path))
}

/// Writes a program that everybody may run.
pub(crate) fn write_script(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(file("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(file("make executable", path))
}
