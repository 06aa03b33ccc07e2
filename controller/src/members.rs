//! Speakers whose node is gone: membership is the Speaker objects whose Node exists. Pure.
//!
//! Not here: making sure that the Node is gone, and deleting (`apply`).

use herald_crds::{GROUP, VERSION};
use herald_runtime::events::{Happening, Kind};
use k8s_openapi::api::core::v1::ObjectReference;

use crate::observed::Observed;

/// A Speaker object to delete.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leaver {
    /// Its name, which is the node's.
    pub(crate) node: String,
    pub(crate) uid: String,
    pub(crate) happening: Happening,
}

/// The Speakers whose Node does not exist.
pub(crate) fn leavers(observed: &Observed) -> Vec<Leaver> {
    let Some(nodes) = &observed.objects.nodes else {
        return Vec::new();
    };
    let gone = observed
        .speakers
        .iter()
        .filter(|(node, _)| !nodes.contains_key(*node));
    gone.map(|(node, speaker)| {
        let uid = speaker.metadata.uid.clone().unwrap_or_default();
        let regarding = ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some("Speaker".to_owned()),
            name: Some(node.clone()),
            uid: Some(uid.clone()),
            ..ObjectReference::default()
        };
        let happening = Happening {
            regarding,
            about: None,
            kind: Kind::Normal,
            reason: "SpeakerRemoved",
            action: "Remove",
            note: format!("Removed Speaker {node}: Node {node} does not exist any more."),
        };
        Leaver {
            node: node.clone(),
            uid,
            happening,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use herald_config::NodeFacts;
    use herald_crds::Speaker;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_speaker_leaves_when_its_node_is_known_not_to_exist() {
        let speaker = |name: &str| -> Arc<Speaker> {
            Arc::new(
                serde_json::from_value(json!({"metadata": {"name": name, "uid": "u"}})).unwrap(),
            )
        };
        let mut observed = Observed {
            speakers: ["a", "b"]
                .map(|name| (name.to_owned(), speaker(name)))
                .into(),
            ..Observed::default()
        };
        assert_eq!(leavers(&observed), [], "nodes unknown");
        observed.objects.nodes = Some(BTreeMap::from([("a".to_owned(), NodeFacts::default())]));
        let names: Vec<_> = leavers(&observed)
            .into_iter()
            .map(|l| (l.node, l.uid))
            .collect();
        assert_eq!(names, [("b".to_owned(), "u".to_owned())]);
    }
}
