//! Versions of objects as the API server has them. Pure.

use kube::Resource;

/// The version of an object: a number that grows (KEP-5504).
pub(crate) fn version(object: &impl Resource) -> u64 {
    let text = object.meta().resource_version.as_deref();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
