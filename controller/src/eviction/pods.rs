//! What is written to a pod, and which pods are written to. Pure.
//!
//! As with the node lifecycle controller every pod of the node counts that is Ready, those of
//! DaemonSets, on the host's network and static ones too: whoever waits for a pod's condition is told
//! the truth. Condition ContainersReady is left as it is.
//!
//! The mark is the condition's reason: whoever leads later finds it there. Each patch carries the
//! version it was decided on, so it never replaces a word that was written meanwhile.

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// The reason of a pod's condition Ready that Herald set to False.
pub(crate) const REASON: &str = "HeraldNodeSilent";

const READY: &str = "Ready";

/// Whether its condition Ready is Herald's word.
pub(crate) fn is_marked(pod: &Pod) -> bool {
    condition(pod, READY)
        .is_some_and(|ready| ready.status == "False" && ready.reason.as_deref() == Some(REASON))
}

/// The strategic merge patch that calls a ready pod unready; nothing for one that is not ready.
pub(crate) fn unready(pod: &Pod, node: &str, now: Timestamp) -> Option<Value> {
    is_true(pod, READY).then(|| {
        let message = format!(
            "most speakers of Herald hear nothing of node {node}; Ready is True again when it speaks or \
             its kubelet says so"
        );
        patch(pod, "False", json!(REASON), json!(message), now)
    })
}

/// The strategic merge patch that gives the word back; nothing for a pod that somebody else has
/// spoken for meanwhile, or that would not be ready by the kubelet's own rule.
pub(crate) fn ready_again(pod: &Pod, now: Timestamp) -> Option<Value> {
    let spec = pod.spec.as_ref();
    let mut gates = spec
        .and_then(|s| s.readiness_gates.as_ref())
        .into_iter()
        .flatten();
    let running = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        == Some("Running");
    let ready = is_marked(pod)
        && running
        && is_true(pod, "ContainersReady")
        && gates.all(|gate| is_true(pod, &gate.condition_type));
    ready.then(|| patch(pod, "True", Value::Null, Value::Null, now))
}

fn patch(pod: &Pod, status: &str, reason: Value, message: Value, now: Timestamp) -> Value {
    json!({
        "metadata": {"resourceVersion": pod.metadata.resource_version},
        "status": {"conditions": [{
            "type": READY,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": Time(now),
        }]},
    })
}

fn is_true(pod: &Pod, type_: &str) -> bool {
    condition(pod, type_).is_some_and(|condition| condition.status == "True")
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A condition: type, status, reason.
    type Said<'a> = (&'a str, &'a str, &'a str);

    /// A running pod with these conditions.
    fn pod(conditions: &[Said<'_>]) -> Pod {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(type_, status, reason)| json!({"type": type_, "status": status, "reason": reason}))
            .collect();
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "resourceVersion": "7"},
            "spec": {"containers": [], "readinessGates": [{"conditionType": "example.com/gate"}]},
            "status": {"phase": "Running", "conditions": conditions},
        }))
        .unwrap()
    }

    const FINE: Said<'_> = ("ContainersReady", "True", "");
    const GATE: Said<'_> = ("example.com/gate", "True", "");

    #[test]
    fn only_a_ready_pod_is_called_unready_and_only_in_the_version_that_was_seen() {
        let now = Timestamp::UNIX_EPOCH;
        let body = unready(&pod(&[(READY, "True", ""), FINE]), "n", now).unwrap();
        assert_eq!(body["metadata"]["resourceVersion"], "7");
        let written = &body["status"]["conditions"];
        assert_eq!(written.as_array().unwrap().len(), 1, "{body}");
        assert_eq!(written[0]["status"], "False");
        assert_eq!(written[0]["reason"], REASON);
        assert_eq!(written[0]["lastTransitionTime"], "1970-01-01T00:00:00Z");
        for other in ["False", "Unknown"] {
            assert_eq!(unready(&pod(&[(READY, other, "")]), "n", now), None);
        }
        assert_eq!(unready(&pod(&[]), "n", now), None);
    }

    #[test]
    fn the_word_is_given_back_only_where_it_is_still_heralds_and_the_pod_would_be_ready() {
        let mark = (READY, "False", REASON);
        let cases: [(&[Said<'_>], bool); 6] = [
            (&[mark, FINE, GATE], true),
            (&[(READY, "False", "ContainersNotReady"), FINE, GATE], false),
            (&[(READY, "True", REASON), FINE, GATE], false),
            (&[mark, ("ContainersReady", "False", ""), GATE], false),
            (&[mark, FINE], false),
            (&[mark, GATE], false),
        ];
        for (conditions, given) in cases {
            let body = ready_again(&pod(conditions), Timestamp::UNIX_EPOCH);
            assert_eq!(body.is_some(), given, "{conditions:?}");
            if let Some(body) = body {
                let written = &body["status"]["conditions"][0];
                assert_eq!(written["status"], "True");
                assert!(written["reason"].is_null() && written["message"].is_null());
            }
        }
        let mut over = pod(&[mark, FINE, GATE]);
        over.status.as_mut().unwrap().phase = Some("Failed".to_owned());
        assert_eq!(ready_again(&over, Timestamp::UNIX_EPOCH), None);
    }
}
