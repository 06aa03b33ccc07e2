//! What this node says about itself and about the addresses it announces. Pure: objects' status is
//! computed here and written by `publish`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use herald_crds::{Layer2Announcement, SpeakerInterface, SpeakerStatus};
use herald_model::service::ServiceKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::intent::Holding;
use crate::links::NotUsed;
use crate::ports::Usage;
use crate::strict_arp::Answered;
use crate::world::{READY, STOPPING};

/// Since when this node announces an address, and the how-manieth change of owner that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub since: Timestamp,
    pub epoch: i64,
}

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Saying {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

/// The status of this node's Speaker object. Transition times of conditions that say the same as
/// `before` are kept.
pub(crate) fn speaker_status(
    usages: &[Usage],
    answered: &[Answered],
    stopping: bool,
    before: Option<&SpeakerStatus>,
    now: Timestamp,
) -> SpeakerStatus {
    let sayings = [ready(usages, stopping), strict_arp(answered)];
    SpeakerStatus {
        interfaces: usages
            .iter()
            .filter(|usage| is_of_interest(usage))
            .map(interface)
            .collect(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        conditions: sayings
            .into_iter()
            .map(|saying| condition(saying, before, now))
            .collect(),
        ..SpeakerStatus::default()
    }
}

/// What this node announces for each Service, ordered by the address as text.
pub(crate) fn announcements(
    node: &str,
    owned: &BTreeMap<IpAddr, Holding>,
    tenures: &BTreeMap<IpAddr, Tenure>,
) -> BTreeMap<ServiceKey, Vec<Layer2Announcement>> {
    let mut announcements: BTreeMap<ServiceKey, Vec<Layer2Announcement>> = BTreeMap::new();
    for (address, holding) in owned {
        let Some(tenure) = tenures.get(address) else {
            continue;
        };
        for service in &holding.services {
            let entries = announcements.entry(service.clone()).or_default();
            entries.push(Layer2Announcement {
                address: address.to_string(),
                node: node.to_owned(),
                interfaces: holding.interfaces.iter().cloned().collect(),
                since: Some(Time(tenure.since)),
                epoch: Some(tenure.epoch),
                gateway_acknowledged: None,
            });
        }
    }
    for entries in announcements.values_mut() {
        entries.sort_by(|a, b| a.address.cmp(&b.address));
    }
    announcements
}

fn ready(usages: &[Usage], stopping: bool) -> Saying {
    let saying = |holds, reason, message| Saying {
        kind: READY,
        holds,
        reason,
        message,
    };
    if stopping {
        return saying(false, STOPPING, "the speaker is about to end".to_owned());
    }
    let used: Vec<&str> = usages
        .iter()
        .filter(|usage| usage.used.is_ok())
        .map(|usage| usage.link.name.as_str())
        .collect();
    if !used.is_empty() {
        return saying(
            true,
            "Announcing",
            format!("announces on {}", used.join(", ")),
        );
    }
    let refusal = usages.iter().find_map(|usage| match &usage.used {
        Err(NotUsed::NoSocket { error }) => Some(error.clone()),
        _ => None,
    });
    match refusal {
        Some(error) => saying(false, "NoSocket", error),
        None => saying(
            false,
            "NoInterface",
            "no interface of this node can be announced on: see status.interfaces, and the \
             flag --exclude-interfaces"
                .to_owned(),
        ),
    }
}

fn strict_arp(answered: &[Answered]) -> Saying {
    match answered.first() {
        None => Saying {
            kind: "StrictARP",
            holds: true,
            reason: "OnlySpeakerAnswers",
            message: "the kernel answers ARP for no service address".to_owned(),
        },
        Some(first) => Saying {
            kind: "StrictARP",
            holds: false,
            reason: "KernelAnswers",
            message: first.to_string(),
        },
    }
}

/// Ends of pods' cables come and go with every pod; they are nobody's question.
fn is_of_interest(usage: &Usage) -> bool {
    !matches!(
        usage.used,
        Err(NotUsed::Excluded { .. } | NotUsed::Loopback)
    )
}

fn interface(usage: &Usage) -> SpeakerInterface {
    let addresses = usage.link.addresses.iter();
    SpeakerInterface {
        name: usage.link.name.clone(),
        index: Some(usage.index.into()),
        mac: usage.link.mac.map(|mac| mac.to_string()),
        addresses: addresses
            .map(|(address, length)| format!("{address}/{length}"))
            .collect(),
        reason_not_used: usage.used.as_ref().err().map(ToString::to_string),
    }
}

fn condition(saying: Saying, before: Option<&SpeakerStatus>, now: Timestamp) -> Condition {
    let status = if saying.holds { "True" } else { "False" };
    let known = before.into_iter().flat_map(|before| &before.conditions);
    let same = known
        .filter(|condition| condition.type_ == saying.kind && condition.status == status)
        .map(|condition| condition.last_transition_time.clone())
        .next();
    Condition {
        type_: saying.kind.to_owned(),
        status: status.to_owned(),
        reason: saying.reason.to_owned(),
        message: saying.message,
        last_transition_time: same.unwrap_or(Time(now)),
        observed_generation: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Link;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn usage(name: &str, used: Result<(), NotUsed>) -> Usage {
        Usage {
            link: Link {
                name: name.to_owned(),
                ..Link::default()
            },
            index: 2,
            used,
        }
    }

    fn ready_of(status: &SpeakerStatus) -> (&str, &str, Timestamp) {
        let ready = &status.conditions[0];
        (&ready.status, &ready.reason, ready.last_transition_time.0)
    }

    #[test]
    fn a_speaker_is_ready_when_it_can_announce_somewhere() {
        let privilege = NotUsed::NoSocket {
            error: "add NET_RAW".to_owned(),
        };
        let cases = [
            (
                vec![usage("eth0", Ok(())), usage("eth1", Err(NotUsed::Down))],
                false,
                "Announcing",
            ),
            (
                vec![usage("eth0", Err(NotUsed::Down))],
                false,
                "NoInterface",
            ),
            (vec![usage("eth0", Err(privilege))], false, "NoSocket"),
            (vec![usage("eth0", Ok(()))], true, STOPPING),
            (vec![], false, "NoInterface"),
        ];
        for (usages, stopping, reason) in cases {
            let status = speaker_status(&usages, &[], stopping, None, at(0));
            assert_eq!(ready_of(&status).1, reason);
        }
    }

    #[test]
    fn a_condition_keeps_its_transition_time_while_its_status_stays() {
        let up = vec![usage("eth0", Ok(()))];
        let first = speaker_status(&up, &[], false, None, at(1));
        let second = speaker_status(&up, &[], false, Some(&first), at(2));
        assert_eq!(ready_of(&second).2, at(1));
        let third = speaker_status(&[], &[], false, Some(&second), at(3));
        assert_eq!(ready_of(&third), ("False", "NoInterface", at(3)));
    }

    #[test]
    fn pod_interfaces_are_not_listed() {
        let pod = NotUsed::Excluded {
            pattern: "veth*".to_owned(),
        };
        let usages = [usage("veth1", Err(pod)), usage("eth0", Ok(()))];
        let status = speaker_status(&usages, &[], false, None, at(0));
        assert_eq!(status.interfaces.len(), 1);
    }
}
