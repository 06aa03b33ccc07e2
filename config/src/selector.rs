//! Label selectors as Kubernetes writes them, into the model's.

use std::collections::{BTreeMap, BTreeSet};

use herald_model::labels::{Labels, Operator, Requirement, Selector};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::problem::{Reason, Report};

/// All selectors of a list; one that Kubernetes would not accept quarantines the object, because
/// leaving it out could select everything.
pub(crate) fn list(
    field: &str,
    selectors: &[LabelSelector],
    report: &mut Report<'_>,
) -> Vec<Selector> {
    let translate =
        |(i, selector): (usize, &LabelSelector)| one(&format!("{field}[{i}]"), selector, report);
    selectors.iter().enumerate().filter_map(translate).collect()
}

/// `FIELD.namespaceSelectors`, beside the names in `FIELD.namespaces`. Where the namespaces are known,
/// those that select none are noticed.
pub(crate) fn namespaces(
    field: &str,
    names: &[String],
    selectors: &[LabelSelector],
    known: Option<&BTreeMap<String, Labels>>,
    report: &mut Report<'_>,
) -> Vec<Selector> {
    let by_label = format!("{field}.namespaceSelectors");
    let selectors = list(&by_label, selectors, report);
    let Some(known) = known else {
        return selectors;
    };
    note_idle(&by_label, &selectors, known.values(), "namespace", report);
    for (i, name) in names.iter().enumerate() {
        if !known.contains_key(name) {
            let message = format!(
                "there is no namespace {name} at the moment; create it or correct the name"
            );
            report.note(
                format!("{field}.namespaces[{i}]"),
                Reason::NothingSelected,
                message,
            );
        }
    }
    selectors
}

/// One selector, or `None` and a quarantined object.
pub(crate) fn one(
    field: &str,
    selector: &LabelSelector,
    report: &mut Report<'_>,
) -> Option<Selector> {
    let mut match_expressions = Vec::new();
    for (i, expression) in selector.match_expressions.iter().flatten().enumerate() {
        match requirement(expression) {
            Ok(requirement) => match_expressions.push(requirement),
            Err(message) => {
                report.reject(
                    format!("{field}.matchExpressions[{i}]"),
                    Reason::InvalidSelector,
                    message,
                );
                return None;
            }
        }
    }
    let match_labels = selector.match_labels.clone().unwrap_or_default();
    Some(Selector {
        match_labels,
        match_expressions,
    })
}

fn requirement(expression: &LabelSelectorRequirement) -> Result<Requirement, String> {
    let LabelSelectorRequirement {
        key,
        operator,
        values,
    } = expression;
    let values: BTreeSet<String> = values.iter().flatten().cloned().collect();
    if key.is_empty() {
        return Err("key is empty; write the label's key".to_owned());
    }
    let operator = match (operator.as_str(), values.is_empty()) {
        ("In", false) => Operator::In(values),
        ("NotIn", false) => Operator::NotIn(values),
        ("Exists", true) => Operator::Exists,
        ("DoesNotExist", true) => Operator::DoesNotExist,
        ("In" | "NotIn", true) => {
            return Err(format!(
                "operator {operator} needs values; write at least one"
            ));
        }
        ("Exists" | "DoesNotExist", false) => {
            return Err(format!("operator {operator} takes no values; remove them"));
        }
        (unknown, _) => {
            return Err(format!(
                "\"{unknown}\" is not an operator; write In, NotIn, Exists or DoesNotExist"
            ));
        }
    };
    Ok(Requirement {
        key: key.clone(),
        operator,
    })
}

/// A notice for each selector that matches none of `candidates`, which are `what`.
pub(crate) fn note_idle<'a>(
    field: &str,
    selectors: &[Selector],
    candidates: impl Iterator<Item = &'a Labels> + Clone,
    what: &str,
    report: &mut Report<'_>,
) {
    for (i, selector) in selectors.iter().enumerate() {
        if !candidates.clone().any(|labels| selector.matches(labels)) {
            report.note(
                format!("{field}[{i}]"),
                Reason::NothingSelected,
                format!("the selector matches no {what} at the moment; compare it with the labels of the {what}s"),
            );
        }
    }
}
