//! Which Services hold an address together, and as what, kept for the next life of the controller. Pure.
//!
//! Whoever has changed since, when they cannot share any more, gives way. So it is written down behind the
//! addresses, in the ConfigMaps that say who holds which address: one line for each address that several
//! hold.
//!
//! Not here: the form of a line (`herald_config::agreement`), what follows from it
//! (`herald_model::alloc`), and writing (`apply`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use herald_config::{agreement, holding};
use herald_model::service::Service;

use crate::holders::Page;

/// Those who hold an address together, by address.
pub(crate) type Agreements = BTreeMap<IpAddr, Vec<Arc<Service>>>;

/// What was written down by an earlier life. Lines that are not understood are left out.
pub(crate) fn recall<'p>(pages: impl IntoIterator<Item = &'p Page>) -> Agreements {
    let lines = pages.into_iter().flatten();
    let lines = lines.filter_map(|(key, line)| Some((agreement::from_key(key)?, line)));
    let mut agreements = Agreements::new();
    for (address, line) in lines {
        match agreement::from_line(line) {
            Some(holders) => drop(agreements.insert(address, holders)),
            None => tracing::warn!(%address, line, "who shares this address is not understood"),
        }
    }
    agreements
}

/// Takes in who holds an address now, none where nobody else claims it; whether there is something new
/// to write down.
pub(crate) fn note(
    agreements: &mut Agreements,
    address: IpAddr,
    holders: Option<Vec<Arc<Service>>>,
) -> bool {
    let Some(holders) = holders else {
        return agreements.remove(&address).is_some();
    };
    let before = agreements.insert(address, holders);
    let now = agreements.get(&address);
    !before.iter().zip(now).any(|(before, now)| {
        before.len() == now.len() && before.iter().zip(now).all(|(a, b)| has_same_terms(a, b))
    })
}

fn has_same_terms(one: &Service, other: &Service) -> bool {
    let terms = |service: &Service| {
        let Service {
            key,
            sharing_key,
            backend_key,
            ports,
            ..
        } = service;
        (
            key.clone(),
            sharing_key.clone(),
            backend_key.clone(),
            ports.clone(),
        )
    };
    terms(one) == terms(other)
}

/// Adds the lines to the pages they belong to.
pub(crate) fn write_on(agreements: &Agreements, pages: &mut BTreeMap<u8, Page>) {
    for (address, holders) in agreements {
        if let Some(page) = pages.get_mut(&holding::page(*address)) {
            page.insert(agreement::to_key(*address), agreement::to_line(holders));
        }
    }
}

#[cfg(test)]
mod tests {
    use herald_model::service::ServiceKey;

    use super::*;

    fn service(name: &str, key: &str) -> Arc<Service> {
        Arc::new(Service {
            sharing_key: Some(key.to_owned()),
            ..Service::new(ServiceKey::new("shop", name))
        })
    }

    #[test]
    fn what_is_written_down_is_read_again_and_only_news_are_written() {
        let address: IpAddr = "192.0.2.17".parse().unwrap();
        let mut agreements = Agreements::new();
        let both = || Some(vec![service("a", "k"), service("b", "k")]);
        assert!(note(&mut agreements, address, both()));
        let relabelled = |mut all: Vec<Arc<Service>>| {
            Arc::make_mut(&mut all[0]).labels = [("a".to_owned(), "b".to_owned())].into();
            all
        };
        let touched = both().map(relabelled);
        assert!(!note(&mut agreements, address, touched));
        assert!(!note(&mut agreements, "192.0.2.1".parse().unwrap(), None));

        let mut pages = BTreeMap::from([(1, Page::new()), (2, Page::new())]);
        write_on(&agreements, &mut pages);
        assert!(pages[&2].is_empty());
        assert_eq!(
            pages[&1]["192.0.2.17.sharing"],
            r#"{"shop/a":{"sharingKey":"k","ports":[]},"shop/b":{"sharingKey":"k","ports":[]}}"#
        );
        let mut again = recall(pages.values());
        assert!(!note(&mut again, address, both()), "as it was written");
        assert!(note(
            &mut again,
            address,
            Some(vec![service("a", "other"), service("b", "k")])
        ));
        assert!(note(&mut again, address, None));
        let broken = Page::from([("192.0.2.1.sharing".to_owned(), "web".to_owned())]);
        assert!(recall([&broken]).is_empty());
    }
}
