//! Whether the shipped rights are enough: every refusal the programs logged is asked about again.
//!
//! An API server that is just starting refuses everybody until it has read its roles, so a refusal
//! counts only if it stands when all is quiet.

use anyhow::{Result, bail};

use super::Stage;
use crate::lab::Lab;

/// A refusal as the API server words it: `RESOURCE "NAME" is forbidden: User "U" cannot VERB resource "R" in API group "G" at the
/// cluster scope` or `… in the namespace "N"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Refusal {
    user: String,
    verb: String,
    resource: String,
    subresource: String,
    group: String,
    namespace: String,
    /// The object, where one was named; rights may be given for that one alone.
    name: String,
}

impl Refusal {
    fn read(line: &str) -> Option<Self> {
        // In a logged structure the quotation marks are escaped.
        let line = line.replace('\\', "");
        let (before, rest) = line.split_once("User \"")?;
        let name = before
            .strip_suffix("\" is forbidden: ")
            .and_then(|before| before.rsplit('"').next());
        let (user, rest) = rest.split_once("\" cannot ")?;
        let (verb, rest) = rest.split_once(" resource \"")?;
        let (resource, rest) = rest.split_once("\" in API group \"")?;
        let (group, rest) = rest.split_once('"')?;
        let namespace = rest
            .strip_prefix(" in the namespace \"")
            .and_then(|rest| rest.split('"').next());
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Some(Self {
            user: user.to_owned(),
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            group: group.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: name.unwrap_or_default().to_owned(),
        })
    }

    /// Whether the API server refuses it now.
    fn stands(&self, lab: &Lab) -> bool {
        let Self {
            user,
            verb,
            resource,
            subresource,
            group,
            namespace,
            name,
        } = self;
        let mut what = resource.clone();
        if !group.is_empty() {
            what = format!("{what}.{group}");
        }
        if !name.is_empty() {
            what = format!("{what}/{name}");
        }
        let mut arguments = vec![
            "auth".to_owned(),
            "can-i".to_owned(),
            verb.clone(),
            what,
            format!("--as={user}"),
            format!("--subresource={subresource}"),
        ];
        arguments.push(match namespace.as_str() {
            "" => "--all-namespaces".to_owned(),
            name => format!("--namespace={name}"),
        });
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // `can-i` ends badly when the answer is no.
        lab.kubectl(&arguments).is_err()
    }
}

/// Whether nobody may make the object, since its namespace or its definition is being deleted.
fn is_about_an_end(line: &str) -> bool {
    let ends = [
        "while custom resource definition is terminating",
        "because it is being terminated",
    ];
    ends.iter().any(|end| line.contains(end))
}

/// No program of Herald lacks a right, and none panicked.
pub(super) fn enough(stage: &mut Stage) -> Result<()> {
    let logs: Vec<(String, String)> = {
        let herald = stage.lab.herald()?;
        herald
            .logs()
            .map(|(name, log)| (name.to_owned(), log))
            .collect()
    };
    let mut asked = std::collections::BTreeSet::new();
    for (name, log) in &logs {
        for line in log.lines() {
            if line.contains("panicked at") {
                bail!("{name} logged: {line}");
            }
            if !line.to_lowercase().contains("forbidden") || is_about_an_end(line) {
                continue;
            }
            let Some(refusal) = Refusal::read(line) else {
                bail!("{name} logged: {line}");
            };
            if asked.insert(refusal.clone()) && refusal.stands(&stage.lab) {
                bail!("{name} logged: {line}");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_refusal_is_read() {
        let line = r#"error message: "services \"a\" is forbidden: User \"system:serviceaccount:n:c\" cannot patch resource \"services/status\" in API group \"\" in the namespace \"default\"""#;
        let refusal = Refusal::read(line).unwrap();
        assert_eq!(
            (refusal.verb.as_str(), refusal.resource.as_str()),
            ("patch", "services")
        );
        assert_eq!(
            (refusal.subresource.as_str(), refusal.namespace.as_str()),
            ("status", "default")
        );
        assert_eq!(refusal.name, "a");
        let wide = r#"User "u" cannot list resource "speakers" in API group "heraldlb.io" at the cluster scope"#;
        let refusal = Refusal::read(wide).unwrap();
        assert_eq!(
            (refusal.group.as_str(), refusal.namespace.as_str()),
            ("heraldlb.io", "")
        );
        assert_eq!(Refusal::read("all is well"), None);
        let ends = r#"serviceannouncements.heraldlb.io "a" is forbidden: create not allowed while custom resource definition is terminating (403)"#;
        assert!(is_about_an_end(ends) && !is_about_an_end(wide));
    }
}
