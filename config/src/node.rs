//! What is known of a node: from its Node object and from what its speaker reports.

use herald_crds::Speaker;
use herald_model::announce;
use herald_model::labels::Labels;
use k8s_openapi::api::core::v1::{Node, NodeCondition};

/// Nodes with this label take no load-balancer traffic, whatever its value.
pub const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The zone of a node, so that not everything is in the one that fails.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// Taints of a node that is about to go, set by kubectl drain and cordon, kubelet's graceful
/// shutdown, cloud providers, the cluster autoscaler, and administrators.
const LEAVING_TAINTS: [&str; 5] = [
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/out-of-service",
    "node.kubernetes.io/shutdown",
    "node.cloudprovider.kubernetes.io/shutdown",
    "ToBeDeletedByClusterAutoscaler",
];

/// What is known of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its labels.
    pub labels: Labels,
    /// Condition NetworkUnavailable is True.
    pub network_unavailable: bool,
    /// It carries [`EXCLUDE_LABEL`].
    pub excluded: bool,
    /// It is cordoned, being drained or shutting down.
    pub stopping: bool,
    /// The interfaces its speaker can announce on; `None` until the speaker has said so.
    pub interfaces: Option<Vec<String>>,
}

impl NodeFacts {
    /// From the Node and, when there is one, its Speaker.
    #[must_use]
    pub fn new(node: &Node, speaker: Option<&Speaker>) -> Self {
        let labels: Labels = node.metadata.labels.clone().unwrap_or_default();
        let spec = node.spec.as_ref();
        let cordoned = spec.is_some_and(|spec| spec.unschedulable == Some(true));
        let mut taints = spec
            .into_iter()
            .flat_map(|spec| spec.taints.iter().flatten());
        let leaving = taints.any(|taint| LEAVING_TAINTS.contains(&taint.key.as_str()));
        let deleted = node.metadata.deletion_timestamp.is_some();
        let conditions = node
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        let unavailable = |condition: &NodeCondition| {
            condition.type_ == "NetworkUnavailable" && condition.status == "True"
        };
        Self {
            network_unavailable: conditions.into_iter().flatten().any(unavailable),
            excluded: labels.contains_key(EXCLUDE_LABEL),
            stopping: cordoned || leaving || deleted,
            interfaces: speaker.and_then(usable_interfaces),
            labels,
        }
    }

    /// As the model sees it.
    #[must_use]
    pub fn to_model(&self) -> announce::Node {
        announce::Node {
            labels: self.labels.clone(),
            network_unavailable: self.network_unavailable,
            excluded: self.excluded,
            stopping: self.stopping,
            zone: self.labels.get(ZONE_LABEL).cloned(),
            interfaces: self.interfaces.clone().unwrap_or_default(),
        }
    }
}

fn usable_interfaces(speaker: &Speaker) -> Option<Vec<String>> {
    let interfaces = &speaker.status.as_ref()?.interfaces;
    let usable = interfaces
        .iter()
        .filter(|interface| interface.reason_not_used.is_none());
    Some(usable.map(|interface| interface.name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn facts(node: Value) -> NodeFacts {
        NodeFacts::new(&serde_json::from_value(node).unwrap(), None)
    }

    #[test]
    fn the_exclude_label_counts_whatever_its_value() {
        assert!(facts(json!({"metadata": {"labels": {EXCLUDE_LABEL: "false"}}})).excluded);
        assert!(!facts(json!({"metadata": {"labels": {"a": "b"}}})).excluded);
    }

    #[test]
    fn only_a_true_condition_makes_the_network_unavailable() {
        let node = |status: &str| {
            facts(json!({
                "metadata": {},
                "status": {"conditions": [{"type": "NetworkUnavailable", "status": status}]},
            }))
        };
        assert!(node("True").network_unavailable);
        assert!(!node("False").network_unavailable);
        assert!(!node("Unknown").network_unavailable);
    }

    #[test]
    fn cordon_and_leaving_taints_mean_that_it_is_stopping() {
        let taint = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "NoExecute"}]}});
        let cases = [
            (json!({"spec": {"unschedulable": true}}), true),
            (taint("node.kubernetes.io/out-of-service"), true),
            (taint("ToBeDeletedByClusterAutoscaler"), true),
            (taint("node.kubernetes.io/not-ready"), false),
            (taint("node-role.kubernetes.io/control-plane"), false),
            (json!({}), false),
        ];
        for (mut node, stopping) in cases {
            node["metadata"] = json!({});
            assert_eq!(facts(node.clone()).stopping, stopping, "{node}");
        }
    }

    #[test]
    fn interfaces_are_unknown_until_the_speaker_reports_and_then_only_the_usable_ones() {
        let node = Node::default();
        assert_eq!(NodeFacts::new(&node, None).interfaces, None);
        let silent: Speaker = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
        assert_eq!(NodeFacts::new(&node, Some(&silent)).interfaces, None);
        let speaker: Speaker = serde_json::from_value(json!({
            "metadata": {"name": "n"},
            "status": {"interfaces": [{"name": "eth0"}, {"name": "lo", "reasonNotUsed": "loopback"}]},
        }))
        .unwrap();
        let facts = NodeFacts::new(&node, Some(&speaker));
        assert_eq!(facts.interfaces, Some(vec!["eth0".to_owned()]));
        assert_eq!(facts.to_model().interfaces, ["eth0"]);
    }
}
