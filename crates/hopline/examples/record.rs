//! Records a site as a fixture: `record SITE.toml` prints what `hopline` would conclude from, the
//! facts and what is meant, as JSON.
//!
//! `crates/checks/fixtures` holds what it printed of two healthy clouds. IPv6 routes and sysctls are
//! left out: nothing looks at them, and they are most of the text.

use std::error::Error;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloud::{DatabaseUrl, InstanceEntry};
use collect::{At, MachinePlan};
use model::Mac;
use serde::Deserialize;

#[derive(Deserialize)]
struct Site {
    host: Vec<Host>,
    #[serde(default)]
    instance: Vec<Instance>,
    cloud: Option<Cloud>,
}

#[derive(Deserialize)]
struct Host {
    name: String,
    at: String,
    role: String,
    nova_conf: Option<PathBuf>,
    libvirt: Option<PathBuf>,
    dnsmasq_log: Option<PathBuf>,
    console_logs: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Instance {
    name: String,
    host: Option<String>,
    device: Option<String>,
    mac: Option<Mac>,
    #[serde(default)]
    addresses: Vec<Ipv4Addr>,
    #[serde(default)]
    floating: Vec<Ipv4Addr>,
    at: Option<String>,
}

#[derive(Deserialize)]
struct Cloud {
    database: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name the site file: record SITE.toml")?;
    let site: Site = toml::from_str(&std::fs::read_to_string(Path::new(&path))?)?;
    let hosts = site.host.iter().map(host_plan);
    let insides = site.instance.iter().filter_map(inside_plan);
    let plans: Vec<MachinePlan> = hosts.chain(insides).collect();
    let entries: Vec<InstanceEntry> = site.instance.into_iter().map(entry).collect();
    let collected = collect::site(&plans);
    if let Some((machine, why)) = collected.unreachable.first() {
        return Err(format!("{machine} is out of reach: {why}").into());
    }
    let mut snapshot = collected.snapshot;
    let database = site.cloud.and_then(|c| c.database).map(|url| DatabaseUrl::parse(&url)).transpose()?;
    let records = database.map(|url| cloud::read(&url, Duration::from_secs(5))).transpose()?;
    let intent = cloud::intent(records, &snapshot, &entries);
    for ns in &mut snapshot.netns {
        ns.routes.retain(|route| route.destination.addr().is_ipv4());
        ns.sysctls.retain(|name, _| !name.starts_with("ipv6."));
    }
    let recorded = serde_json::json!({ "snapshot": snapshot, "intent": intent });
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&recorded)?)?;
    Ok(())
}

fn host_plan(host: &Host) -> MachinePlan {
    MachinePlan {
        name: host.name.clone(),
        role: host.role.clone(),
        at: at(&host.at),
        instance: false,
        nova_conf: host.nova_conf.clone(),
        libvirt: host.libvirt.clone(),
        dnsmasq_log: host.dnsmasq_log.clone(),
        console_logs: host.console_logs.clone(),
    }
}

fn inside_plan(instance: &Instance) -> Option<MachinePlan> {
    Some(MachinePlan {
        name: instance.name.clone(),
        role: "instance".to_owned(),
        at: at(instance.at.as_ref()?),
        instance: true,
        nova_conf: None,
        libvirt: None,
        dnsmasq_log: None,
        console_logs: None,
    })
}

fn at(text: &str) -> At {
    text.strip_prefix("netns:").map_or(At::Local, |name| At::Netns(name.to_owned()))
}

fn entry(instance: Instance) -> InstanceEntry {
    InstanceEntry {
        name: instance.name,
        host: instance.host,
        device: instance.device,
        mac: instance.mac,
        addresses: instance.addresses,
        floating: instance.floating,
        at_given: instance.at.is_some(),
    }
}
