//! What a database has of web1.

use model::intent::{Floating, Instance, Intent, Network, SecurityGroup, SecurityGroupRule, Vif};

/// Read from nova's tables; web1 is its first instance. Its NIC of libvirt's, without an address, is in no table.
pub fn recorded() -> Intent {
    let tcp = |port: i32, cidr: &str| SecurityGroupRule {
        protocol: Some("tcp".to_owned()),
        from_port: Some(port),
        to_port: Some(port),
        cidr: cidr.parse().ok(),
        group: None,
    };
    let of_group = SecurityGroupRule { group: Some("monitoring".to_owned()), ..SecurityGroupRule::default() };
    let group = |name: &str, rules: Vec<SecurityGroupRule>| SecurityGroup { name: name.to_owned(), rules };
    let fixed = "10.0.2.24".parse().unwrap();
    let floating = Floating {
        id: None,
        address: "203.0.113.30".parse().unwrap(),
        fixed,
        host: Some("compute1".to_owned()),
    };
    let vif = Vif {
        mac: "fa:16:3e:00:00:11".parse().ok(),
        network: Some(1),
        fixed: vec![fixed],
        floating: vec![floating],
        bridge: Some("br100".to_owned()),
        ..Vif::default()
    };
    let of_libvirt = Vif { mac: "52:54:00:00:00:99".parse().ok(), ..Vif::default() };
    let many = (8000..8030).map(|port| tcp(port, "198.51.100.0/24")).collect();
    let instance = Instance {
        id: Some(7),
        uuid: Some("0b5f6f0e-6a0e-4f4c-9f1f-3d9a5f0c9a11".to_owned()),
        name: "web1".to_owned(),
        host: "compute2".to_owned(),
        recorded_host: Some("compute1".to_owned()),
        vm_state: Some("active".to_owned()),
        project: Some("acme".to_owned()),
        vifs: vec![vif, of_libvirt],
        security_groups: vec![
            group("default", vec![tcp(22, "0.0.0.0/0"), of_group]),
            group("closed", Vec::new()),
            group("many", many),
        ],
        ..Instance::default()
    };
    let other = Network { id: Some(1), label: "another's".to_owned(), ..Network::default() };
    let network = Network {
        id: Some(2),
        label: "private".to_owned(),
        cidr: "10.0.0.0/16".parse().ok(),
        bridge: Some("of-nova-conf".to_owned()),
        gateway: "10.0.0.42".parse().ok(),
        dhcp_start: "10.0.2.2".parse().ok(),
        multi_host: true,
        ..Network::default()
    };
    Intent {
        from_database: true,
        instances: vec![instance],
        networks: vec![other, network],
        ..Intent::default()
    }
}

/// The same with so many instances: web1, web2 and so on.
pub fn several(count: u64) -> Intent {
    let mut intent = recorded();
    let web1 = intent.instances.remove(0);
    let one = |number: u64| Instance { id: Some(number), name: format!("web{number}"), ..web1.clone() };
    intent.instances = (1..=count).map(one).collect();
    intent
}

/// The same where every name is this.
pub fn recorded_as(evil: &str) -> Intent {
    let mut intent = recorded();
    let evil = || Some(evil.to_owned());
    for instance in &mut intent.instances {
        instance.name = evil().unwrap();
        (instance.recorded_host, instance.vm_state, instance.project) = (evil(), evil(), evil());
        for floating in instance.vifs.iter_mut().flat_map(|vif| &mut vif.floating) {
            floating.host = evil();
        }
        for group in &mut instance.security_groups {
            group.name = evil().unwrap();
            group.rules.iter_mut().for_each(|rule| (rule.protocol, rule.group) = (evil(), evil()));
        }
    }
    intent.networks.iter_mut().for_each(|network| (network.label, network.host) = (evil().unwrap(), evil()));
    intent
}
