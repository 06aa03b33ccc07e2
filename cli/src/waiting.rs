//! Addresses that were given up lately and may wait for who had them, as the controller writes them
//! down.
//!
//! Not here: for how long they wait (`herald_model::alloc`). The controller keeps ConfigMaps named
//! `herald-holders-…`: one entry for each address of a pool with `retain` or `reuseDelay`, with the
//! Services that hold it, or with the last one that did and when that ended.

use std::collections::BTreeMap;
use std::net::IpAddr;

use herald_model::alloc::Freed;
use herald_model::service::ServiceKey;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;

const PREFIX: &str = "herald-holders-";

/// The addresses that nobody holds any more, of all the ConfigMaps there are.
pub(crate) fn given_up(objects: &[ConfigMap]) -> BTreeMap<IpAddr, Freed> {
    let ours = objects.iter().filter(|object| {
        let name = object.metadata.name.as_deref();
        name.is_some_and(|name| name.starts_with(PREFIX))
    });
    let entries = ours.flat_map(|object| object.data.iter().flatten());
    entries
        .filter_map(|(key, line)| Some((address(key)?, freed(line)?)))
        .collect()
}

/// A key of a ConfigMap may not contain a colon: IPv6 addresses have dashes in its place.
fn address(key: &str) -> Option<IpAddr> {
    key.replace('-', ":").parse().ok()
}

/// `shop/web moved 2026-11-21T10:00:00Z`, or `deleted`.
fn freed(line: &str) -> Option<Freed> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [holder, how @ ("moved" | "deleted"), at] = words.as_slice() else {
        return None;
    };
    let (namespace, name) = holder.split_once('/')?;
    Some(Freed {
        holder: ServiceKey::new(namespace, name),
        at: at.parse::<Timestamp>().ok()?.as_second(),
        deleted: *how == "deleted",
    })
}

#[cfg(test)]
mod tests {
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
