//! What the controller writes down of who holds an address, and who had it last.
//!
//! Not here: the form it is written in (`herald_config::holding`, `herald_config::agreement`), and what
//! follows from it (`herald_model::alloc`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use herald_config::agreement;
use herald_config::holding::{self, Holding};
use herald_model::alloc::Freed;
use herald_model::service::Service;
use k8s_openapi::api::core::v1::ConfigMap;

/// The lines of the controller's pages, of all the ConfigMaps there are.
fn lines(objects: &[ConfigMap]) -> impl Iterator<Item = (&String, &String)> {
    let ours = objects.iter().filter(|object| {
        let name = object.metadata.name.as_deref();
        name.is_some_and(holding::is_page)
    });
    ours.flat_map(|object| object.data.iter().flatten())
}

/// Those who hold an address together, as they were when they agreed.
pub(crate) fn agreed(objects: &[ConfigMap]) -> BTreeMap<IpAddr, Vec<Arc<Service>>> {
    let agreed = lines(objects)
        .filter_map(|(key, line)| Some((agreement::from_key(key)?, agreement::from_line(line)?)));
    agreed.collect()
}

/// The addresses that nobody holds any more.
pub(crate) fn given_up(objects: &[ConfigMap]) -> BTreeMap<IpAddr, Freed> {
    let freed = lines(objects).filter_map(|(key, line)| match Holding::parse(line)? {
        Holding::Freed(freed) => Some((holding::from_key(key)?, freed)),
        Holding::Held(_) => None,
    });
    freed.collect()
}

#[cfg(test)]
mod tests {
    use herald_model::service::ServiceKey;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_given_up_is_read_and_only_from_the_controllers_pages() {
        let page = |name: &str, data: serde_json::Value| -> ConfigMap {
            serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()
        };
        let pages = [
            page(
                "herald-holders-0",
                json!({
                    "192.0.2.1": "shop/web",
                    "192.0.2.2": "shop/api,shop/web",
                    "192.0.2.3": "shop/old deleted 1970-01-01T00:01:40Z",
                    "2001-db8--1": "shop/old moved 1970-01-01T00:01:41Z",
                    "192.0.2.4": "shop/old vanished 1970-01-01T00:01:40Z",
                    "192.0.2.5": "nobody deleted 1970-01-01T00:01:40Z",
                    "192.0.2.6": "shop/old deleted yesterday",
                    "x": "shop/old deleted 1970-01-01T00:01:40Z",
                }),
            ),
            page(
                "other",
                json!({"192.0.2.9": "shop/old deleted 1970-01-01T00:01:40Z"}),
            ),
        ];
        let freed = |at, deleted| Freed {
            holder: ServiceKey::new("shop", "old"),
            at,
            deleted,
        };
        let expected = [
            ("192.0.2.3".parse().unwrap(), freed(100, true)),
            ("2001:db8::1".parse().unwrap(), freed(101, false)),
        ];
        assert_eq!(given_up(&pages), expected.into());
    }
}
