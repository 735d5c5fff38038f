use model::finding::Outcome;

use crate::fixture::{broken, codes, healthy};

#[test]
fn a_gateway_that_refuses_to_be_pinged_is_not_a_fault() {
    let mut cloud = healthy();
    let refusal = |rule: &mut model::netfilter::NfRule| {
        rule.text = "-A INPUT -p icmp -j DROP".to_owned();
        rule.matches =
            vec![model::netfilter::Match { negated: false, test: model::netfilter::Test::Protocol(1) }];
        rule.action = model::netfilter::Action::Drop;
    };
    let input = cloud.chain("compute1", "filter", "INPUT");
    let mut rule = input.rules[0].clone();
    refusal(&mut rule);
    input.rules.insert(0, rule);
    assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
}

#[test]
fn nor_is_one_that_ignores_pings_of_everybody() {
    let mut cloud = healthy();
    cloud.sysctl("compute1", "ipv4.icmp_echo_ignore_all", "1");
    assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
}

#[test]
fn anothers_security_group_is_not_this_instances_fault() {
    let mut cloud = healthy();
    // Without the rule for the whole network and the one for ICMP, web2 lets nobody ping it.
    let chain = cloud.chain("compute1", "filter", "nova-compute-inst-2");
    chain.rules.retain(|r| !r.text.contains("-s 10.0.0.0/16") && !r.text.contains("-p icmp"));
    assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
}

#[test]
fn an_instance_that_is_switched_off_is_missed_by_nobody() {
    let mut cloud = healthy();
    let off = cloud.intent.instances.iter().position(|i| i.name == "web2").unwrap();
    cloud.intent.instances[off].vm_state = Some("stopped".to_owned());
    cloud.delete_link("compute1", "vnet1");
    assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    assert_eq!(codes(&cloud.check("compute1")), Vec::<String>::new());
    let diagnosis = cloud.diagnose("web2");
    assert_eq!((diagnosis.outcome, diagnosis.findings.len()), (Outcome::Undetermined, 0));
    let [gap] = diagnosis.coverage.gaps.as_slice() else { panic!("{:?}", diagnosis.coverage.gaps) };
    assert!(gap.why.contains("stopped"), "{gap:?}");
    // One that is meant to run is missed.
    cloud.intent.instances[off].vm_state = Some("active".to_owned());
    assert_eq!(codes(&cloud.diagnose("web2")), ["tap-missing compute1//vnet1"]);
}

#[test]
fn whether_it_answers_is_asked_of_its_host_where_nobody_else_can_tell() {
    let asks = |cloud: &crate::fixture::Cloud, instance: &str| {
        let found = cloud.diagnose(instance);
        found.paths.iter().any(|path| {
            path.hops.iter().any(|hop| hop.packet.starts_with("10.0.0.42 > 10.0.2.25 ICMP echo request"))
        })
    };
    let mut cloud = healthy();
    assert!(!asks(&cloud, "web2"), "it can be entered");
    cloud.close("web2");
    assert!(asks(&cloud, "web2"));
    // Its groups let nobody ping it, which is no fault.
    let chain = cloud.chain("compute1", "filter", "nova-compute-inst-2");
    chain.rules.retain(|r| !r.text.contains("-s 10.0.0.0/16") && !r.text.contains("-p icmp"));
    assert!(!asks(&cloud, "web2"));
}

#[test]
fn without_nova_nobody_is_missed_who_never_served() {
    let mut cloud = healthy();
    cloud.intent.from_database = false;
    let host = cloud.host("compute1");
    host.nova = None;
    host.dnsmasq.clear();
    let ns = cloud.netns("compute1");
    ns.ruleset.tables.clear();
    cloud.intent.instances.iter_mut().flat_map(|i| &mut i.vifs).for_each(|v| v.floating.clear());
    let found = codes(&cloud.diagnose("web2"));
    assert!(!found.iter().any(|code| code.contains("dnsmasq")), "{found:?}");
}

#[test]
fn another_instances_dead_tap_is_told_as_its_own() {
    let cloud = broken("tap-down");
    assert_eq!(codes(&cloud.diagnose("web2")), ["tap-down compute1//vnet0"]);
}

/// A site that names nobody outside, whose router next to the cloud is read.
fn without_outside() -> crate::fixture::Cloud {
    let mut cloud = healthy();
    let is_of_site = |name: &str| ["compute1", "gw", "fabric"].contains(&name);
    cloud.snapshot.hosts.retain(|host| is_of_site(&host.name));
    cloud.snapshot.netns.retain(|ns| ns.instance || is_of_site(&ns.machine));
    cloud
}

#[test]
fn a_router_that_refuses_to_be_pinged_is_not_a_fault() {
    let mut cloud = without_outside();
    let ping = model::netfilter::Match { negated: false, test: model::netfilter::Test::Protocol(1) };
    let rule = crate::fixture::drops("-A INPUT -p icmp -j DROP", vec![ping]);
    cloud.netns("gw").ruleset.tables.push(model::netfilter::Table {
        sets: Vec::new(),
        family: model::netfilter::Family::Ip,
        name: "filter".to_owned(),
        dialect: model::netfilter::Dialect::IptablesNft,
        chains: vec![crate::fixture::base_chain(model::netfilter::Hook::Input, 0, rule)],
    });
    assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
}
