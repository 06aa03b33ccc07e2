//! The admin port: /metrics, /healthz, /readyz and /state.json.
//!
//! Healthy means the process runs; ready means it has seen everything it decides by. What readiness
//! waits for is said in the body.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::supervise::Tasks;

/// What the admin port shows.
pub trait Inspect: Send + Sync + 'static {
    /// What readiness waits for, one sentence each; empty when ready.
    fn waiting_for(&self) -> Vec<String>;
    /// Wish, running and verdicts, as JSON.
    fn state(&self) -> serde_json::Value;
    /// Brings gauges that are computed on demand up to date.
    fn refresh_metrics(&self) {}
}

struct Shown<I> {
    inspect: Arc<I>,
    registry: Registry,
}

/// Serves the admin port until the process stops.
///
/// # Errors
/// When `address` cannot be listened on; names the flag.
pub async fn serve<I: Inspect>(
    tasks: &mut Tasks,
    address: SocketAddr,
    registry: Registry,
    inspect: Arc<I>,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| {
            format!("--admin-address {address} cannot be listened on: choose a free port")
        })?;
    let shown = Arc::new(Shown { inspect, registry });
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz::<I>))
        .route("/metrics", get(metrics::<I>))
        .route("/state.json", get(state::<I>))
        .with_state(shown);
    tasks.spawn_service("admin", async move {
        axum::serve(listener, router)
            .await
            .context("the admin port failed")
    });
    Ok(())
}

async fn readyz<I: Inspect>(State(shown): State<Arc<Shown<I>>>) -> impl IntoResponse {
    let waiting = shown.inspect.waiting_for();
    if waiting.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, waiting.join("\n") + "\n")
    }
}

async fn metrics<I: Inspect>(State(shown): State<Arc<Shown<I>>>) -> impl IntoResponse {
    shown.inspect.refresh_metrics();
    let mut text = String::new();
    match encode(&mut text, &shown.registry) {
        Ok(()) => (
            StatusCode::OK,
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        ),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            "metrics cannot be encoded\n".to_owned(),
        ),
    }
}

async fn state<I: Inspect>(State(shown): State<Arc<Shown<I>>>) -> impl IntoResponse {
    Json(shown.inspect.state())
}
