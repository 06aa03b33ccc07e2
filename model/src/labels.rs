//! Labels and selectors, with the meaning Kubernetes gives them.

use std::collections::{BTreeMap, BTreeSet};

/// Labels of one object.
pub type Labels = BTreeMap<String, String>;

/// All of its parts must match; without parts it matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// Labels that must be present with exactly this value.
    pub match_labels: Labels,
    /// Further conditions, each on one key.
    pub match_expressions: Vec<Requirement>,
}

/// One condition on one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// The label key.
    pub key: String,
    /// What must hold for it.
    pub operator: Operator,
}

/// What must hold for a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// Present, with one of these values.
    In(BTreeSet<String>),
    /// Absent, or present with another value.
    NotIn(BTreeSet<String>),
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|v| values.contains(v)),
            Operator::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl Selector {
    /// The selector of exactly these labels.
    #[must_use]
    pub fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let match_labels = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Self {
            match_labels,
            match_expressions: Vec::new(),
        }
    }

    /// True when every part matches.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels
            .iter()
            .all(|(k, v)| labels.get(k) == Some(v))
            && self.match_expressions.iter().all(|r| r.matches(labels))
    }
}

/// How lists of selectors select: any of them, and an empty list selects everything.
#[must_use]
pub fn any_or_all(selectors: &[Selector], labels: &Labels) -> bool {
    selectors.is_empty() || selectors.iter().any(|s| s.matches(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kubernetes documentation, "Labels and Selectors": NotIn also selects objects without the
    /// key.
    #[test]
    fn each_operator_answers_for_absent_equal_and_other_values() {
        let values = || BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        for (operator, absent, listed, other) in [
            (Operator::In(values()), false, true, false),
            (Operator::NotIn(values()), true, false, true),
            (Operator::Exists, false, true, true),
            (Operator::DoesNotExist, true, false, false),
        ] {
            let requirement = Requirement {
                key: "k".into(),
                operator,
            };
            let selector = Selector {
                match_expressions: vec![requirement],
                ..Selector::default()
            };
            let with = |value: &str| Labels::from([("k".to_owned(), value.to_owned())]);
            let got = [Labels::new(), with("b"), with("c")].map(|l| selector.matches(&l));
            assert_eq!(got, [absent, listed, other], "{selector:?}");
        }
    }

    #[test]
    fn all_parts_of_a_selector_must_match_and_any_of_a_list() {
        let labels = Labels::from([("a", "1"), ("b", "2")].map(|(k, v)| (k.into(), v.into())));
        let (a, ab, ac) = (
            Selector::labels([("a", "1")]),
            Selector::labels([("a", "1"), ("b", "2")]),
            Selector::labels([("a", "1"), ("b", "3")]),
        );
        assert!(a.matches(&labels) && ab.matches(&labels) && !ac.matches(&labels));
        assert!(Selector::default().matches(&labels));
        assert!(any_or_all(&[], &labels) && any_or_all(&[ac.clone(), a], &labels));
        assert!(!any_or_all(&[ac], &labels));
    }
}
