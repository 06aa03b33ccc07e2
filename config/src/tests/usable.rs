//! Addresses of pools that no Service is given, or that are not what their author may think.

use std::sync::Arc;

use herald_model::service::ServiceKey;
use k8s_openapi::api::core::v1::Node;

use super::*;
use crate::{InfrastructureCache, refused_addresses};

/// Two nodes of 10.73.0.0/24 with InternalIPs .11 and .12, as their speakers and the API server say.
fn objects(pools: Vec<IPAddressPool>) -> Objects {
    let node = |last: u8| -> (Arc<Node>, Arc<herald_crds::Speaker>) {
        let (name, address) = (format!("n{last}"), format!("10.73.0.{last}"));
        let node = json!({
            "metadata": {"name": name},
            "status": {"addresses": [{"type": "InternalIP", "address": address}]},
        });
        let speaker = json!({
            "metadata": {"name": name},
            "status": {"interfaces": [{"name": "eth0", "addresses": [format!("{address}/24")]}]},
        });
        let node = serde_json::from_value(node).unwrap();
        (
            Arc::new(node),
            Arc::new(serde_json::from_value(speaker).unwrap()),
        )
    };
    let nodes = [node(11), node(12)];
    let nodes = nodes.iter().map(|(node, speaker)| (node, Some(speaker)));
    let infrastructure = InfrastructureCache::default().look(nodes, [].into());
    Objects {
        pools,
        l2_advertisements: vec![l2("all", json!({}))],
        infrastructure: Some(infrastructure),
        ..Objects::default()
    }
}

fn compiled(pool: IPAddressPool) -> Compiled {
    compile(&objects(vec![pool]))
}

#[test]
fn a_pool_says_which_addresses_nobody_gets_and_whose_they_are() {
    for (spec, reason, message) in [
        (
            json!({"addresses": ["10.73.0.0/24"]}),
            Reason::PartlyUsable,
            "no Service is given 10.73.0.0 (the network address of 10.73.0.0/24), 10.73.0.11 (the \
             InternalIP of node n11), 10.73.0.12 (the InternalIP of node n12) and 10.73.0.255 (the \
             broadcast address of 10.73.0.0/24); the rest of the pool is in use",
        ),
        (
            json!({"addresses": ["10.73.0.0/24", "126.0.0.0-128.0.0.1"], "avoidBuggyIPs": true}),
            Reason::PartlyUsable,
            "no Service is given 10.73.0.11 (the InternalIP of node n11), 10.73.0.12 (the \
             InternalIP of node n12) and 127.0.0.0/8 (a loopback address); the rest of the pool is \
             in use",
        ),
        (
            json!({"addresses": ["10.73.0.0/24", "0.0.0.0/8"], "excludedAddresses": ["10.73.0.11"]}),
            Reason::PartlyUsable,
            "no Service is given 10.73.0.0 (the network address of 10.73.0.0/24), 10.73.0.12 (the \
             InternalIP of node n12), 10.73.0.255 (the broadcast address of 10.73.0.0/24) and \
             0.0.0.0/8 (an unspecified address); the rest of the pool is in \
             use",
        ),
        (
            json!({"addresses": ["0.0.0.0/0"]}),
            Reason::PartlyUsable,
            "no Service is given 0.0.0.0/8 (an unspecified address), \
             10.73.0.0 (the network address of 10.73.0.0/24), 10.73.0.11 (the InternalIP of node \
             n11), 10.73.0.12 (the InternalIP of node n12) and 5 more ranges; the rest of the pool \
             is in use",
        ),
        (
            json!({"addresses": ["10.73.0.11-10.73.0.12"]}),
            Reason::NothingLeft,
            "no address of the pool can be given to a Service: 10.73.0.11 is the InternalIP of node \
             n11 and 10.73.0.12 is the InternalIP of node n12; add others",
        ),
        (
            json!({"addresses": ["10.73.0.12", "10.73.1.0", "127.0.0.5"], "avoidBuggyIPs": true}),
            Reason::NothingLeft,
            "no address of the pool can be given to a Service: 10.73.0.12 is the InternalIP of node \
             n12 and 127.0.0.5 is a loopback address; add others",
        ),
    ] {
        let compiled = compiled(pool("lan", spec.clone()));
        assert_eq!(
            told(&compiled),
            [("spec.addresses", reason, message)],
            "{spec}"
        );
        let verdict = verdict(&compiled, "IPAddressPool", "lan");
        assert_eq!((verdict.accepted, verdict.reason), (true, reason.label()));
        assert!(
            compiled.config.pools.contains_key("lan"),
            "in force, whatever is stored"
        );
    }
}

#[test]
fn a_pool_beside_them_has_nothing_to_say() {
    for spec in [
        json!({"addresses": ["10.73.0.100-10.73.0.199"]}),
        json!({"addresses": ["10.73.0.0/28"], "excludedAddresses": ["10.73.0.0", "10.73.0.11-10.73.0.12"]}),
    ] {
        assert_eq!(compiled(pool("lan", spec)).problems, []);
    }
}

#[test]
fn without_a_cluster_only_what_no_host_can_have_is_known() {
    let compiled = with_pools(vec![pool(
        "lan",
        json!({"addresses": ["10.73.0.0/24", "ff02::1"]}),
    )]);
    assert_eq!(
        told(&compiled),
        [(
            "spec.addresses",
            Reason::PartlyUsable,
            "no Service is given ff02::1 (a multicast address); the rest of the pool is in use"
        )]
    );
}

#[test]
fn an_external_ip_of_a_service_is_told_and_not_taken() {
    let mut objects = objects(vec![pool(
        "lan",
        json!({"addresses": ["10.73.0.100-10.73.0.199"]}),
    )]);
    let addresses = ["10.73.0.150", "203.0.113.1"].map(|a| a.parse().unwrap());
    objects.external_ips = [(ServiceKey::new("shop", "old"), addresses.into())].into();
    let compiled = compile(&objects);
    assert_eq!(
        told(&compiled),
        [(
            "spec.addresses",
            Reason::ExternalIp,
            "10.73.0.150 stands in spec.externalIPs of Service shop/old, which gets its traffic on \
             every node; list it in excludedAddresses or remove it there"
        )]
    );
    assert!(compiled.config.unusable.owner(addresses[0]).is_none());
    assert!(verdict(&compiled, "IPAddressPool", "lan").accepted);
}

#[test]
fn a_pool_for_the_lan_alone_that_is_in_no_subnet_says_so() {
    let far = || {
        vec![pool(
            "far",
            json!({"addresses": ["198.51.100.0/28", "198.51.100.64/28"]}),
        )]
    };
    let compiled = compile(&objects(far()));
    assert_eq!(
        told(&compiled),
        [(
            "spec.addresses",
            Reason::OffSubnet,
            "no speaker uses an interface in a subnet of the pool's IPv4 addresses \
             (198.51.100.0/28 is the first range), and no BGPAdvertisement covers it: hosts of the \
             LAN reach them only by a route; use addresses of the LAN or create a BGPAdvertisement"
        )]
    );
    let mut routed = objects(far());
    let advertisement = json!({"metadata": {"name": "all"}, "spec": {}});
    routed.bgp_advertisements = vec![serde_json::from_value(advertisement).unwrap()];
    let off = |objects: &Objects| {
        let problems = compile(objects).problems;
        problems
            .iter()
            .any(|problem| problem.reason == Reason::OffSubnet)
    };
    assert!(!off(&routed), "routers bring them");
    let mut unadvertised = objects(far());
    unadvertised.l2_advertisements.clear();
    assert!(!off(&unadvertised), "nobody announces it at all");
    let mut unknown = objects(far());
    let node = serde_json::from_value(json!({"metadata": {"name": "n1"}})).unwrap();
    let nodes = [(&Arc::new(node), None)];
    unknown.infrastructure = Some(InfrastructureCache::default().look(nodes, [].into()));
    assert!(!off(&unknown), "no speaker has said where it is");
    let both = json!({"addresses": ["10.73.0.100", "2001:db8::/120"]});
    let both = compile(&objects(vec![pool("both", both)]));
    assert_eq!(told(&both)[0].1, Reason::OffSubnet, "each family by itself");
}

#[test]
fn the_api_server_refuses_entries_that_start_or_end_with_such_an_address_and_networks_of_them() {
    for (entry, refused) in [
        ("10.73.0.5", None),
        ("127.0.0.5", Some("127.0.0.5 is a loopback address")),
        ("0.0.0.0", Some("0.0.0.0 is an unspecified address")),
        ("0.1.2.3", Some("0.1.2.3 is an unspecified address")),
        (
            "255.255.255.255",
            Some("255.255.255.255 is the limited broadcast address"),
        ),
        ("224.0.0.9", Some("224.0.0.9 is a multicast address")),
        ("169.254.1.1", Some("169.254.1.1 is a link-local address")),
        ("::1", Some("::1 is a loopback address")),
        ("::", Some(":: is an unspecified address")),
        ("fe80::77", Some("fe80::77 is a link-local address")),
        ("ff02::77", Some("ff02::77 is a multicast address")),
        (
            "126.0.0.1-127.0.0.1",
            Some("127.0.0.1 is a loopback address"),
        ),
        (
            "127.0.0.1 - 128.0.0.1",
            Some("127.0.0.1 is a loopback address"),
        ),
        ("126.0.0.1-128.0.0.1", None),
        ("127.0.0.0/8", Some("127.0.0.0 is a loopback address")),
        ("127.3.0.0/16", Some("127.3.0.0 is a loopback address")),
        ("126.0.0.0/7", None),
        ("0.0.0.0/0", None),
        ("0.0.0.0/8", Some("0.0.0.0 is an unspecified address")),
        ("::/0", None),
        ("::1/128", Some("::1 is a loopback address")),
        ("::/127", None),
        ("fe00::/7", None),
        ("ff00::/8", Some("ff00:: is a multicast address")),
        ("255.255.255.255/32", Some("255.255.255.255 is the limited")),
        ("nonsense", None),
    ] {
        let problems = refused_addresses(&pool("lan", json!({"addresses": [entry]})));
        match refused {
            None => assert_eq!(problems, [], "{entry}"),
            Some(words) => {
                assert_eq!(problems.len(), 1, "{entry}");
                let problem = problems[0].to_string();
                let start = format!("IPAddressPool lan, spec.addresses[0]: {words}");
                assert!(problem.starts_with(&start), "{problem}");
                assert!(!problems[0].is_notice());
            }
        }
    }
}
