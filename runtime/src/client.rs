//! A client of the API server, from a kubeconfig or from inside a pod.

use std::path::Path;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Connects nothing yet: builds a client from `kubeconfig`, or from the pod's ServiceAccount.
///
/// # Errors
/// One sentence that names the file or the missing ServiceAccount and what to do.
pub async fn connect(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    let config = match kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path).with_context(|| {
                format!(
                    "--kubeconfig {}: cannot be used, check the file",
                    path.display()
                )
            })?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
                .await
                .with_context(|| {
                    format!(
                        "--kubeconfig {}: its current context cannot be used",
                        path.display()
                    )
                })?
        }
        None => Config::incluster().context(
            "this is not a pod with a ServiceAccount: give --kubeconfig FILE to say which cluster",
        )?,
    };
    Client::try_from(config).context("the API client cannot be built from this configuration")
}

/// An API error as one sentence for people.
#[must_use]
pub fn describe(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({})", status.message, status.code);
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The HTTP status of an API refusal, if the API server answered at all.
#[must_use]
pub fn status_code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error {
        Some(status.code)
    } else {
        None
    }
}
