//! Conditions: what is wanted, merged with what stands there. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Type of the condition on a Service that says whether it has what it asks for.
pub(crate) const ADDRESS_ALLOCATED: &str = "heraldlb.io/AddressAllocated";

/// A condition's message may be this long, in bytes; longer ones are cut.
const MESSAGE_LIMIT: usize = 4096;

/// A condition without its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) type_: &'static str,
    pub(crate) status: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// A condition as it stands on one of many objects: a third of the size of [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// None where it is unknown.
    status: Option<bool>,
    reason: Box<str>,
    message: Box<str>,
    since: Timestamp,
}

impl Standing {
    /// The condition of this type among some.
    pub(crate) fn find(conditions: &[Condition], type_: &str) -> Option<Self> {
        let condition = find(conditions, type_)?;
        let status = match condition.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        Some(Self {
            status,
            reason: condition.reason.as_str().into(),
            message: condition.message.as_str().into(),
            since: condition.last_transition_time.0,
        })
    }

    /// What it says of a Service that has what it asks for.
    pub(crate) fn said(&self) -> Option<&str> {
        (self.status == Some(true)).then_some(&self.message)
    }

    /// As it was read, but for the generation it was for.
    pub(crate) fn condition(&self, type_: &str) -> Condition {
        let status = match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_string(),
            message: self.message.to_string(),
            observed_generation: None,
            last_transition_time: Time(self.since),
        }
    }
}

/// The condition of this type among those that stand there.
pub(crate) fn find<'a>(current: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    current.iter().find(|condition| condition.type_ == type_)
}

/// What shall stand there. The time of the last transition changes only when the status does.
pub(crate) fn merged(
    current: &[Condition],
    wanted: Wanted,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let Wanted {
        type_,
        status,
        reason,
        message,
    } = wanted;
    let status = if status { "True" } else { "False" };
    let before = find(current, type_).filter(|before| before.status == status);
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: shortened(message),
        observed_generation: generation,
        last_transition_time: before.map_or(Time(now), |b| b.last_transition_time.clone()),
    }
}

/// Whether the reader learns something new: another status, reason or message.
pub(crate) fn is_news(current: &[Condition], wanted: &Condition) -> bool {
    find(current, &wanted.type_).is_none_or(|before| {
        (&before.status, &before.reason, &before.message)
            != (&wanted.status, &wanted.reason, &wanted.message)
    })
}

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        let mut end = MESSAGE_LIMIT;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn wanted(status: bool, reason: &'static str, message: &str) -> Wanted {
        Wanted {
            type_: "Accepted",
            status,
            reason,
            message: message.to_owned(),
        }
    }

    #[test]
    fn the_transition_time_changes_with_the_status_only() {
        let first = merged(&[], wanted(true, "Accepted", ""), Some(1), at(10));
        assert_eq!(first.last_transition_time, Time(at(10)));
        for (status, reason, expected) in [
            (true, "Accepted", 10),
            (true, "NotAdvertised", 10),
            (false, "HostBitsSet", 20),
        ] {
            let current = std::slice::from_ref(&first);
            let next = merged(current, wanted(status, reason, "x"), Some(2), at(20));
            assert_eq!(next.last_transition_time, Time(at(expected)), "{reason}");
            assert_eq!(next.observed_generation, Some(2));
            assert!(is_news(current, &next));
        }
        let same = merged(
            std::slice::from_ref(&first),
            wanted(true, "Accepted", ""),
            Some(1),
            at(30),
        );
        assert_eq!(same, first);
        assert!(!is_news(&[first], &same));
    }

    #[test]
    fn what_stands_on_an_object_is_given_back_as_it_was() {
        let written = merged(&[], wanted(true, "Allocated", "It has."), None, at(10));
        let unknown = Condition {
            status: "Unknown".to_owned(),
            ..written.clone()
        };
        for condition in [written, unknown] {
            let standing = Standing::find(std::slice::from_ref(&condition), "Accepted").unwrap();
            assert_eq!(standing.condition("Accepted"), condition);
        }
        assert_eq!(Standing::find(&[], "Accepted"), None);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = merged(
            &[],
            wanted(true, "Accepted", &"é".repeat(5000)),
            None,
            at(0),
        );
        assert!(long.message.ends_with("é…") && long.message.len() <= MESSAGE_LIMIT + 3);
    }
}
