//! A small cluster in which everything works, for tests to break one thing at a time.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::facts::Facts;

pub(crate) fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn node(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": {}})
}

pub(crate) fn speaker(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "status": {
            "version": "v0.1.0",
            "interfaces": [
                {"name": "eth0", "index": 2, "mac": "02:00:00:00:00:01"},
                {"name": "docker0", "reasonNotUsed": "is down"},
            ],
            "membership": {"view": 3, "members": ["n1", "n2", "n3"], "quorum": true},
            "peers": [
                {"node": if name == "n1" {"n2"} else {"n1"}, "state": "Alive"},
                {"node": "n3", "state": "Silent"},
            ],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Synced", "message": "ready",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        },
    })
}

/// Service shop/web: 192.0.2.240 from pool lan, announced by n1, served from n2.
pub(crate) fn service() -> Value {
    json!({
        "metadata": {
            "name": "web", "namespace": "shop", "labels": {"app": "web"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"heraldlb.io/ip-allocated-from-pool": "lan"},
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "selector": {"app": "web"}, "ports": [{"port": 80, "protocol": "TCP"}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.240", "ipMode": "VIP"}]}},
    })
}

pub(crate) fn slice() -> Value {
    json!({
        "metadata": {
            "name": "web-1", "namespace": "shop",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"], "nodeName": "n2", "conditions": {"ready": true}}],
    })
}

pub(crate) fn announcement() -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "status": {
            "addresses": [{"address": "192.0.2.240", "pool": "lan"}],
            "layer2": [{"address": "192.0.2.240", "node": "n1", "interfaces": ["eth0"]}],
        },
    })
}

pub(crate) fn pool(name: &str, addresses: &[&str]) -> Value {
    json!({
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"addresses": addresses},
    })
}

pub(crate) fn working() -> Cluster {
    Cluster {
        services: vec![object(service())],
        slices: vec![object(slice())],
        namespaces: vec![object(json!({"metadata": {"name": "shop"}}))],
        nodes: vec![object(node("n1")), object(node("n2"))],
        pools: vec![object(pool("lan", &["192.0.2.240-192.0.2.250"]))],
        l2_advertisements: vec![object(json!({"metadata": {"name": "lan"}, "spec": {}}))],
        speakers: vec![object(speaker("n1")), object(speaker("n2"))],
        announcements: vec![object(announcement())],
        controller_lease: Some(object(json!({
            "metadata": {"name": "herald-controller"},
            "spec": {"holderIdentity": "herald-controller-a"},
        }))),
        ..Cluster::default()
    }
}

/// Pool routed is announced to routers alone: Service shop/web has 198.51.100.1 from it, n1 and n2 have
/// sessions with tor-a, of which that of n2 is not established.
pub(crate) fn routed() -> Cluster {
    let session = |node: &str, session: Value| {
        let mut value = speaker(node);
        value["status"]["bgpSessions"] = json!([session]);
        object(value)
    };
    let mut service = service();
    service["status"]["loadBalancer"]["ingress"][0]["ip"] = json!("198.51.100.1");
    service["metadata"]["annotations"] = json!({"heraldlb.io/ip-allocated-from-pool": "routed"});
    Cluster {
        services: vec![object(service)],
        pools: vec![object(pool("routed", &["198.51.100.0/28"]))],
        l2_advertisements: Vec::new(),
        bgp_advertisements: vec![object(json!({"metadata": {"name": "routed"}, "spec": {}}))],
        bgp_peers: vec![object(json!({
            "metadata": {"name": "tor-a"},
            "spec": {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1"},
        }))],
        speakers: vec![
            session(
                "n1",
                json!({
                    "peer": "tor-a", "state": "Established", "openedBy": "Node", "since": "2026-01-01T00:00:00Z",
                    "prefixesWished": 1, "prefixesSent": 1,
                }),
            ),
            session(
                "n2",
                json!({
                    "peer": "tor-a", "state": "Active", "since": "2026-01-01T00:01:00Z",
                    "prefixesWished": 1, "prefixesSent": 0,
                    "lastError": "192.0.2.1 refuses connections to port 179: is BGP running there?",
                }),
            ),
        ],
        announcements: vec![object(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "status": {
                "addresses": [{"address": "198.51.100.1", "pool": "routed"}],
                "bgp": [{"node": "n1", "peers": ["tor-a"]}],
            },
        }))],
        ..working()
    }
}

pub(crate) fn facts(cluster: Cluster) -> Facts {
    Facts::new(cluster, &herald_config::service::Class::default())
}
