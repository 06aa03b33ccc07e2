//! What became of what was written behind the rounds, and which writes wait since the API server rejected
//! them. Pure but for the log.
//!
//! Not here: sending (`apply`), and when everything is looked at again (`noted`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use herald_model::service::ServiceKey;
use herald_runtime::rejections::Rejections;

use crate::apply::Refused;
use crate::members::Leaver;
use crate::report::{Report, Subject};

/// What was rejected, and what stopped the writes of one look.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    rejections: Rejections<Subject, u64>,
    stopped: BTreeMap<String, Refused>,
}

impl Outcomes {
    /// Of the reports those that do not wait, and have a place; `place` says how long it takes until there is
    /// one. Gives also how long that is, if some have none.
    pub(crate) fn admit(
        &mut self,
        due: impl Iterator<Item = Report>,
        mut place: impl FnMut() -> Result<(), Duration>,
        now: Instant,
    ) -> (Vec<Report>, Option<Duration>) {
        let (mut reports, mut rejected) = (Vec::new(), BTreeSet::new());
        for report in due {
            let subject = Subject::Status(report.target.clone());
            if self.rejections.contains(&subject) {
                let waits = self.rejections.waits(&subject, || report.content(), now);
                rejected.insert(subject);
                if waits {
                    continue;
                }
            }
            // Those without a place are made again when there is one: all at once they would take
            // more memory than everything else together.
            match place() {
                Ok(()) => reports.push(report),
                Err(later) => return (reports, Some(later)),
            }
        }
        self.rejections
            .retain(|subject| !matches!(subject, Subject::Status(_)) || rejected.contains(subject));
        (reports, None)
    }

    /// Whether this very write was rejected and is not due again yet.
    pub(crate) fn waits(&self, subject: &Subject, content: u64, now: Instant) -> bool {
        self.rejections.waits(subject, || content, now)
    }

    /// Takes in what became of a write; gives what it made, if it was done. Says once what was rejected.
    pub(crate) fn note<T>(
        &mut self,
        subject: Subject,
        content: u64,
        outcome: Result<T, Refused>,
        now: Instant,
    ) -> Option<T> {
        match outcome {
            Ok(made) => {
                self.rejections.forget(&subject);
                return Some(made);
            }
            Err(Refused::Rejected(error)) => {
                let what = subject.to_string();
                if self.rejections.note(subject, content, now) {
                    tracing::warn!(%what, %error, "rejected, tried again when it changes and now and then");
                }
            }
            Err(Refused::Conflict) => {}
            Err(refused @ (Refused::NotLeading | Refused::WentBack { .. } | Refused::Error(_))) => {
                self.stopped.insert(subject.to_string(), refused);
            }
        }
        None
    }

    /// Forgets deletions that are not needed any more.
    pub(crate) fn retain(&mut self, orphans: &[(ServiceKey, String)], leavers: &[Leaver]) {
        self.rejections.retain(|subject| match subject {
            Subject::Status(_) | Subject::Holders => true,
            Subject::Orphan(key) => orphans.iter().any(|(orphan, _)| orphan == key),
            Subject::Leaver(node) => leavers.iter().any(|leaver| leaver.node == *node),
        });
    }

    /// What could not be written, for a reason that may pass, since this was last asked.
    pub(crate) fn take_stopped(&mut self) -> BTreeMap<String, Refused> {
        std::mem::take(&mut self.stopped)
    }

    /// How long until something that was rejected is due.
    pub(crate) fn next(&self, now: Instant) -> Option<Duration> {
        self.rejections.next(now)
    }
}

#[cfg(test)]
mod tests {
    use herald_runtime::clock;
    use kube::core::{ApiResource, GroupVersionKind};
    use serde_json::json;

    use super::*;
    use crate::report::Target;

    fn report(name: &str, version: u64, second: u64) -> Report {
        let time = format!("2026-01-01T00:00:{:02}Z", second % 60);
        Report {
            target: Target {
                kind: "IPAddressPool",
                namespace: String::new(),
                name: name.to_owned(),
            },
            resource: ApiResource::from_gvk(&GroupVersionKind::gvk("g", "v", "X")),
            version,
            object: None,
            status: json!({"conditions": [{"reason": "Fine", "lastTransitionTime": time}]}),
            happenings: vec![],
        }
    }

    fn rejected<T>() -> Result<T, Refused> {
        Err(Refused::Rejected("invalid (422)".to_owned()))
    }

    /// Looks ten times a second for 40 s. The API server rejects `bad`, whose object has this version, and
    /// takes `good`, which is to be written in every look. Gives the seconds in which `bad` was sent, and how
    /// often `good` was.
    fn played(version: impl Fn(u64) -> u64) -> (Vec<u64>, usize) {
        let (mut outcomes, start) = (Outcomes::default(), clock::now());
        let (mut bad, mut good) = (Vec::new(), 0);
        for look in 0..400 {
            let second = look / 10;
            let now = start + Duration::from_millis(look * 100);
            let due = [
                report("bad", version(second), second),
                report("good", look, second),
            ];
            let (reports, _) = outcomes.admit(due.into_iter(), || Ok(()), now);
            for report in reports {
                let subject = Subject::Status(report.target.clone());
                let outcome = if report.target.name == "bad" {
                    bad.push(second);
                    rejected()
                } else {
                    good += 1;
                    Ok(())
                };
                outcomes.note(subject, report.content(), outcome, now);
            }
        }
        (bad, good)
    }

    #[test]
    fn a_rejected_report_is_sent_ever_more_rarely_and_keeps_no_other_from_being_sent() {
        assert_eq!(played(|_| 7), (vec![0, 1, 3, 7, 15, 31], 400));
    }

    #[test]
    fn a_rejected_report_is_sent_at_once_when_its_object_changed() {
        let version = |second| if second < 20 { 7 } else { 8 };
        assert_eq!(played(version).0, [0, 1, 3, 7, 15, 20, 21, 23, 27, 35]);
    }

    #[test]
    fn a_deletion_that_is_rejected_waits_as_a_report_does() {
        let (mut outcomes, start) = (Outcomes::default(), clock::now());
        let key = ServiceKey::new("shop", "web");
        for subject in [
            Subject::Holders,
            Subject::Orphan(key),
            Subject::Leaver("a".to_owned()),
        ] {
            let mut sent = Vec::new();
            for second in 0..40 {
                let now = start + Duration::from_secs(second);
                if !outcomes.waits(&subject, 1, now) {
                    sent.push(second);
                    outcomes.note(subject.clone(), 1, rejected::<()>(), now);
                }
            }
            assert_eq!(sent, [0, 1, 3, 7, 15, 31], "{subject}");
        }
        outcomes.retain(&[], &[]);
        let left: Vec<_> = [Subject::Holders, Subject::Leaver("a".to_owned())]
            .into_iter()
            .filter(|subject| outcomes.rejections.contains(subject))
            .collect();
        assert_eq!(left, [Subject::Holders], "what is gone is not remembered");
    }

    #[test]
    fn a_rejection_is_forgotten_when_nothing_is_to_be_written_any_more() {
        let (mut outcomes, now) = (Outcomes::default(), clock::now());
        let subject = Subject::Status(report("bad", 1, 0).target);
        outcomes.note(subject.clone(), 1, rejected::<()>(), now);
        let without_a_place = || Err(Duration::from_secs(1));
        let other = std::iter::once(report("good", 1, 0));
        outcomes.admit(other, without_a_place, now);
        assert!(outcomes.rejections.contains(&subject), "not all was seen");
        outcomes.admit(std::iter::empty(), || Ok(()), now);
        assert!(!outcomes.rejections.contains(&subject));
    }

    #[test]
    fn what_may_pass_stops_a_look_and_is_no_rejection() {
        let (mut outcomes, now) = (Outcomes::default(), clock::now());
        let error = || Refused::Error("no answer within 10 s".to_owned());
        let cases: [(Result<(), Refused>, bool, bool); 5] = [
            (Ok(()), false, false),
            (Err(Refused::Conflict), false, false),
            (Err(Refused::NotLeading), false, true),
            (Err(error()), false, true),
            (rejected(), true, false),
        ];
        for (outcome, is_rejected, stops) in cases {
            let text = format!("{outcome:?}");
            let is_done = outcome.is_ok();
            let made = outcomes.note(Subject::Holders, 1, outcome, now);
            assert_eq!(made.is_some(), is_done, "{text}");
            assert_eq!(!outcomes.take_stopped().is_empty(), stops, "{text}");
            let waits = outcomes.waits(&Subject::Holders, 1, now);
            assert_eq!(waits, is_rejected, "{text}");
        }
    }
}
