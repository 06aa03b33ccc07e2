//! Why a Service has no address, or why its address is not reachable: one ordered list of checks.
//!
//! Each check needs the ones before it, so the first failure ends the list and says what to do;
//! the rest is shown as not checked. After the checks that concern every address come those of the
//! LAN and those of the routers, as far as the Service has addresses for each; neither needs the other.

mod address;
mod endpoints;
mod request;
mod routers;

#[cfg(test)]
mod tests;

use herald_model::service::ServiceKey;
use serde::Serialize;

use crate::facts::Facts;

/// Every check, in order.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    /// `namespace/name`.
    pub(crate) service: String,
    /// No check failed.
    pub(crate) ok: bool,
    /// In the order in which one needs the other.
    pub(crate) checks: Vec<Check>,
}

/// One check and what came of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What is looked at, in a few words.
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    /// What was found; one sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) found: String,
    /// What to do; only on failures.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) advice: String,
    /// Further lines, such as one per node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    Passed,
    /// It works, and its user should know something.
    Remark,
    Failed,
    NotChecked,
}

/// What one check found.
type Finding = Result<Found, Failure>;

/// A check that passed.
#[derive(Debug, Default)]
struct Found {
    text: String,
    remark: bool,
    details: Vec<String>,
}

impl Found {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    fn remark(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            remark: true,
            details: Vec::new(),
        }
    }

    fn with(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

/// A check that failed: what is wrong, and what to do about it.
#[derive(Debug)]
struct Failure {
    wrong: String,
    advice: String,
    details: Vec<String>,
}

impl Failure {
    fn new(wrong: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            wrong: wrong.into(),
            advice: advice.into(),
            details: Vec::new(),
        }
    }

    fn with(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

/// A check by name.
type Named = (&'static str, fn(&Facts, &ServiceKey) -> Finding);

/// What every address needs.
const COMMON: &[Named] = &[
    ("Service", request::exists),
    ("type and class", request::ours),
    ("request", request::readable),
    ("cluster address", request::cluster_address),
    ("pools", request::pools),
    ("allocation", request::allocated),
    ("pool of the address", address::pool),
    ("advertisement", address::advertised),
    ("endpoints", endpoints::endpoints),
];

/// What an address needs to be answered for on the LAN.
const LAN: &[Named] = &[
    ("eligible nodes", address::eligible),
    ("owner node", address::owner),
    ("speaker", address::speaker),
    ("interface", address::interface),
];

/// What an address needs to be known to routers.
const ROUTERS: &[Named] = &[
    ("announcing nodes", routers::nodes),
    ("sessions", routers::sessions),
    ("routers", routers::known),
];

/// Runs the checks until one fails.
pub(crate) fn explain(facts: &Facts, key: &ServiceKey) -> Explanation {
    let mut checks = Vec::new();
    let common = run(COMMON, true, facts, key, &mut checks);
    let by_routers = !routers::routed(facts, key).is_empty();
    let on_lan = !by_routers || !address::on_lan(facts, key).is_empty();
    let mut ok = common;
    if on_lan {
        ok &= run(LAN, common, facts, key, &mut checks);
    }
    if by_routers {
        ok &= run(ROUTERS, common, facts, key, &mut checks);
    }
    Explanation {
        service: key.to_string(),
        ok,
        checks,
    }
}

/// Runs these, as long as nothing fails; gives whether nothing did.
fn run(
    named: &[Named],
    mut ok: bool,
    facts: &Facts,
    key: &ServiceKey,
    checks: &mut Vec<Check>,
) -> bool {
    for (name, run) in named {
        checks.push(if ok {
            let check = check(name, run(facts, key));
            ok = check.outcome != Outcome::Failed;
            check
        } else {
            Check {
                name,
                outcome: Outcome::NotChecked,
                found: String::new(),
                advice: String::new(),
                details: Vec::new(),
            }
        });
    }
    ok
}

fn check(name: &'static str, finding: Finding) -> Check {
    match finding {
        Ok(Found {
            text,
            remark,
            details,
        }) => {
            let outcome = if remark {
                Outcome::Remark
            } else {
                Outcome::Passed
            };
            Check {
                name,
                outcome,
                found: text,
                advice: String::new(),
                details,
            }
        }
        Err(Failure {
            wrong,
            advice,
            details,
        }) => Check {
            name,
            outcome: Outcome::Failed,
            found: wrong,
            advice,
            details,
        },
    }
}

/// For people: one line per check, the failure with what to do.
pub(crate) fn text(explanation: &Explanation) -> String {
    let mut text = format!("Service {}\n", explanation.service);
    for check in &explanation.checks {
        let mark = match check.outcome {
            Outcome::Passed => "✓",
            Outcome::Remark => "!",
            Outcome::Failed => "✗",
            Outcome::NotChecked => "·",
        };
        let found = match check.outcome {
            Outcome::NotChecked => "not checked",
            Outcome::Passed | Outcome::Remark | Outcome::Failed => &check.found,
        };
        text.push_str(&format!("  {mark} {}: {found}\n", check.name));
        for detail in &check.details {
            text.push_str(&format!("      {detail}\n"));
        }
        if !check.advice.is_empty() {
            text.push_str(&format!("    → {}\n", check.advice));
        }
    }
    text
}
