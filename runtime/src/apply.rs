//! Writing objects: server-side apply with a stable field manager.
//!
//! Objects that were read are never written back whole: types of an older API drop fields they do
//! not know. What is written names exactly the fields that Herald owns.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Applies `fields` (with `apiVersion`, `kind` and `metadata.name`) to an object, creating it if
/// need be. Fields this manager applied earlier and leaves out now are removed.
///
/// # Errors
/// Whatever the API server answers.
pub async fn object<K>(
    api: &Api<K>,
    manager: &str,
    name: &str,
    fields: &(impl Serialize + Debug),
) -> kube::Result<K>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    api.patch(
        name,
        &PatchParams::apply(manager).force(),
        &Patch::Apply(fields),
    )
    .await
}

/// As [`object`], on the status subresource; the object must exist.
///
/// # Errors
/// Whatever the API server answers; 404 when the object is gone.
pub async fn status<K>(
    api: &Api<K>,
    manager: &str,
    name: &str,
    fields: &(impl Serialize + Debug),
) -> kube::Result<K>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    api.patch_status(
        name,
        &PatchParams::apply(manager).force(),
        &Patch::Apply(fields),
    )
    .await
}
