//! The lab without the rest of hopline: `lab up|down|status|env|faults|break CODE|heal [CODE]`,
//! with `--name NAME` and `--state DIR` anywhere.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(messages) => {
            for message in messages {
                eprintln!("lab: {message}");
            }
            ExitCode::from(2)
        }
    }
}

fn run(mut args: Vec<String>) -> Result<String, Vec<String>> {
    // The wrapper that dnsmasq runs calls `HOPLINE lab dhcpbridge ...`.
    if args.first().is_some_and(|arg| arg == "lab") {
        args.remove(0);
    }
    let state = take_option(&mut args, "--state").map(PathBuf::from);
    let name = take_option(&mut args, "--name").unwrap_or_else(|| "lab".to_owned());
    command(&args, &name, state.as_deref())
}

fn command(args: &[String], name: &str, state: Option<&Path>) -> Result<String, Vec<String>> {
    let one = |e: lab::LabError| vec![e.to_string()];
    let many = |errors: Vec<lab::LabError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["up"] => {
            let hopline = std::env::current_exe().map_err(|e| vec![e.to_string()])?;
            let options =
                lab::Options { state: state.map(Path::to_owned), ..lab::Options::small(name, hopline) };
            lab::up(&options).map(|lab| format!("up: {}\n", lab.state.display())).map_err(one)
        }
        ["down"] => lab::down(name, state).map(|removed| format!("{removed:?}\n")).map_err(many),
        ["status"] => lab::status(name, state).map(|status| format!("{status:?}\n")).map_err(one),
        ["env"] => {
            let lab = lab::open(name, state).map_err(one)?;
            let line = |(key, value): (String, String)| format!("{key}={}\n", lab::shell_quote(&value));
            Ok(lab::env(&lab).map_err(one)?.into_iter().map(line).collect())
        }
        ["faults"] => {
            let line = |fault: &lab::Fault| format!("{}: {}\n", fault.code, fault.summary);
            Ok(lab::faults().iter().map(line).collect())
        }
        ["break", code] => {
            let lab = lab::open(name, state).map_err(one)?;
            lab::break_fault(&lab, code).map(|fault| format!("{}\n", fault.summary)).map_err(one)
        }
        ["heal"] => heal(name, state, None).map_err(many),
        ["heal", code] => heal(name, state, Some(code)).map_err(many),
        ["dhcpbridge", "--host", host, rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(|arg| (*arg).to_owned()).collect();
            lab::dhcpbridge(state.unwrap_or(Path::new("")), host, &rest).map_err(one)
        }
        _ => Err(vec![format!("unknown command {args:?}")]),
    }
}

fn heal(name: &str, state: Option<&Path>, code: Option<&str>) -> Result<String, Vec<lab::LabError>> {
    let lab = lab::open(name, state).map_err(|e| vec![e])?;
    lab::heal(&lab, code).map(|healed| format!("healed: {}\n", healed.join(", ")))
}

fn take_option(args: &mut Vec<String>, option: &str) -> Option<String> {
    let at = args.iter().position(|arg| arg == option)?;
    args.remove(at);
    (at < args.len()).then(|| args.remove(at))
}
