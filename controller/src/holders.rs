//! Who holds which address of a pool that remembers, and who held it last. Pure.
//!
//! A pool with `retain` or `reuseDelay` has to know, after any restart, who had an address before. So
//! its holders are written down behind the addresses, in a few ConfigMaps: one line each, the Services
//! that hold the address, or the last one that did, with the time it ended. A Service that went while
//! nobody looked is found when the lines are read again, and its time counts from then.
//!
//! Not here: for how long that binds an address (`herald_model::alloc`), the form of a line
//! (`herald_config::holding`), and writing (`apply`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_config::holding::{Holding, from_key, page, to_key};
use herald_model::alloc::Freed;
use herald_model::service::ServiceKey;

/// The lines of one ConfigMap, by their keys.
pub(crate) type Page = BTreeMap<String, String>;

/// Every address that is or was held.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    entries: BTreeMap<IpAddr, Holding>,
    by_service: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
    /// Pages that are not written as they stand here.
    stale: BTreeSet<u8>,
}

impl Holders {
    /// What was written down by an earlier life. Lines that are not understood are left out.
    pub(crate) fn recall<'p>(pages: impl IntoIterator<Item = &'p Page>) -> Self {
        let mut holders = Self::default();
        let lines = pages.into_iter().flatten();
        for (address, line) in lines.filter_map(|(key, line)| Some((from_key(key)?, line))) {
            let Some(entry) = Holding::parse(line) else {
                tracing::warn!(%address, line, "who held this address is not understood");
                continue;
            };
            if let Holding::Held(services) = &entry {
                for service in services {
                    let theirs = holders.by_service.entry(service.clone()).or_default();
                    theirs.insert(address);
                }
            }
            holders.entries.insert(address, entry);
        }
        holders
    }

    /// The Services that are known to hold something.
    pub(crate) fn services(&self) -> Vec<ServiceKey> {
        self.by_service.keys().cloned().collect()
    }

    /// Takes in what a Service holds now, of addresses whose pool remembers. `ours` is whether it is
    /// still a Service that may hold one.
    pub(crate) fn enter(
        &mut self,
        service: &ServiceKey,
        holds: BTreeSet<IpAddr>,
        ours: bool,
        now: i64,
    ) {
        let before = self.by_service.remove(service).unwrap_or_default();
        for address in before.difference(&holds) {
            let Some(Holding::Held(services)) = self.entries.get_mut(address) else {
                continue;
            };
            services.remove(service);
            if services.is_empty() {
                let freed = Freed {
                    holder: service.clone(),
                    at: now,
                    deleted: !ours,
                };
                self.entries.insert(*address, Holding::Freed(freed));
            }
            self.stale.insert(page(*address));
        }
        for address in holds.difference(&before) {
            match self.entries.get_mut(address) {
                Some(Holding::Held(services)) => {
                    services.insert(service.clone());
                }
                Some(Holding::Freed(_)) | None => {
                    let services = BTreeSet::from([service.clone()]);
                    self.entries.insert(*address, Holding::Held(services));
                }
            }
            self.stale.insert(page(*address));
        }
        if !holds.is_empty() {
            self.by_service.insert(service.clone(), holds);
        }
    }

    /// Addresses that nobody holds any more, with who held them last.
    pub(crate) fn freed(&self) -> BTreeMap<IpAddr, Freed> {
        let freed = |(address, entry): (&IpAddr, &Holding)| match entry {
            Holding::Freed(freed) => Some((*address, freed.clone())),
            Holding::Held(_) => None,
        };
        self.entries.iter().filter_map(freed).collect()
    }

    /// Forgets addresses that bind nobody any more.
    pub(crate) fn forget(&mut self, addresses: &BTreeSet<IpAddr>) {
        for address in addresses {
            if matches!(self.entries.get(address), Some(Holding::Freed(_))) {
                self.entries.remove(address);
                self.stale.insert(page(*address));
            }
        }
    }

    /// The pages that changed since this was last asked.
    pub(crate) fn take_stale(&mut self) -> BTreeSet<u8> {
        std::mem::take(&mut self.stale)
    }

    /// Adds the lines to the pages they belong to.
    pub(crate) fn write_on(&self, pages: &mut BTreeMap<u8, Page>) {
        for (address, entry) in &self.entries {
            if let Some(page) = pages.get_mut(&page(*address)) {
                page.insert(to_key(*address), entry.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn key(name: &str) -> ServiceKey {
        ServiceKey::new("shop", name)
    }

    fn some(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|a| ip(a)).collect()
    }

    fn freed(name: &str, at: i64, deleted: bool) -> Freed {
        Freed {
            holder: key(name),
            at,
            deleted,
        }
    }

    fn pages_of(holders: &mut Holders) -> BTreeMap<u8, Page> {
        let stale = holders.take_stale().into_iter();
        let mut pages = stale.map(|page| (page, Page::new())).collect();
        holders.write_on(&mut pages);
        pages
    }

    #[test]
    fn an_address_is_free_when_the_last_of_those_who_share_it_is_gone() {
        let mut holders = Holders::default();
        holders.enter(&key("a"), some(&["192.0.2.1"]), true, 10);
        holders.enter(&key("b"), some(&["192.0.2.1", "2001:db8::1"]), true, 11);
        holders.enter(&key("a"), some(&[]), false, 20);
        assert_eq!(holders.freed(), BTreeMap::new());
        holders.enter(&key("b"), some(&["2001:db8::1"]), true, 30);
        let expected = BTreeMap::from([(ip("192.0.2.1"), freed("b", 30, false))]);
        assert_eq!(holders.freed(), expected);
        holders.enter(&key("b"), some(&[]), false, 40);
        assert_eq!(holders.freed()[&ip("2001:db8::1")], freed("b", 40, true));
        holders.enter(&key("c"), some(&["192.0.2.1"]), true, 50);
        holders.forget(&some(&["192.0.2.1", "2001:db8::1"]));
        assert_eq!(holders.freed(), BTreeMap::new());
        assert_eq!(holders.services(), [key("c")], "a holder is not forgotten");
    }

    #[test]
    fn what_is_written_down_is_read_again_whole() {
        let mut holders = Holders::default();
        holders.enter(&key("a"), some(&["192.0.2.1", "2001:db8::1"]), true, 10);
        holders.enter(&key("b"), some(&["192.0.2.1"]), true, 10);
        holders.enter(&key("c"), some(&["192.0.2.17", "192.0.2.3"]), true, 10);
        holders.enter(&key("c"), some(&["192.0.2.17"]), true, 1_700_000_000);
        let pages = pages_of(&mut holders);
        assert_eq!(
            pages[&1],
            Page::from([
                ("192.0.2.1".to_owned(), "shop/a,shop/b".to_owned()),
                ("192.0.2.17".to_owned(), "shop/c".to_owned()),
                ("2001-db8--1".to_owned(), "shop/a".to_owned()),
            ])
        );
        assert_eq!(
            pages[&3],
            Page::from([(
                "192.0.2.3".to_owned(),
                "shop/c moved 2023-11-14T22:13:20Z".to_owned()
            )])
        );
        assert!(holders.take_stale().is_empty(), "nothing changed since");

        let again = Holders::recall(pages.values());
        assert_eq!(again.entries, holders.entries);
        assert_eq!(again.by_service[&key("a")], holders.by_service[&key("a")]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_left_out() {
        let page = Page::from([("192.0.2.1".to_owned(), "web".to_owned())]);
        assert!(Holders::recall([&page]).entries.is_empty());
    }
}
