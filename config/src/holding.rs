//! How it is written down who holds an address, or held it last: the lines of ConfigMaps.
//!
//! One ConfigMap for each page, one line for each address: the Services that hold it, or the last one
//! that did, how that ended and when. The controller writes them and heraldctl reads them.
//!
//! Not here: whose addresses are written down (`herald-controller`), and for how long that binds them
//! (`herald_model::alloc`).

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use herald_model::address::Family;
use herald_model::alloc::Freed;
use herald_model::service::ServiceKey;
use k8s_openapi::jiff::Timestamp;

/// How many ConfigMaps there are: one hexadecimal digit's worth.
pub const PAGES: u8 = 16;

const PREFIX: &str = "herald-holders-";

/// What is known of one address. Written as `shop/web`, `shop/api,shop/web`,
/// `shop/web moved 2026-11-21T10:00:00Z` or `shop/web deleted 2026-11-21T10:00:00Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// These hold it; never empty.
    Held(BTreeSet<ServiceKey>),
    /// Nobody does any more.
    Freed(Freed),
}

impl Holding {
    /// Reads a line; none where it makes no sense.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let service = |text: &str| {
            let (namespace, name) = text.split_once('/')?;
            (!namespace.is_empty() && !name.is_empty()).then(|| ServiceKey::new(namespace, name))
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [holder, how @ ("moved" | "deleted"), at] => Some(Self::Freed(Freed {
                holder: service(holder)?,
                at: at.parse::<Timestamp>().ok()?.as_second(),
                deleted: *how == "deleted",
            })),
            [holders] => {
                let services: Option<BTreeSet<_>> = holders.split(',').map(service).collect();
                services.map(Self::Held)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(services) => {
                for (place, service) in services.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(f, "{comma}{service}")?;
                }
                Ok(())
            }
            Self::Freed(Freed {
                holder,
                at,
                deleted,
            }) => {
                let how = if *deleted { "deleted" } else { "moved" };
                let at = Timestamp::from_second(*at).unwrap_or_default();
                write!(f, "{holder} {how} {at}")
            }
        }
    }
}

/// The page an address is on, below [`PAGES`].
#[must_use]
pub fn page(address: IpAddr) -> u8 {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    last % PAGES
}

/// The name of the ConfigMap of a page.
#[must_use]
pub fn page_name(page: u8) -> String {
    format!("{PREFIX}{page:x}")
}

/// Whether a ConfigMap of this name is such a page.
#[must_use]
pub fn is_page(name: &str) -> bool {
    (0..PAGES).any(|page| page_name(page) == name)
}

/// An address as the key of a ConfigMap, which may not contain a colon.
#[must_use]
pub fn to_key(address: IpAddr) -> String {
    address.to_string().replace(':', "-")
}

/// The address a key of a ConfigMap names.
#[must_use]
pub fn from_key(key: &str) -> Option<IpAddr> {
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

    #[test]
    fn a_line_is_written_as_it_is_read() {
        let key = |name: &str| ServiceKey::new("shop", name);
        let freed = |deleted| {
            Holding::Freed(Freed {
                holder: key("c"),
                at: 1_700_000_000,
                deleted,
            })
        };
        for (line, holding) in [
            ("shop/c", Holding::Held([key("c")].into())),
            ("shop/a,shop/b", Holding::Held([key("a"), key("b")].into())),
            ("shop/c moved 2023-11-14T22:13:20Z", freed(false)),
            ("shop/c deleted 2023-11-14T22:13:20Z", freed(true)),
        ] {
            assert_eq!(holding.to_string(), line);
            assert_eq!(Holding::parse(line), Some(holding));
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_is_nothing() {
        for line in [
            "",
            "web",
            "shop/",
            "shop/web lost 2023-11-14T22:13:20Z",
            "a/b deleted now",
        ] {
            assert_eq!(Holding::parse(line), None, "{line}");
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

    #[test]
    fn pages_are_named_by_their_number() {
        for (address, name) in [
            ("192.0.2.17", "herald-holders-1"),
            ("2001:db8::ff", "herald-holders-f"),
        ] {
            assert_eq!(page_name(page(ip(address))), name);
            assert!(is_page(name));
        }
        for name in ["herald-holders-", "herald-holders-10", "herald-holders-g"] {
            assert!(!is_page(name), "{name}");
        }
    }
}
