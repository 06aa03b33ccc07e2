//! Who holds which address of a pool that remembers, and who held it last. Pure.
//!
//! A pool with `retain` or `reuseDelay` has to know, after any restart, who had an address before. So
//! its holders are written down behind the addresses, in a few ConfigMaps: one line each, the Services
//! that hold the address, or the last one that did, with the time it ended. A Service that went while
//! nobody looked is found when the lines are read again, and its time counts from then.
//!
//! Not here: for how long that binds an address (`herald_model::alloc`), and writing (`apply`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use herald_model::address::Family;
use herald_model::alloc::Freed;
use herald_model::service::ServiceKey;
use k8s_openapi::jiff::Timestamp;

/// The lines of one ConfigMap.
pub(crate) type Page = BTreeMap<IpAddr, String>;

/// How many ConfigMaps there are: one hexadecimal digit's worth.
pub(crate) const PAGES: u8 = 16;

/// What is known of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// These hold it; never empty.
    Held(BTreeSet<ServiceKey>),
    /// Nobody does any more.
    Freed(Freed),
}

/// Every address that is or was held.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    entries: BTreeMap<IpAddr, Entry>,
    by_service: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
    /// Pages that are not written as they stand here.
    stale: BTreeSet<u8>,
}

/// The page an address is on.
fn page(address: IpAddr) -> u8 {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    last % PAGES
}

impl Holders {
    /// What was written down by an earlier life. Lines that are not understood are left out.
    pub(crate) fn recall(pages: impl IntoIterator<Item = Page>) -> Self {
        let mut holders = Self::default();
        for (address, line) in pages.into_iter().flatten() {
            let Some(entry) = read(&line) else {
                tracing::warn!(%address, line, "who held this address is not understood");
                continue;
            };
            if let Entry::Held(services) = &entry {
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
            let Some(Entry::Held(services)) = self.entries.get_mut(address) else {
                continue;
            };
            services.remove(service);
            if services.is_empty() {
                let freed = Freed {
                    holder: service.clone(),
                    at: now,
                    deleted: !ours,
                };
                self.entries.insert(*address, Entry::Freed(freed));
            }
            self.stale.insert(page(*address));
        }
        for address in holds.difference(&before) {
            match self.entries.get_mut(address) {
                Some(Entry::Held(services)) => {
                    services.insert(service.clone());
                }
                Some(Entry::Freed(_)) | None => {
                    let services = BTreeSet::from([service.clone()]);
                    self.entries.insert(*address, Entry::Held(services));
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
        let freed = |(address, entry): (&IpAddr, &Entry)| match entry {
            Entry::Freed(freed) => Some((*address, freed.clone())),
            Entry::Held(_) => None,
        };
        self.entries.iter().filter_map(freed).collect()
    }

    /// Forgets addresses that bind nobody any more.
    pub(crate) fn forget(&mut self, addresses: &BTreeSet<IpAddr>) {
        for address in addresses {
            if matches!(self.entries.get(address), Some(Entry::Freed(_))) {
                self.entries.remove(address);
                self.stale.insert(page(*address));
            }
        }
    }

    /// The pages that changed since this was last asked, whole.
    pub(crate) fn take_stale(&mut self) -> BTreeMap<u8, Page> {
        let mut pages: BTreeMap<u8, Page> = std::mem::take(&mut self.stale)
            .into_iter()
            .map(|page| (page, Page::new()))
            .collect();
        if !pages.is_empty() {
            for (address, entry) in &self.entries {
                if let Some(page) = pages.get_mut(&page(*address)) {
                    page.insert(*address, written(entry));
                }
            }
        }
        pages
    }
}

/// `shop/web`, `shop/api,shop/web`, `shop/web moved 2026-11-21T10:00:00Z` or
/// `shop/web deleted 2026-11-21T10:00:00Z`.
fn written(entry: &Entry) -> String {
    let mut line = String::new();
    match entry {
        Entry::Held(services) => {
            for (place, service) in services.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                let _infallible = write!(line, "{comma}{service}");
            }
        }
        Entry::Freed(Freed {
            holder,
            at,
            deleted,
        }) => {
            let how = if *deleted { "deleted" } else { "moved" };
            let at = Timestamp::from_second(*at).unwrap_or_default();
            let _infallible = write!(line, "{holder} {how} {at}");
        }
    }
    line
}

fn read(line: &str) -> Option<Entry> {
    let service = |text: &str| {
        let (namespace, name) = text.split_once('/')?;
        (!namespace.is_empty() && !name.is_empty()).then(|| ServiceKey::new(namespace, name))
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [holder, how @ ("moved" | "deleted"), at] => Some(Entry::Freed(Freed {
            holder: service(holder)?,
            at: at.parse::<Timestamp>().ok()?.as_second(),
            deleted: *how == "deleted",
        })),
        [holders] => {
            let services: Option<BTreeSet<_>> = holders.split(',').map(service).collect();
            services.map(Entry::Held)
        }
        _ => None,
    }
}

/// An address as the key of a ConfigMap, which may not contain a colon.
pub(crate) fn to_key(address: IpAddr) -> String {
    address.to_string().replace(':', "-")
}

/// The address a key of a ConfigMap names.
pub(crate) fn from_key(key: &str) -> Option<IpAddr> {
    let address: IpAddr = match key.contains('-') {
        true => key.replace('-', ":").parse().ok()?,
        false => key.parse().ok()?,
    };
    let is_six = Family::of(address) == Family::V6;
    (is_six == key.contains('-')).then_some(address)
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
        let pages = holders.take_stale();
        assert_eq!(
            pages[&1],
            Page::from([
                (ip("192.0.2.1"), "shop/a,shop/b".to_owned()),
                (ip("192.0.2.17"), "shop/c".to_owned()),
                (ip("2001:db8::1"), "shop/a".to_owned()),
            ])
        );
        assert_eq!(
            pages[&3],
            Page::from([(
                ip("192.0.2.3"),
                "shop/c moved 2023-11-14T22:13:20Z".to_owned()
            )])
        );
        assert!(holders.take_stale().is_empty(), "nothing changed since");

        let again = Holders::recall(pages.into_values());
        assert_eq!(again.entries, holders.entries);
        assert_eq!(again.by_service[&key("a")], holders.by_service[&key("a")]);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_left_out() {
        for line in [
            "",
            "web",
            "shop/",
            "shop/web lost 2023-11-14T22:13:20Z",
            "a/b deleted now",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn an_address_is_a_key_and_back() {
        for address in ["192.0.2.1", "2001:db8::1", "::", "::ffff:192.0.2.1"] {
            let key = to_key(ip(address));
            assert!(!key.contains(':'), "{key}");
            assert_eq!(from_key(&key), Some(ip(address)), "{address}");
        }
        for key in ["", "web", "192.0.2.256", "192-0-2-1"] {
            assert_eq!(from_key(key), None, "{key}");
        }
    }
}
