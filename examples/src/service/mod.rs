//! An HTTP service of which every limit can be changed while it runs.
//!
//! | | |
//! |---|---|
//! | `GET /limits` | the present settings, and the revision that they stand at |
//! | `POST /checkout` | takes a JSON list of items such as `[{"sku": "tea"}]` |
//! | `GET /health` | whether it serves, whether it serves the newest settings, and what is wrong with these if not |
//!
//! A request takes one snapshot at its beginning and decides everything with it: two settings that were changed together
//! are never mixed, however long the request takes.

mod load;
mod settings;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kvconf::{Live, Snapshot};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tracing::{debug, info};

use load::Gauge;
pub use settings::{Level, Limits, Load, Settings};

/// One thing to buy.
#[derive(Debug, Deserialize)]
struct Item {
    sku: String,
    /// How long the warehouse takes to find it; to try the timeout with.
    #[serde(default)]
    delay_ms: u64,
}

#[derive(Clone)]
struct Service {
    live: Live<Settings>,
    gauge: Gauge,
}

/// Serves on `listener` until `end` completes and the requests under way are answered.
///
/// # Errors
/// When the listener fails.
pub async fn run(
    listener: TcpListener,
    live: Live<Settings>,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    info!(address = %listener.local_addr()?, revision = %live.load().revision(), "serving");
    let router = Router::new()
        .route("/limits", get(limits))
        .route("/checkout", post(checkout))
        .route("/health", get(health))
        .with_state(Service { live, gauge: Gauge::default() });
    axum::serve(listener, router).with_graceful_shutdown(end).await
}

async fn limits(State(service): State<Service>) -> Json<Value> {
    Json(shown(&service.live.load()))
}

fn shown(settings: &Snapshot<Settings>) -> Value {
    json!({
        "revision": settings.revision().get(),
        "max_items": settings.limits.max_items,
        "max_body": settings.limits.max_body.to_string(),
        "high": settings.load.high,
        "low": settings.load.low,
        "timeout_ms": u64::try_from(settings.timeout.as_millis()).unwrap_or(u64::MAX),
        "log_level": settings.log_level,
    })
}

async fn checkout(State(service): State<Service>, body: Body) -> Response {
    // Kept across the waiting below: a snapshot, not a guard.
    let settings: Arc<Snapshot<Settings>> = service.live.snapshot();
    let Some(_admitted) = service.gauge.admit(&settings.load) else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way", &settings);
    };
    match tokio::time::timeout(settings.timeout, buy(&settings, body)).await {
        Ok(response) => response,
        Err(_) => {
            let text = format!("it took longer than {:?}", settings.timeout);
            refusal(StatusCode::GATEWAY_TIMEOUT, text, &settings)
        }
    }
}

async fn buy(settings: &Snapshot<Settings>, body: Body) -> Response {
    let max_body = settings.limits.max_body;
    let Ok(body) = to_bytes(body, usize::try_from(max_body.as_u64()).unwrap_or(usize::MAX)).await else {
        let text = format!("the body is larger than {max_body}, or broke off");
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, text, settings);
    };
    let items: Vec<Item> = match serde_json::from_slice(&body) {
        Ok(items) => items,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error, settings),
    };
    let max = settings.limits.max_items;
    if items.len() > max {
        let text = format!("{} items are too many, the most is {max}", items.len());
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, text, settings);
    }
    for item in &items {
        debug!(sku = item.sku, "fetching");
        if item.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(item.delay_ms)).await;
        }
    }
    Json(json!({ "bought": items.len(), "settings": shown(settings) })).into_response()
}

fn refusal(status: StatusCode, text: impl ToString, settings: &Snapshot<Settings>) -> Response {
    let body = json!({ "error": text.to_string(), "settings": shown(settings) });
    (status, Json(body)).into_response()
}

async fn health(State(service): State<Service>) -> Response {
    let health = service.live.health();
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": health.is_ready(),
        "current": health.is_current(),
        "watch": health.state.to_string(),
        "applied": health.applied.get(),
        "seen": health.seen.get(),
        "report": health.report.map(|report| report.to_string()),
    });
    (status, Json(body)).into_response()
}
