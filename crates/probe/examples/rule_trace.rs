//! Which rules of a namespace an echo meets: `rule_trace NETNS SOURCE DESTINATION ID` traces the request
//! and the reply, says `tracing`, and prints the rules met once its input ends.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::process::ExitCode;

use collect::{At, MachinePlan};
use probe::rule_trace::{self, Flow};
use sys::netns::NetnsFd;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rule_trace: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let [name, source, destination, id] = arguments else {
        return Err("usage: rule_trace NETNS SOURCE DESTINATION ID".into());
    };
    let netns = NetnsFd::named(name)?;
    let request = Flow::echo(source.parse::<IpAddr>()?, destination.parse::<IpAddr>()?, id.parse::<u16>()?);
    let trace = rule_trace::start(&netns, &[request, request.reply()])?;
    println!("tracing");
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    let traced = trace.finish()?;
    let collected = collect::site(&[machine(name)]);
    let read = collected.snapshot.main_netns(name).ok_or("the rules could not be read")?;
    let mut text = String::new();
    for met in rule_trace::met(&traced.events, &read.ruleset, &traced.handles) {
        let line = match &met.rule {
            Ok(rule) => format!("{} {}: {}", rule.table, rule.chain_path(), rule.text),
            Err(unnamed) => unnamed.to_string(),
        };
        text.push_str(&format!("{:08x} {line} => {}\n", met.id, met.verdict));
    }
    Ok(text)
}

fn machine(name: &str) -> MachinePlan {
    MachinePlan {
        name: name.to_owned(),
        role: "router".to_owned(),
        at: At::Netns(name.to_owned()),
        instance: false,
        nova_conf: None,
        libvirt: None,
        dnsmasq_log: None,
        console_logs: None,
    }
}
