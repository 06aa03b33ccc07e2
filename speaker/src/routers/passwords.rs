//! The passwords and keys of sessions, from their Secrets.
//!
//! Secrets are asked for by name and never watched or listed: the speaker may read those that a BGPPeer
//! names, and no others are looked at.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use herald_model::bgp::{BfdProfile, Password, Peer, Security, TcpAoAlgorithm};
use herald_runtime::{client, clock};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use super::keys::Keys;
use crate::io::tcp_ao::{AoAlgorithm, AoKey};

/// A password that is known is looked up again after this long, and one that is not sooner.
const STALE: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(5);

/// How long one request may take: a withdrawal does not wait for a password.
const LIMIT: Duration = Duration::from_secs(1);

/// The key of a Secret of type `kubernetes.io/basic-auth`.
const KEY: &str = "password";

/// The longest the kernel takes (TCP_MD5SIG_MAXKEYLEN, TCP_AO_MAXKEYLEN).
const LONGEST: usize = 80;

/// Where Secrets are.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) client: Client,
    /// Where Herald is installed.
    pub(crate) namespace: String,
}

/// What is known of the passwords that are needed.
pub(super) struct Passwords {
    secrets: Secrets,
    known: BTreeMap<Password, Known>,
}

/// What is known of one, and when it was looked up last.
struct Known {
    at: Option<Instant>,
    held: Result<Vec<u8>, String>,
}

impl Known {
    /// When to look it up again.
    fn due(&self) -> Option<Instant> {
        let good_for = if self.held.is_ok() { STALE } else { SOON };
        self.at.map(|at| at + good_for)
    }
}

impl Passwords {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            known: BTreeMap::new(),
        }
    }

    /// These peers' passwords are needed and these of profiles, and no others.
    pub(super) fn need<'a>(
        &mut self,
        peers: impl Iterator<Item = &'a Peer>,
        profiles: impl Iterator<Item = &'a BfdProfile>,
    ) {
        let profiles = profiles.filter_map(|profile| profile.authentication.as_ref());
        let needed: Vec<&Password> = peers
            .flat_map(secrets)
            .chain(profiles.map(|authentication| &authentication.password))
            .collect();
        self.known.retain(|password, _| needed.contains(&password));
        for password in needed {
            self.known.entry(password.clone()).or_insert_with(|| Known {
                at: None,
                held: Err(format!("Secret {} is being read", password.name)),
            });
        }
    }

    /// How long until one is to be looked up; none when none is needed.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let wait = |known: &Known| {
            known
                .due()
                .map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
        };
        self.known.values().map(wait).min()
    }

    /// Looks up what is due. What was known counts while the API server does not answer.
    pub(super) async fn look_up(&mut self) {
        for (password, known) in &mut self.known {
            let now = clock::now();
            if known.due().is_some_and(|due| due > now) {
                continue;
            }
            let first = known.at.is_none();
            known.at = Some(now);
            match tokio::time::timeout(LIMIT, self.secrets.read(password)).await {
                Ok(Ok(held)) => known.held = held,
                Ok(Err(error)) if first || known.held.is_err() => known.held = Err(error),
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    /// The keys of a peer, or why one of them is not known.
    pub(super) fn of(&self, peer: &Peer) -> Result<Keys, String> {
        let held = |secret: &Password| match self.known.get(secret) {
            Some(known) => known.held.clone(),
            None => Err(format!("Secret {} is being read", secret.name)),
        };
        let Security {
            password, tcp_ao, ..
        } = &peer.security;
        if let Some(password) = password {
            return held(password).map(Keys::Md5);
        }
        let keys = tcp_ao.iter().map(|key| {
            Ok(AoKey {
                send_id: key.send_id,
                receive_id: key.receive_id,
                algorithm: match key.algorithm {
                    TcpAoAlgorithm::HmacSha1 => AoAlgorithm::HmacSha1,
                    TcpAoAlgorithm::AesCmac => AoAlgorithm::AesCmac,
                },
                key: held(&key.secret)?,
            })
        });
        let keys: Vec<AoKey> = keys.collect::<Result<_, String>>()?;
        Ok(if keys.is_empty() {
            Keys::None
        } else {
            Keys::Ao(keys)
        })
    }

    /// The password of a profile, or why it is not known; none when it has none.
    pub(super) fn of_profile(&self, profile: &BfdProfile) -> Option<&Result<Vec<u8>, String>> {
        self.held(&profile.authentication.as_ref()?.password)
    }

    fn held(&self, password: &Password) -> Option<&Result<Vec<u8>, String>> {
        self.known.get(password).map(|known| &known.held)
    }
}

/// Every Secret that a peer names.
fn secrets(peer: &Peer) -> impl Iterator<Item = &Password> {
    let Security {
        password, tcp_ao, ..
    } = &peer.security;
    password.iter().chain(tcp_ao.iter().map(|key| &key.secret))
}

impl Secrets {
    /// What the Secret holds, or what is wrong with it; an error is that nobody knows.
    async fn read(&self, password: &Password) -> Result<Result<Vec<u8>, String>, String> {
        let namespace = password.namespace.as_deref().unwrap_or(&self.namespace);
        let name = &password.name;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = match api.get_opt(name).await {
            Ok(secret) => secret,
            Err(error) => {
                let error = client::describe(&error);
                return Err(format!("Secret {namespace}/{name} cannot be read: {error}"));
            }
        };
        let Some(secret) = secret else {
            return Ok(Err(format!(
                "Secret {namespace}/{name} does not exist; create it with the key {KEY}"
            )));
        };
        let value = secret.data.and_then(|mut data| data.remove(KEY));
        Ok(match value.map(|value| value.0) {
            None => Err(format!("Secret {namespace}/{name} has no key {KEY}")),
            Some(value) if value.is_empty() || value.len() > LONGEST => Err(format!(
                "{KEY} in Secret {namespace}/{name} has {} octets; a password has 1 to {LONGEST}",
                value.len()
            )),
            Some(value) => Ok(value),
        })
    }
}
