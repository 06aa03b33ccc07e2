//! The secret that speakers seal their beacons with: made when it is missing, never changed.
//!
//! Not here: its use and how to rotate it (the speaker's `cluster`, and the user guide).

use std::collections::BTreeMap;
use std::time::Duration;

use herald_runtime::client;
use herald_runtime::lease::Leadership;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

/// Name of the Secret.
const NAME: &str = "herald-beacon";
/// Octets of a key.
const LENGTH: usize = 32;
/// Whether it is there is looked up this often, and until it is there this often.
const LOOK: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(1);

/// Sees to it that the Secret exists, while this replica leads. Runs for ever.
pub(crate) async fn keep(
    client: Client,
    namespace: String,
    leadership: Leadership,
) -> anyhow::Result<()> {
    let api: Api<Secret> = Api::namespaced(client, &namespace);
    let mut said = None;
    loop {
        let there = leadership.held() && {
            match ensure(&api).await {
                Ok(()) => {
                    said = None;
                    true
                }
                Err(error) => {
                    if said.as_ref() != Some(&error) {
                        tracing::warn!(
                            error,
                            "Secret {namespace}/{NAME} cannot be made, trying again"
                        );
                        said = Some(error);
                    }
                    false
                }
            }
        };
        tokio::time::sleep(if there { LOOK } else { SOON }).await;
    }
}

async fn ensure(api: &Api<Secret>) -> Result<(), String> {
    let found = api.get_metadata_opt(NAME).await;
    if found.map_err(|error| client::describe(&error))?.is_some() {
        return Ok(());
    }
    let mut key = vec![0; LENGTH];
    getrandom::fill(&mut key).map_err(|error| format!("no randomness: {error}"))?;
    match api.create(&PostParams::default(), &secret(key)).await {
        Ok(_) => {
            tracing::info!(name = NAME, "made the secret that beacons are sealed with");
            Ok(())
        }
        // Another replica, or the user, was first.
        Err(error) if client::status_code(&error) == Some(409) => Ok(()),
        Err(error) => Err(client::describe(&error)),
    }
}

fn secret(key: Vec<u8>) -> Secret {
    let data = [
        ("active".to_owned(), ByteString(b"1".to_vec())),
        ("key-1".to_owned(), ByteString(key)),
    ];
    Secret {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            labels: Some(BTreeMap::from([(
                "app.kubernetes.io/part-of".to_owned(),
                "herald".to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(data.into()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}
