//! One write that reports something: the status fields the controller owns on one object.
//!
//! Not here: which (`announcements`, `accepted`), and sending it (`apply`).

use std::collections::BTreeMap;
use std::fmt;

use herald_model::service::ServiceKey;
use herald_runtime::events::Happening;
use herald_runtime::rejections::content;
use kube::core::ApiResource;
use serde_json::Value;

/// Names one object of Herald's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) kind: &'static str,
    /// Empty for a cluster-scoped kind.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The status fields that shall stand there; sent by server-side apply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) target: Target,
    pub(crate) resource: ApiResource,
    /// The version it was decided on; 0 for an object that does not exist.
    pub(crate) version: u64,
    /// To apply to the object itself first, so that it exists and has its owner.
    pub(crate) object: Option<Value>,
    pub(crate) status: Value,
    /// What to say once it is written.
    pub(crate) happenings: Vec<Happening>,
}

impl Report {
    /// A number for what is to be written, and on which version.
    pub(crate) fn content(&self) -> u64 {
        content(&(self.version, &self.object, &self.status))
    }
}

/// What is written behind the rounds. Each waits on its own when it is rejected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The status of an object.
    Status(Target),
    /// Who holds which address.
    Holders,
    /// A ServiceAnnouncement that is to be deleted.
    Orphan(ServiceKey),
    /// The Speaker object of a node that does not exist.
    Leaver(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(target) if target.namespace.is_empty() => {
                write!(f, "{} {}", target.kind, target.name)
            }
            Self::Status(target) => {
                write!(f, "{} {}/{}", target.kind, target.namespace, target.name)
            }
            Self::Holders => f.write_str("who holds which address"),
            Self::Orphan(key) => write!(f, "ServiceAnnouncement {key}"),
            Self::Leaver(node) => write!(f, "Speaker {node}"),
        }
    }
}

/// What was sent last, so that a lagging watch does not make it be sent, and said, again.
#[derive(Debug, Default)]
pub(crate) struct Sent(BTreeMap<Target, Write>);

#[derive(Debug)]
struct Write {
    /// The version it was decided on.
    decided: u64,
    /// The version it made.
    made: u64,
    status: Value,
}

impl Sent {
    /// The fields as they stand on the API server: those of the object at `version`, or what was
    /// written since if the watch does not show it yet.
    pub(crate) fn standing(&mut self, target: &Target, version: u64, shown: Value) -> Value {
        let Some(write) = self.0.get(target) else {
            return shown;
        };
        if (write.decided..write.made).contains(&version) {
            return write.status.clone();
        }
        self.0.remove(target);
        shown
    }

    /// Remembers a report and the version it made.
    pub(crate) fn remember(&mut self, report: &Report, made: u64) {
        let write = Write {
            decided: report.version,
            made,
            status: report.status.clone(),
        };
        self.0.insert(report.target.clone(), write);
    }

    /// Forgets the object.
    pub(crate) fn forget(&mut self, target: &Target) {
        self.0.remove(target);
    }
}

#[cfg(test)]
mod tests {
    use kube::core::GroupVersionKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_stands_until_the_watch_shows_it_or_something_older() {
        let target = Target {
            kind: "X",
            namespace: String::new(),
            name: "x".into(),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("g", "v", "X"));
        let report = Report {
            target: target.clone(),
            resource,
            version: 5,
            object: None,
            status: json!("written"),
            happenings: vec![],
        };
        let mut sent = Sent::default();
        sent.remember(&report, 9);
        for (version, expected) in [
            (5, "written"),
            (7, "written"),
            (9, "shown"),
            (12, "shown"),
            (3, "shown"),
        ] {
            let standing = sent.standing(&target, version, json!("shown"));
            assert_eq!(standing, json!(expected), "{version}");
        }
        sent.forget(&target);
        assert_eq!(sent.standing(&target, 5, json!("shown")), json!("shown"));
    }
}
