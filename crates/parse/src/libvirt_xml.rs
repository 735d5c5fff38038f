//! libvirt's domain XML: persistent (`/etc/libvirt/qemu/NAME.xml`), live with its status
//! (`/run/libvirt/qemu/NAME.xml`), or what `virsh dumpxml` prints (libvirt.org/formatdomain).

use model::service::{Domain, DomainInterface};
use roxmltree::{Document, Node, ParsingOptions};

use crate::Problem;

/// More nodes than any domain has; a file beyond it is refused rather than held in memory.
const NODES_MAX: u32 = 200_000;

/// Reads one domain. `file` is where it was found.
///
/// Document type declarations are refused, so entities cannot swell.
pub fn parse(file: &str, text: &str) -> Result<Domain, Problem> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| unreadable(&error, text))?;
    let root = document.root_element();
    let has_status = root.has_tag_name("domstatus");
    let domain = if has_status { child(root, "domain") } else { Some(root) };
    let Some(domain) = domain.filter(|node| node.has_tag_name("domain")) else {
        return Err(problem_at(&document, root, "expected a `<domain>`, or a `<domstatus>` that holds one"));
    };
    let Some(name) = text_of(domain, "name") else {
        return Err(problem_at(&document, domain, "this domain has no `<name>`"));
    };
    let in_run = ["/run/libvirt/", "/var/run/libvirt/"].iter().any(|folder| file.starts_with(folder));
    let devices = child(domain, "devices");
    // A container's process is not what holds its NIC.
    let is_machine = matches!(domain.attribute("type"), Some("kvm" | "qemu"));
    let pid = root.attribute("pid").filter(|_| has_status && is_machine).and_then(|pid| pid.parse().ok());
    Ok(Domain {
        name,
        uuid: text_of(domain, "uuid"),
        // libvirt gives a domain an id while it runs, and at no other time.
        live: has_status || in_run || domain.has_attribute("id"),
        state: root.attribute("state").filter(|_| has_status).map(str::to_owned),
        // 0 stands for none.
        pid: pid.filter(|pid| *pid != 0),
        file: file.to_owned(),
        display_name: display_name(domain),
        interfaces: devices.iter().flat_map(|d| children(*d, "interface")).map(interface).collect(),
        console_log: devices.and_then(console_log),
    })
}

fn unreadable(error: &roxmltree::Error, text: &str) -> Problem {
    let is_whole = ["</domain>", "</domstatus>"].iter().any(|end| text.trim_end().ends_with(end));
    if is_whole {
        let place = error.pos();
        return Problem { line: place.row, column: place.col, what: format!("not well-formed XML: {error}") };
    }
    let last_line = text.lines().last().unwrap_or_default();
    let what = format!("the XML is truncated: it ends before `</domain>` ({error})");
    Problem::at(
        text.lines().count().saturating_sub(1),
        last_line,
        last_line.get(last_line.len()..).unwrap_or_default(),
        what,
    )
}

fn problem_at(document: &Document<'_>, node: Node<'_, '_>, what: &str) -> Problem {
    let place = document.text_pos_at(node.range().start);
    Problem { line: place.row, column: place.col, what: what.to_owned() }
}

fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

fn text_of(node: Node<'_, '_>, name: &'static str) -> Option<String> {
    let text = child(node, name)?.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn attribute(node: Node<'_, '_>, element: &'static str, name: &str) -> Option<String> {
    child(node, element)?.attribute(name).map(str::to_owned)
}

/// `<nova:instance><nova:name>` of the metadata, in any version of nova's namespace.
fn display_name(domain: Node<'_, '_>) -> Option<String> {
    const NOVA: &str = "http://openstack.org/xmlns/libvirt/nova/";
    let is_novas = |node: &Node<'_, '_>, name| {
        node.tag_name().name() == name && node.tag_name().namespace().is_some_and(|ns| ns.starts_with(NOVA))
    };
    let instance = child(domain, "metadata")?.children().find(|node| is_novas(node, "instance"))?;
    instance.children().find(|node| is_novas(node, "name"))?.text().map(|name| name.trim().to_owned())
}

fn interface(node: Node<'_, '_>) -> DomainInterface {
    DomainInterface {
        kind: node.attribute("type").unwrap_or_default().to_owned(),
        mac: attribute(node, "mac", "address").and_then(|mac| mac.parse().ok()),
        bridge: attribute(node, "source", "bridge"),
        target: attribute(node, "target", "dev"),
        model: attribute(node, "model", "type"),
        filter: attribute(node, "filterref", "filter"),
        link_down: attribute(node, "link", "state").as_deref() == Some("down"),
    }
}

/// The first serial port's file: a port of type `file`, or the `<log>` of a port of another type.
/// nova writes one or the other, by what libvirt and QEMU can do (nova `virt/libvirt/driver.py`).
fn console_log(devices: Node<'_, '_>) -> Option<String> {
    let ports = children(devices, "serial").chain(children(devices, "console"));
    let mut files = ports.filter_map(|port| {
        let source =
            if port.attribute("type") == Some("file") { attribute(port, "source", "path") } else { None };
        source.or_else(|| attribute(port, "log", "file"))
    });
    files.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_file_is_told_with_the_place_where_it_ends() {
        for text in [
            "<domain>\n  <name>a</name>\n  <uu",
            "<domain>\n  <name>a</name>\n <a>",
            "<domain>\n<a x='1\n   ",
        ] {
            let problem = parse("a.xml", text).unwrap_err();
            assert!(problem.what.contains("truncated"), "{problem}");
            assert_eq!(problem.line, 3, "{problem}");
        }
        assert_eq!(parse("a.xml", "").unwrap_err().line, 1);
    }

    #[test]
    fn entities_are_refused() {
        let bomb = "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>\n<domain><name>&b;</name></domain>";
        let problem = parse("a.xml", bomb).unwrap_err();
        assert!(problem.what.contains("DTD"), "{problem}");
    }

    #[test]
    fn what_is_no_domain_is_refused_at_its_place() {
        let problem = parse("a.xml", "<!-- a network -->\n <network><name>a</name></network>").unwrap_err();
        assert_eq!((problem.line, problem.column), (2, 2));
        assert!(parse("a.xml", "<domstatus state='running'/>").is_err());
        assert!(parse("a.xml", "<domain><uuid>7</uuid></domain>").is_err());
    }

    #[test]
    fn only_a_running_domain_is_live() {
        let live = |file, text| parse(file, text).unwrap().live;
        assert!(live("a.xml", "<domstatus><domain id='3'><name>a</name></domain></domstatus>"));
        assert!(live("a.xml", "<domain id='3'><name>a</name></domain>"));
        assert!(live("/run/libvirt/qemu/a.xml", "<domain><name>a</name></domain>"));
        assert!(!live("/etc/libvirt/qemu/a.xml", "<domain><name>a</name></domain>"));
    }

    #[test]
    fn what_a_running_domain_does_and_its_process_are_libvirts_word() {
        let status = |kind, pid| {
            let domain = format!("<domain type='{kind}' id='3'><name>a</name></domain>");
            parse("a.xml", &format!("<domstatus state='paused' pid='{pid}'>{domain}</domstatus>")).unwrap()
        };
        assert_eq!(status("kvm", "812").state.as_deref(), Some("paused"));
        assert_eq!(status("qemu", "812").pid, Some(812));
        assert_eq!(status("lxc", "812").pid, None, "a container's NIC is not its process's");
        assert_eq!(status("qemu", "0").pid, None);
        let defined = parse("a.xml", "<domain type='kvm' state='x' pid='1'><name>a</name></domain>").unwrap();
        assert_eq!((defined.state, defined.pid), (None, None));
    }

    #[test]
    fn deep_nesting_is_survived() {
        let deep =
            format!("<domain><name>a</name>{}{}</domain>", "<a>".repeat(90_000), "</a>".repeat(90_000));
        let _ = parse("a.xml", &deep);
    }
}
