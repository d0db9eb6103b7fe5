//! HTTP: metrics, health, and the status that the command line shows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;

use crate::knowledge::Knowledge;
use crate::status::NodeStatus;

/// Answers until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, knowledge: Arc<Knowledge>) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(knowledge);
    axum::serve(listener, routes).await
}

/// 200 while the node can acknowledge writes, 503 with the reason once it cannot.
async fn healthz(State(knowledge): State<Arc<Knowledge>>) -> Response {
    match knowledge.journal.failure() {
        None => "ok\n".into_response(),
        Some(failure) => (StatusCode::SERVICE_UNAVAILABLE, format!("{failure}\n")).into_response(),
    }
}

/// 200 once the node knows a primary to take requests to.
async fn readyz(State(knowledge): State<Arc<Knowledge>>) -> Response {
    match knowledge.is_ready() {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "no view is known yet\n").into_response(),
    }
}

async fn status(State(knowledge): State<Arc<Knowledge>>) -> Json<NodeStatus> {
    Json(knowledge.status())
}

async fn metrics(State(knowledge): State<Arc<Knowledge>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry(&knowledge)) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// All metrics as they are now.
fn registry(knowledge: &Knowledge) -> Registry {
    let mut registry = Registry::with_prefix("onecopy");
    let mut gauge = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
    };
    let status = knowledge.status();
    gauge(
        "up",
        "1 while the node acknowledges writes, 0 once it cannot",
        u64::from(status.failure.is_none()),
    );
    let leads = status.view_service.as_ref().is_some_and(|service| service.role == "leader");
    gauge("view_service_leader", "1 on the leader of the view service", u64::from(leads));
    let clients = &knowledge.data.clients;
    gauge("clients", "Connected clients", clients.connected.load(Ordering::Relaxed));
    if let Some(replica) = status.replicas.first() {
        gauge("view", "The number of the view that the replica knows", replica.view);
        gauge("primary", "1 on the primary", u64::from(replica.role == "primary"));
        gauge("log_index", "The last index in the log", replica.last);
        gauge("durable_index", "The last durable index", replica.durable);
        gauge("commit_index", "The last committed index", replica.commit);
        let lag = replica.lag.iter().map(|(_, lag)| *lag).max().unwrap_or(0);
        gauge("lag_entries", "On a primary, entries that the slowest replica lacks", lag);
        gauge("memory_bytes", "Bytes that the state occupies", replica.memory_bytes);
        gauge("log_memory_bytes", "Bytes of the log in memory", replica.log_bytes);
        gauge("keys", "Keys in all databases", replica.keys);
    }
    let log = knowledge.journal.stats();
    gauge("log_segments", "Segments of the log on disk", log.segments);
    gauge("log_disk_bytes", "Bytes of the log on disk", log.bytes);

    let mut counter = |name: &str, help: &str, unit: Option<Unit>, value: u64| match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, ConstCounter::new(value)),
        None => registry.register(name, help, ConstCounter::new(value)),
    };
    counter("commands", "Commands of clients", None, clients.commands.load(Ordering::Relaxed));
    counter("errors", "Error replies to clients", None, clients.errors.load(Ordering::Relaxed));
    counter("connections", "Accepted connections", None, clients.accepted.load(Ordering::Relaxed));
    counter("connections_rejected", "Refused connections", None, clients.rejected.load(Ordering::Relaxed));
    counter("received", "From clients", Some(Unit::Bytes), clients.bytes_in.load(Ordering::Relaxed));
    counter("sent", "To clients", Some(Unit::Bytes), clients.bytes_out.load(Ordering::Relaxed));
    counter("log_syncs", "Syncs of the log", None, log.syncs);
    counter("log_flushed", "Written to the log", Some(Unit::Bytes), log.bytes_flushed);
    let micros = knowledge.journal.sync_micros.load(Ordering::Relaxed);
    counter("log_sync_microseconds", "Time spent in syncs of the log", None, micros);
    if let Some(replica) = status.replicas.first() {
        counter("entries_applied", "Entries executed", None, replica.entries);
        counter("batches_proposed", "Batches of writes in proposed entries", None, replica.batches);
        counter("read_batches", "Batches of reads answered", None, replica.reads);
        counter("view_changes", "Views adopted", None, replica.view_changes);
    }
    registry
}
