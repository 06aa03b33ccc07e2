use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::json;

use crate::{
    BGPPeer, IPAddressPool, L2Advertisement, ServiceAnnouncement, Sharing, Speaker, all, file_name,
    yaml,
};

/// Calls `visit` with every schema of every kind and its path.
fn every_schema(visit: &mut dyn FnMut(&str, &JSONSchemaProps)) {
    for crd in all() {
        for version in &crd.spec.versions {
            let schema = version
                .schema
                .as_ref()
                .unwrap()
                .open_api_v3_schema
                .as_ref()
                .unwrap();
            walk(&crd.spec.names.kind, schema, visit);
        }
    }
}

fn walk(path: &str, schema: &JSONSchemaProps, visit: &mut dyn FnMut(&str, &JSONSchemaProps)) {
    visit(path, schema);
    for (name, property) in schema.properties.iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        walk(&format!("{path}[]"), items, visit);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        walk(&format!("{path}{{}}"), values, visit);
    }
}

#[test]
fn the_manifests_in_deploy_are_those_of_the_types() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds");
    for crd in all() {
        let path = dir.join(file_name(&crd));
        let stored = std::fs::read_to_string(&path).unwrap();
        assert!(
            stored == yaml(&crd).unwrap(),
            "{} differs; run crdgen",
            path.display()
        );
    }
}

#[test]
fn every_kind_of_the_design_exists_once() {
    let kinds: Vec<String> = all().into_iter().map(|crd| crd.spec.names.kind).collect();
    let wanted = [
        "IPAddressPool",
        "IPReservation",
        "L2Advertisement",
        "BGPAdvertisement",
        "BGPPeer",
        "BFDProfile",
        "Community",
        "Speaker",
        "ServiceAnnouncement",
    ];
    assert_eq!(kinds, wanted);
}

#[test]
fn only_service_announcement_is_namespaced() {
    for crd in all() {
        let namespaced = crd.spec.names.kind == "ServiceAnnouncement";
        assert_eq!(
            crd.spec.scope,
            if namespaced { "Namespaced" } else { "Cluster" }
        );
    }
}

#[test]
fn no_format_makes_the_api_server_warn() {
    every_schema(&mut |path, schema| {
        let format = schema.format.as_deref();
        assert!(
            matches!(format, None | Some("int32" | "int64" | "date-time")),
            "{path}: {format:?}"
        );
    });
}

#[test]
fn every_property_is_described() {
    every_schema(&mut |path, schema| {
        for (name, property) in schema.properties.iter().flatten() {
            let text = property.description.as_deref().unwrap_or_default();
            assert!(
                text.ends_with('.'),
                "{path}.{name} has no description: {text:?}"
            );
            assert!(
                !text.contains('\n'),
                "{path}.{name} is described over several lines"
            );
        }
    });
}

#[test]
fn every_list_map_and_text_is_bounded() {
    every_schema(&mut |path, schema| match schema.type_.as_deref() {
        Some("array") => {
            assert!(schema.max_items.is_some(), "{path} has no maxItems");
            assert!(
                schema.x_kubernetes_list_type.is_some(),
                "{path} has no list type"
            );
        }
        Some("string") => {
            let bounded = schema.max_length.is_some()
                || schema.enum_.is_some()
                || schema.format.as_deref() == Some("date-time");
            assert!(bounded, "{path} has no maxLength");
        }
        Some("object") if schema.additional_properties.is_some() => {
            assert!(
                schema.max_properties.is_some(),
                "{path} has no maxProperties"
            );
        }
        Some(_) | None => {}
    });
}

/// Values are tried on a real API server in the lab (`scenarios/unusable.rs`).
#[test]
fn only_pools_are_held_to_addresses_that_a_host_can_have() {
    let mut held = Vec::new();
    every_schema(&mut |path, schema| {
        let mut rules = schema.x_kubernetes_validations.iter().flatten();
        if rules.any(|rule| rule.rule.contains("isGlobalUnicast")) {
            held.push(path.to_owned());
        }
    });
    assert_eq!(held, ["IPAddressPool.spec.addresses[]"]);
}

#[test]
fn null_is_never_a_value() {
    every_schema(&mut |path, schema| assert_eq!(schema.nullable, None, "{path}"));
}

#[test]
fn every_kind_shows_its_condition_and_has_a_status_subresource() {
    for crd in all() {
        let kind = crd.spec.names.kind;
        let version = &crd.spec.versions[0];
        assert!(
            version
                .subresources
                .as_ref()
                .is_some_and(|s| s.status.is_some()),
            "{kind}"
        );
        assert!(
            crd.spec
                .names
                .short_names
                .is_some_and(|names| names.len() == 1),
            "{kind}"
        );
        let wanted: &[&str] = match kind.as_str() {
            "Speaker" => &["Ready"],
            "ServiceAnnouncement" => &["Allocated", "Announced"],
            _ => &["Accepted"],
        };
        let columns: Vec<_> = version
            .additional_printer_columns
            .iter()
            .flatten()
            .collect();
        for name in wanted {
            assert!(
                columns.iter().any(|column| column.name == *name),
                "{kind} lacks {name}"
            );
        }
        assert_eq!(
            columns.last().map(|column| column.name.as_str()),
            Some("Age"),
            "{kind}"
        );
    }
}

#[test]
fn a_metallb_pool_reads_with_its_defaults() {
    let pool: IPAddressPool = serde_json::from_value(json!({
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": "lan"},
        "spec": {"addresses": ["192.0.2.0/28"]},
    }))
    .unwrap();
    assert!(pool.spec.auto_assign);
    assert!(!pool.spec.avoid_buggy_ips);
    assert_eq!(pool.spec.sharing, Sharing::ByKey);
}

#[test]
fn a_value_of_a_later_version_does_not_make_the_object_unreadable() {
    let pool: IPAddressPool = serde_json::from_value(json!({
        "metadata": {"name": "lan"},
        "spec": {"addresses": ["192.0.2.0/28"], "sharing": "Sometimes", "later": 1},
    }))
    .unwrap();
    assert_eq!(pool.spec.sharing, Sharing::Unknown);
}

#[test]
fn what_is_absent_is_not_written() {
    let advertisement = L2Advertisement::new("all", crate::L2AdvertisementSpec::default());
    let value = serde_json::to_value(&advertisement).unwrap();
    assert_eq!(value["spec"], json!({}));
    assert_eq!(value.get("status"), None);
}

#[test]
fn status_kinds_have_no_spec() {
    let speaker = Speaker::new("node-a", crate::SpeakerSpec {});
    let value = serde_json::to_value(&speaker).unwrap();
    assert_eq!(value.get("spec"), None);
    let back: Speaker = serde_json::from_value(value).unwrap();
    assert_eq!(back, speaker);

    let announcement: ServiceAnnouncement = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "status": {"addresses": [{"address": "192.0.2.1", "pool": "lan"}]},
    }))
    .unwrap();
    assert_eq!(announcement.status.unwrap().addresses[0].pool, "lan");
}

#[test]
fn bgp_field_names_are_those_metallb_users_know() {
    let peer: BGPPeer = serde_json::from_value(json!({
        "metadata": {"name": "tor"},
        "spec": {
            "myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "routerID": "192.0.2.2",
            "ebgpMultiHop": true, "enableGracefulRestart": true, "holdTime": "9s",
            "dualStackAddressFamily": true, "vrf": "red", "bfdProfile": "fast",
        },
    }))
    .unwrap();
    let spec = peer.spec;
    assert_eq!(
        (spec.my_asn, spec.peer_asn, spec.peer_port),
        (64512, Some(64513), 179)
    );
    assert!(spec.ebgp_multi_hop && spec.enable_graceful_restart && spec.dual_stack_address_family);
    assert_eq!(spec.router_id.as_deref(), Some("192.0.2.2"));
}

#[test]
fn the_default_installation_holds_every_crd() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let read = |path: &str| std::fs::read_to_string(deploy.join(path)).unwrap();
    assert!(read("kustomization.yaml").contains("  - crds\n"));
    let definitions = read("crds/kustomization.yaml");
    for crd in all() {
        let line = format!("  - {}\n", file_name(&crd));
        assert!(
            definitions.contains(&line),
            "deploy/crds/kustomization.yaml lacks {line}"
        );
    }
}

/// The API server prints the first match of a path only.
#[test]
fn no_column_promises_a_list_and_shows_one_item() {
    for crd in all() {
        for column in crd.spec.versions[0]
            .additional_printer_columns
            .iter()
            .flatten()
        {
            assert!(
                !column.json_path.contains("[*]"),
                "{}: {}",
                crd.spec.names.kind,
                column.name
            );
        }
    }
}

#[test]
fn a_kind_that_demands_no_field_may_leave_out_spec() {
    let lenient: Vec<String> = all()
        .into_iter()
        .filter(|crd| {
            let schema = crd.spec.versions[0].schema.clone().unwrap();
            let root = schema.open_api_v3_schema.unwrap();
            let spec = root.properties.unwrap().remove("spec");
            spec.is_some_and(|spec| spec.default.is_some())
                && !root
                    .required
                    .unwrap_or_default()
                    .contains(&"spec".to_owned())
        })
        .map(|crd| crd.spec.names.kind)
        .collect();
    assert_eq!(
        lenient,
        [
            "L2Advertisement",
            "BGPAdvertisement",
            "BFDProfile",
            "Community"
        ]
    );
}
