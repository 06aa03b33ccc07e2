//! Pools that Services have addresses from and that do not exist: how long their addresses stay as they
//! are. Pure.
//!
//! A pool that is deleted may be made again a moment later, as when objects are replaced or a definition
//! is. For a grace its holders keep their addresses, and nobody gets one of them. The grace begins when
//! the pool is first missed while others are in force: without any pool nothing is known.
//!
//! Not here: what becomes of the holders afterwards (`herald_model::alloc`), and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use herald_config::Config;
use herald_model::address::{AddressRange, RangeSet};
use herald_model::service::Service;
use herald_model::unusable::Owner;
use herald_runtime::events::{Happening, Kind};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;

/// One pool that does not exist.
#[derive(Debug, Default)]
struct Absence {
    /// What it held, as far as this process saw it.
    ranges: RangeSet,
    /// When its grace began.
    since: Option<Instant>,
    /// What was told: until when its holders keep their addresses; none while there is no pool at all.
    told: Option<Option<Instant>>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Absent {
    grace: Duration,
    /// The pools that Services say to have addresses from: how many say so.
    named: BTreeMap<String, usize>,
    /// The pools that exist, with their addresses; none of those that are set aside.
    existing: BTreeMap<String, RangeSet>,
    pools: BTreeMap<String, Absence>,
}

/// How absent pools stand at one moment.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    /// The pools whose holders keep their addresses.
    pub(crate) suspended: BTreeSet<String>,
    /// What nobody gets meanwhile.
    pub(crate) held: Vec<(AddressRange, Owner)>,
    /// When the next grace ends.
    pub(crate) next: Option<Instant>,
    /// What to say of it.
    pub(crate) happenings: Vec<Happening>,
}

impl Absent {
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            grace,
            named: BTreeMap::new(),
            existing: BTreeMap::new(),
            pools: BTreeMap::new(),
        }
    }

    /// Takes in which pools exist. What those held that are gone is remembered.
    pub(crate) fn configure(&mut self, config: &Config) {
        let in_force = config.pools.iter();
        let in_force = in_force.map(|(name, pool)| (name.clone(), pool.ranges.clone()));
        let aside = config.quarantined_pools.iter();
        let aside = aside.map(|name| (name.clone(), RangeSet::default()));
        let existing: BTreeMap<String, RangeSet> = in_force.chain(aside).collect();
        let before = std::mem::replace(&mut self.existing, existing);
        for (name, ranges) in before {
            if !self.existing.contains_key(&name) {
                self.pools.entry(name).or_default().ranges = ranges;
            }
        }
    }

    /// Takes in what a Service was and is now.
    pub(crate) fn enter(&mut self, old: Option<&Service>, new: Option<&Service>) {
        for name in new.into_iter().flat_map(pools_of) {
            *self.named.entry(name.clone()).or_default() += 1;
        }
        for name in old.into_iter().flat_map(pools_of) {
            if let Some(count) = self.named.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.named.remove(name);
                }
            }
        }
    }

    /// How things stand now; `wall` is the same moment for people.
    pub(crate) fn outlook(&mut self, now: Instant, wall: Timestamp) -> Outlook {
        for name in self.named.keys() {
            if !self.existing.contains_key(name) && !self.pools.contains_key(name) {
                self.pools.insert(name.clone(), Absence::default());
            }
        }
        let any_in_force = self.existing.values().any(|ranges| !ranges.is_empty());
        let mut outlook = Outlook::default();
        let (grace, named, existing) = (self.grace, &self.named, &self.existing);
        self.pools.retain(|name, absence| {
            let holders = named.get(name).copied().unwrap_or_default();
            if existing.contains_key(name) {
                if absence.told.is_some() && holders > 0 {
                    outlook.happenings.push(back(name, holders));
                }
                return false;
            }
            absence.since = any_in_force.then(|| absence.since.unwrap_or(now));
            let until = absence.since.map(|since| since + grace);
            let lasts = until.is_none_or(|until| now < until);
            if lasts {
                outlook.suspended.insert(name.clone());
                let owner = || Owner::HeldPool { pool: name.clone() };
                let ranges = absence.ranges.iter();
                outlook.held.extend(ranges.map(|range| (*range, owner())));
                outlook.next = [outlook.next, until].into_iter().flatten().min();
            }
            if lasts && holders > 0 && absence.told != Some(until) {
                absence.told = Some(until);
                let left = until.map(|until| (wall, until.saturating_duration_since(now)));
                outlook.happenings.push(gone(name, holders, left));
            }
            lasts || holders > 0
        });
        outlook
    }
}

/// The pools that the addresses a Service holds came from.
fn pools_of(service: &Service) -> &[String] {
    match service.held.is_empty() {
        true => &[],
        false => &service.held_pools,
    }
}

fn gone(pool: &str, holders: usize, left: Option<(Timestamp, Duration)>) -> Happening {
    let (services, keep) = counted(holders);
    let what_follows = match left {
        Some((wall, left)) => {
            let until = wall.checked_add(left).unwrap_or(wall).as_second();
            let until = Timestamp::from_second(until).unwrap_or(wall);
            format!(
                "until {until}, and nobody else gets one of them; then holders move to other pools, one a \
                 second. Create the pool again to keep them"
            )
        }
        None => "as no other pool is in force".to_owned(),
    };
    let note = format!(
        "IPAddressPool {pool} does not exist, and {services} addresses from it. {keep} them \
         {what_follows}."
    );
    happening(pool, Kind::Warning, "PoolDeleted", note)
}

fn back(pool: &str, holders: usize) -> Happening {
    let (services, keep) = counted(holders);
    let note =
        format!("IPAddressPool {pool} exists again: {services} addresses from it. {keep} them.");
    happening(pool, Kind::Normal, "PoolRestored", note)
}

fn counted(holders: usize) -> (String, &'static str) {
    match holders {
        1 => ("1 Service has".to_owned(), "It keeps"),
        several => (format!("{several} Services have"), "They keep"),
    }
}

fn happening(pool: &str, kind: Kind, reason: &'static str, note: String) -> Happening {
    let regarding = ObjectReference {
        api_version: Some(format!("{}/{}", herald_crds::GROUP, herald_crds::VERSION)),
        kind: Some("IPAddressPool".to_owned()),
        name: Some(pool.to_owned()),
        ..ObjectReference::default()
    };
    Happening {
        regarding,
        about: None,
        kind,
        reason,
        action: "Allocate",
        note,
    }
}

#[cfg(test)]
mod tests {
    use herald_model::pool::Pool;
    use herald_model::service::ServiceKey;
    use herald_runtime::clock;

    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    fn config(pools: &[(&str, &str)]) -> Config {
        let pool = |(name, range): &(&str, &str)| {
            let ranges = RangeSet::new(vec![range.parse().unwrap()]);
            ((*name).to_owned(), Pool::new(*name, ranges))
        };
        Config {
            pools: pools.iter().map(pool).collect(),
            ..Config::default()
        }
    }

    fn holder(pool: &str) -> Service {
        Service {
            held: vec!["192.0.2.1".parse().unwrap()],
            held_pools: vec![pool.to_owned()],
            ..Service::new(ServiceKey::new("shop", "web"))
        }
    }

    fn reasons(outlook: &Outlook) -> Vec<&str> {
        outlook.happenings.iter().map(|h| h.reason).collect()
    }

    const OTHER: (&str, &str) = ("other", "198.51.100.0/24");

    #[test]
    fn a_pool_that_is_made_again_within_the_grace_was_never_gone() {
        let (start, wall) = (clock::now(), Timestamp::UNIX_EPOCH);
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut absent = Absent::new(GRACE);
        absent.configure(&config(&[OTHER, ("prod", "192.0.2.0/24")]));
        absent.enter(None, Some(&holder("prod")));
        let before = absent.outlook(start, wall);
        assert!(before.suspended.is_empty() && before.next.is_none());

        absent.configure(&config(&[OTHER]));
        let first = absent.outlook(start, wall);
        assert_eq!(first.suspended, ["prod".to_owned()].into());
        let held = ("192.0.2.0/24".parse().unwrap(), "prod".to_owned());
        assert_eq!(first.held, [(held.0, Owner::HeldPool { pool: held.1 })]);
        assert_eq!(first.next, Some(after(60)));
        assert_eq!(
            first.happenings[0].note,
            "IPAddressPool prod does not exist, and 1 Service has addresses from it. It keeps them \
             until 1970-01-01T00:01:00Z, and nobody else gets one of them; then holders move to other \
             pools, one a second. Create the pool again to keep them."
        );
        let later = absent.outlook(after(59), wall);
        assert_eq!(later.suspended.len(), 1);
        assert!(later.happenings.is_empty(), "it is told once");

        absent.configure(&config(&[OTHER, ("prod", "192.0.2.0/24")]));
        let again = absent.outlook(after(59), wall);
        assert!(again.suspended.is_empty() && again.held.is_empty());
        assert_eq!(reasons(&again), ["PoolRestored"]);
    }

    #[test]
    fn after_the_grace_the_pool_is_gone_and_its_grace_does_not_begin_again() {
        let (start, wall) = (clock::now(), Timestamp::UNIX_EPOCH);
        let mut absent = Absent::new(GRACE);
        absent.configure(&config(&[OTHER]));
        absent.enter(None, Some(&holder("prod")));
        absent.enter(None, Some(&holder("prod")));
        assert_eq!(absent.outlook(start, wall).suspended.len(), 1);
        for seconds in [60, 61, 300] {
            let outlook = absent.outlook(start + Duration::from_secs(seconds), wall);
            assert!(outlook.suspended.is_empty() && outlook.happenings.is_empty());
            assert_eq!(outlook.next, None);
            absent.enter(Some(&holder("prod")), Some(&holder("prod")));
        }
        absent.enter(Some(&holder("prod")), Some(&holder("other")));
        absent.enter(Some(&holder("prod")), None);
        absent.outlook(start + GRACE * 9, wall);
        assert!(absent.pools.is_empty() && absent.named.len() == 1);
    }

    #[test]
    fn without_any_pool_the_grace_does_not_begin() {
        let (start, wall) = (clock::now(), Timestamp::UNIX_EPOCH);
        let mut absent = Absent::new(GRACE);
        absent.enter(None, Some(&holder("prod")));
        let long_after = start + GRACE * 100;
        for now in [start, long_after] {
            let outlook = absent.outlook(now, wall);
            assert_eq!((outlook.suspended.len(), outlook.next), (1, None));
        }
        absent.configure(&config(&[OTHER]));
        let begun = absent.outlook(long_after, wall);
        assert_eq!(begun.next, Some(long_after + GRACE));
        assert_eq!(reasons(&begun), ["PoolDeleted"]);
    }

    #[test]
    fn a_pool_without_holders_is_held_for_the_grace_without_a_word() {
        let (start, wall) = (clock::now(), Timestamp::UNIX_EPOCH);
        let mut absent = Absent::new(GRACE);
        absent.configure(&config(&[OTHER, ("prod", "192.0.2.0/24")]));
        absent.configure(&config(&[OTHER]));
        let first = absent.outlook(start, wall);
        assert_eq!((first.held.len(), first.happenings.len()), (1, 0));
        let after = absent.outlook(start + GRACE, wall);
        assert!(after.held.is_empty() && absent.pools.is_empty());
    }
}
