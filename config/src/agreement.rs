//! How it is written down which Services hold an address together, and as what: lines of the ConfigMaps
//! that say who holds which address.
//!
//! Read again after a restart, such a line says who has changed since. The controller writes the lines,
//! and heraldctl reads them.
//!
//! Not here: the ConfigMaps (`holding`), and what follows for whoever changed (`herald_model::alloc`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use herald_model::service::{PortKey, Service, ServiceKey};
use serde::{Deserialize, Serialize};

use crate::holding;

const SUFFIX: &str = ".sharing";

/// What decides with whom a Service may share an address.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terms {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sharing_key: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pod_selector: String,
    ports: BTreeSet<String>,
}

/// The line for Services that hold an address together:
/// `{"shop/web":{"sharingKey":"k","ports":["TCP/80"]}}`.
#[must_use]
pub fn to_line(holders: &[Arc<Service>]) -> String {
    let terms = |service: &Arc<Service>| Terms {
        sharing_key: service.sharing_key.clone(),
        pod_selector: service.backend_key.clone(),
        ports: service.ports.iter().map(ToString::to_string).collect(),
    };
    let all: BTreeMap<String, Terms> = holders
        .iter()
        .map(|service| (service.key.to_string(), terms(service)))
        .collect();
    // Maps with text for keys can always be written.
    serde_json::to_string(&all).unwrap_or_default()
}

/// The Services of a line, of which nothing else is known; none where it makes no sense.
#[must_use]
pub fn from_line(line: &str) -> Option<Vec<Arc<Service>>> {
    let all: BTreeMap<String, Terms> = serde_json::from_str(line).ok()?;
    let service = |(key, terms): (String, Terms)| {
        let (namespace, name) = key.split_once('/')?;
        let ports: Option<BTreeSet<PortKey>> =
            terms.ports.iter().map(|port| port.parse().ok()).collect();
        Some(Arc::new(Service {
            sharing_key: terms.sharing_key,
            backend_key: terms.pod_selector,
            ports: ports?,
            ..Service::new(ServiceKey::new(namespace, name))
        }))
    };
    all.into_iter().map(service).collect()
}

/// The key of an address's line in its ConfigMap.
#[must_use]
pub fn to_key(address: IpAddr) -> String {
    format!("{}{SUFFIX}", holding::to_key(address))
}

/// The address whose line has this key.
#[must_use]
pub fn from_key(key: &str) -> Option<IpAddr> {
    holding::from_key(key.strip_suffix(SUFFIX)?)
}

#[cfg(test)]
mod tests {
    use herald_model::service::Protocol;

    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let port = |protocol, port| PortKey { protocol, port };
        let one = Service {
            sharing_key: Some("a key, with \"quotes\"".to_owned()),
            backend_key: "app=web,tier=front".to_owned(),
            ports: [port(Protocol::Tcp, 80), port(Protocol::Udp, 53)].into(),
            ..Service::new(ServiceKey::new("shop", "web"))
        };
        let other = Service::new(ServiceKey::new("shop", "api"));
        let holders = [Arc::new(other), Arc::new(one)];
        let line = to_line(&holders);
        assert_eq!(from_line(&line).as_deref(), Some(&holders[..]));
        assert_eq!(
            to_line(&holders[..1]),
            r#"{"shop/api":{"ports":[]}}"#,
            "what is absent is not written"
        );
    }

    #[test]
    fn a_line_that_makes_no_sense_is_nothing() {
        for line in [
            "",
            "shop/web",
            r#"{"web":{"ports":[]}}"#,
            r#"{"shop/web":{"ports":["80"]}}"#,
            r#"{"shop/web":{"ports":["TCP/99999"]}}"#,
        ] {
            assert_eq!(from_line(line), None, "{line}");
        }
    }

    #[test]
    fn its_key_is_not_the_one_that_says_who_holds_the_address() {
        for address in ["192.0.2.1", "2001:db8::1"] {
            let address: IpAddr = address.parse().unwrap();
            let key = to_key(address);
            assert_eq!(from_key(&key), Some(address));
            assert_eq!(holding::from_key(&key), None);
            assert_eq!(from_key(&holding::to_key(address)), None);
        }
    }
}
