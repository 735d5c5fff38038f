//! Names in a site file: each machine has its own, and instances stand on hosts that exist.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{SiteTable, Source};
use crate::failure::Failure;
use crate::nearest::meant;

pub(super) fn check(source: &Source<'_>, table: &SiteTable) -> Result<(), Failure> {
    if table.host.is_empty() {
        return Err(source.failure(&(0..0), "it names no host").hint("add a [[host]] with `name` and `at`"));
    }
    let mut names = BTreeSet::new();
    let hosts = table.host.iter().map(|host| &host.name);
    for name in hosts.chain(table.instance.iter().map(|instance| &instance.name)) {
        sound(source, name)?;
        if !names.insert(name.get_ref().as_str()) {
            let what = format!("the name `{}` is given twice", name.get_ref());
            return Err(source.failure(&name.span(), what).hint("give each host and instance its own name"));
        }
    }
    let mut hosts_of_instances = table.instance.iter().filter_map(|instance| instance.host.as_ref());
    hosts_of_instances.try_for_each(|host| host_exists(source, table, host))
}

/// A name stands in `HOST/NETNS/DEVICE` and on terminals.
fn sound(source: &Source<'_>, name: &Spanned<String>) -> Result<(), Failure> {
    let text = name.get_ref();
    let what = if text.is_empty() {
        "a name is empty".to_owned()
    } else if text.contains('/') || *report::clean(text) != **text {
        format!("the name `{text}` holds a slash or a character that does not print")
    } else {
        return Ok(());
    };
    Err(source.failure(&name.span(), what).hint("names are letters, digits and marks other than `/`"))
}

fn host_exists(source: &Source<'_>, table: &SiteTable, host: &Spanned<String>) -> Result<(), Failure> {
    let known = || table.host.iter().map(|host| host.name.get_ref().as_str());
    if known().any(|name| name == host.get_ref()) {
        return Ok(());
    }
    let failure = source.failure(&host.span(), format!("there is no host `{}`", host.get_ref()));
    Err(match meant(host.get_ref(), known()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("the file's hosts are: {}", known().collect::<Vec<_>>().join(", "))),
    })
}
