//! HTTP: metrics, health, what the command line shows, and what operators want.
//!
//! What needs which right is told by [`rights`].
//!
//! | | |
//! | --- | --- |
//! | `GET /healthz`, `/readyz` | for supervisors and load balancers |
//! | `GET /status`, `/events`, `/metrics` | for people and programs |
//! | `GET /configuration` | what a new node of the cluster has to be told |
//! | `POST /operate` | an [`Operation`], as JSON |

mod listener;
mod metrics;
mod origin;
mod rights;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use prometheus_client::encoding::text::encode;
use tokio::net::TcpListener;
use tracing::info;

use super::operators::Operators;
use crate::config::SharedSettings;
use crate::happened::Happened;
use crate::knowledge::Knowledge;
use crate::operation::{Operation, OperationOutcome};
use crate::status::NodeStatus;

pub(crate) use listener::CONNECTIONS_MAX;
pub(crate) use origin::OwnNames;
use rights::Caller;
pub(crate) use rights::Doorman;

/// The longest order.
const ORDER_BYTES_MAX: usize = 64 * 1024;

/// Answers until the task is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    doorman: Doorman,
    operators: Operators,
    configuration: SharedSettings,
    names: OwnNames,
) {
    let operate = Router::new()
        .route("/operate", post(operate))
        .layer(from_fn_with_state(doorman.clone(), rights::check))
        .layer(from_fn_with_state(names, origin::check))
        .layer(DefaultBodyLimit::max(ORDER_BYTES_MAX))
        .with_state(operators);
    let shared = Router::new().route("/configuration", get(shared_settings)).with_state(configuration);
    let knowledge = doorman.knowledge.clone();
    let read = Router::new()
        .route("/status", get(status))
        .route("/events", get(events))
        .route("/metrics", get(show_metrics))
        .with_state(knowledge.clone())
        .merge(shared)
        .layer(from_fn_with_state(doorman, rights::check));
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(knowledge)
        .merge(operate)
        .merge(read);
    listener::listen(listener, routes).await;
}

/// 200 while the node can acknowledge writes, with what should be looked at; 503 with the reason once it
/// cannot.
async fn healthz(State(knowledge): State<Arc<Knowledge>>) -> Response {
    match knowledge.journal.failure() {
        None => {
            let warnings = knowledge.warnings().into_iter().map(|warning| format!("warning: {warning}\n"));
            std::iter::once("ok\n".to_owned()).chain(warnings).collect::<String>().into_response()
        }
        Some(failure) => (StatusCode::SERVICE_UNAVAILABLE, format!("{failure}\n")).into_response(),
    }
}

/// 200 while requests get to the primary and answers back, 503 with the reason while they do not.
async fn readyz(State(knowledge): State<Arc<Knowledge>>) -> Response {
    match knowledge.obstacle() {
        None => "ready\n".into_response(),
        Some(obstacle) => (StatusCode::SERVICE_UNAVAILABLE, format!("{obstacle}\n")).into_response(),
    }
}

async fn status(State(knowledge): State<Arc<Knowledge>>) -> Json<NodeStatus> {
    Json(knowledge.status())
}

async fn events(State(knowledge): State<Arc<Knowledge>>) -> Json<Vec<Happened>> {
    Json(Happened::all(&knowledge.table()))
}

/// What a new node of the cluster has to be told. No secrets: they do not travel over HTTP.
async fn shared_settings(State(settings): State<SharedSettings>) -> Json<SharedSettings> {
    Json(settings)
}

/// 200 when it was done, 409 when it was refused, 504 when nobody said: it may be done yet. JSON must be
/// called so: no form of a foreign web page gets here, and nothing else of it ([`origin`]).
async fn operate(
    State(operators): State<Operators>,
    Extension(caller): Extension<Caller>,
    Json(operation): Json<Operation>,
) -> Response {
    let (user, from, is_allowed) = (&caller.name, caller.from, caller.may_operate(&operation));
    info!(target: "onecopy::audit", user, %from, is_allowed, ?operation, "an operator wants something");
    if !is_allowed {
        return (StatusCode::FORBIDDEN, format!("the user {user} may not do that\n")).into_response();
    }
    let operated = operators.ask(operation).await;
    let status = match operated.outcome {
        OperationOutcome::Done => StatusCode::OK,
        OperationOutcome::Refused => StatusCode::CONFLICT,
        OperationOutcome::Unknown => StatusCode::GATEWAY_TIMEOUT,
    };
    info!(target: "onecopy::audit", user, %from, ?operated, "an operator is answered");
    (status, Json(operated)).into_response()
}

async fn show_metrics(State(knowledge): State<Arc<Knowledge>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &metrics::registry(&knowledge)) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
