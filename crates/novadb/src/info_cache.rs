//! `instance_info_caches.network_info`: the list of NICs that nova's API answers from (nova/network/model.py).

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::rows::{Cloud, Instance, Network, Vif};
use crate::sql::{Work, values};
use crate::{DbError, read};

/// Writes an instance's cache anew, as nova does with every change of its addresses.
pub(crate) async fn refresh(work: &mut Work, uuid: &str) -> Result<(), DbError> {
    let cloud = read::cloud(work).await?;
    let Some(instance) = cloud.instances.iter().find(|instance| instance.uuid == uuid) else { return Ok(()) };
    let nics: Vec<Value> = instance.vifs.iter().filter_map(|vif| nic(&cloud, instance, vif)).collect();
    work.execute(
        "UPDATE instance_info_caches SET network_info = ?, updated_at = {now} \
         WHERE instance_uuid = ? AND deleted = 0",
        values![Value::from(nics).to_string(), uuid],
    )
    .await
    .map(drop)
}

fn nic(cloud: &Cloud, instance: &Instance, vif: &Vif) -> Option<Value> {
    let network = cloud.networks.iter().find(|network| network.id == vif.network_id)?;
    let gateway = network.gateway_on(&instance.host).or(network.gateway);
    let ips: Vec<Value> = vif
        .fixed
        .iter()
        .map(|fixed| {
            let floating = cloud.floating.iter().filter(|floating| floating.fixed_ip_id == Some(fixed.id));
            let floating = floating.map(|floating| address(floating.address, "floating")).collect::<Vec<_>>();
            let mut ip = address(fixed.address, "fixed");
            if let Some(ip) = ip.as_object_mut() {
                ip.insert("floating_ips".to_owned(), floating.into());
            }
            ip
        })
        .collect();
    let Network { cidr, dns1, .. } = network;
    let dns: Vec<Value> = dns1.iter().map(|server| address(*server, "dns")).collect();
    Some(json!({
        "id": vif.uuid,
        "address": vif.mac.to_string(),
        "type": "bridge",
        "active": false,
        "devname": null,
        "network": {
            "id": network.uuid,
            "bridge": network.bridge,
            "label": network.label,
            "meta": {
                "tenant_id": network.project, "should_create_bridge": true,
                "should_create_vlan": network.vlan.is_some(),
                "bridge_interface": network.bridge_interface, "multi_host": network.multi_host, "vlan": network.vlan,
            },
            "subnets": [{
                "cidr": cidr.to_string(),
                "version": 4,
                "gateway": gateway.map(|gateway| address(gateway, "gateway")),
                "dns": dns,
                "routes": [],
                "ips": ips,
                "meta": { "dhcp_server": gateway },
            }],
        },
        "meta": {}, "details": {}, "profile": null, "vnic_type": "normal", "qbh_params": null,
        "qbg_params": null, "ovs_interfaceid": null, "preserve_on_delete": false,
    }))
}

fn address(address: Ipv4Addr, kind: &str) -> Value {
    json!({ "address": address, "type": kind, "version": 4, "meta": {} })
}
