//! `hopline lab`: a small real cloud on this machine. What its users and operators do with it is in `cloud`.

mod cloud;

use std::path::{Path, PathBuf};

use lab::realm::Realm;
use lab::{GuestKind, Lab, LabError, Manager, Shape};
use serde_json::json;

use crate::cli_lab::{GuestName, LabArgs, LabCommand, LabName, ManagerName, UpArgs};
use crate::failure::Failure;
use crate::output;
use crate::plan::Format;
use crate::progress;

pub(super) fn run(LabArgs { lab: name, command }: &LabArgs, format: Format) -> Result<(), Failure> {
    let json = format == Format::Json;
    match command {
        LabCommand::Up(wanted) => up(name, wanted),
        LabCommand::Down => down(name),
        LabCommand::Status => status(name, format),
        LabCommand::Env => env(name, json),
        LabCommand::Faults => faults(format),
        LabCommand::Break { fault } => break_fault(name, fault),
        LabCommand::Heal { fault } => heal(name, fault.as_deref()),
        LabCommand::Hold => lab::realm::hold().map_err(|error| Failure::of(&error)),
        LabCommand::Dhcpbridge { host, arguments } => dhcpbridge(name, host, arguments),
        LabCommand::Cloud(command) => cloud::run(&open(name)?, command, json),
    }
}

fn up(name: &LabName, wanted: &UpArgs) -> Result<(), Failure> {
    let hopline = std::env::current_exe().map_err(|e| {
        Failure::new(format!("cannot tell where hopline itself is, which the lab calls: {e}"))
    })?;
    // Before the progress, which has a thread.
    let realm = lab::realm::make(&hopline).map_err(|error| Failure::of(&error))?;
    let _progress = progress::start("building the lab");
    let lab = lab::up(&options(name, wanted, hopline)).map_err(|error| Failure::of(&error))?;
    realm.map_or(Ok(()), Realm::keep).map_err(|error| Failure::of(&error))?;
    let site = lab.site_file();
    output::print(|out| {
        writeln!(out, "lab {} is up", lab.name)?;
        writeln!(out, "  site file  {}", site.display())?;
        writeln!(out, "  diagnose   hopline diagnose web1 --site {}", site.display())?;
        writeln!(out, "  break it   hopline lab break tap-not-enslaved --name {}", lab.name)?;
        writeln!(out, "  remove it  hopline lab down --name {}", lab.name)
    })
}

fn options(name: &LabName, wanted: &UpArgs, hopline: PathBuf) -> lab::Options {
    lab::Options {
        name: name.name.clone(),
        state: name.state.clone(),
        hopline,
        shape: Shape {
            manager: match wanted.manager {
                ManagerName::FlatDhcp => Manager::FlatDhcp,
                ManagerName::Vlan => Manager::Vlan,
            },
            hosts: wanted.hosts,
            multi_host: !wanted.no_multi_host,
            share_address: wanted.share_address,
            guest: match wanted.guest {
                GuestName::Netns => GuestKind::Netns,
                GuestName::Qemu => GuestKind::Qemu,
            },
        },
        instances: wanted.instances,
        database: wanted.database.clone(),
    }
}

fn down(name: &LabName) -> Result<(), Failure> {
    let _progress = progress::start("removing the lab");
    let removed = lab::down(&name.name, name.state.as_deref()).map_err(|errors| several(&errors))?;
    output::print(|out| {
        if removed.is_nothing() {
            return writeln!(out, "there is no lab {}; nothing to remove", name.name);
        }
        let (namespaces, processes) = (removed.namespaces.len(), removed.processes);
        writeln!(out, "lab {} is removed: {namespaces} namespaces, {processes} processes", name.name)?;
        removed.left.iter().try_for_each(|left| writeln!(out, "  left behind: {left}"))
    })
}

fn status(name: &LabName, format: Format) -> Result<(), Failure> {
    let status = lab::status(&name.name, name.state.as_deref()).map_err(|error| Failure::of(&error))?;
    let condition = match status.condition {
        lab::Condition::Absent => "absent",
        lab::Condition::Half => "half there",
        lab::Condition::Up => "up",
    };
    if format == Format::Json {
        return output::json(&json!({
            "name": status.name, "condition": condition, "state": status.state,
            "namespaces": status.namespaces, "processes": status.processes,
            "holder": status.holder, "faults": status.faults,
        }));
    }
    let advice = match status.condition {
        lab::Condition::Half => "; `hopline lab down` removes it",
        lab::Condition::Absent | lab::Condition::Up => "",
    };
    let state = status.state.as_ref().map(|state| state.display().to_string());
    let (namespaces, processes) = (status.namespaces.join(" "), status.processes.to_string());
    let faults = if status.faults.is_empty() { "none".to_owned() } else { status.faults.join(" ") };
    let mut rows: Vec<(&str, &str)> = state.iter().map(|state| ("state", state.as_str())).collect();
    if !status.namespaces.is_empty() {
        rows.extend([("namespaces", namespaces.as_str()), ("processes", processes.as_str())]);
    }
    let (shape, style) = ((2, "namespaces".len()), output::folding(format));
    output::print(|out| {
        writeln!(out, "lab {}: {condition}{advice}", status.name)?;
        report::listing(rows.into_iter(), shape, &style, out)?;
        // A command is typed as it stands.
        if let Some(holder) = status.holder {
            writeln!(out, "  enter it    {} COMMAND", lab::enter_command(holder))?;
        }
        report::listing([("faults", faults.as_str())].into_iter(), shape, &style, out)
    })
}

fn env(name: &LabName, json: bool) -> Result<(), Failure> {
    let lab = open(name)?;
    let pairs = lab::env(&lab).map_err(|error| Failure::of(&error))?;
    if json {
        let pairs = pairs.into_iter().map(|(name, value)| (name, value.into()));
        return output::json(&serde_json::Value::Object(pairs.collect()));
    }
    output::print(|out| {
        pairs.iter().try_for_each(|(variable, value)| writeln!(out, "{variable}={}", lab::shell_quote(value)))
    })
}

fn faults(format: Format) -> Result<(), Failure> {
    let faults = lab::faults();
    if format == Format::Json {
        let entry = |fault: &lab::Fault| json!({ "code": fault.code, "summary": fault.summary });
        return output::json(&faults.iter().map(entry).collect());
    }
    let rows: Vec<(&str, &str)> = faults.iter().map(|fault| (fault.code, fault.summary)).collect();
    output::listing(&rows, format)
}

fn break_fault(name: &LabName, code: &str) -> Result<(), Failure> {
    let _progress = progress::start("injecting the fault");
    let lab = open(name)?;
    let fault = lab::break_fault(&lab, code).map_err(|error| Failure::of(&error))?;
    output::print(|out| writeln!(out, "injected {}: {}", fault.code, fault.summary))
}

fn heal(name: &LabName, code: Option<&str>) -> Result<(), Failure> {
    let _progress = progress::start("healing the lab");
    let lab = open(name)?;
    let healed = lab::heal(&lab, code).map_err(|errors| several(&errors))?;
    output::print(|out| match healed.as_slice() {
        [] => writeln!(out, "no fault is in; nothing to heal"),
        healed => writeln!(out, "healed {}", healed.join(" ")),
    })
}

fn dhcpbridge(name: &LabName, host: &str, arguments: &[String]) -> Result<(), Failure> {
    let state = name.state.as_deref().unwrap_or(Path::new("."));
    let answer = lab::dhcpbridge(state, host, arguments).map_err(|error| Failure::of(&error))?;
    output::print(|out| write!(out, "{answer}"))
}

fn open(name: &LabName) -> Result<Lab, Failure> {
    let state = name.state.as_deref();
    let status = lab::status(&name.name, state).map_err(|error| Failure::of(&error))?;
    if status.condition == lab::Condition::Half {
        return Err(Failure::new(format!("lab {} is only half there", name.name))
            .hint(format!("hopline lab down --name {} removes what there is", name.name)));
    }
    lab::open(&name.name, state).map_err(|error| Failure::of(&error))
}

/// Clean-up goes on after a failure, so there may be several.
fn several(errors: &[LabError]) -> Failure {
    let messages: Vec<String> = errors.iter().map(|error| Failure::of(error).to_string()).collect();
    Failure::new(messages.join("\n"))
}
