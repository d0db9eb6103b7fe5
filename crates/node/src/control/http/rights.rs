//! Who may do what over HTTP: the users of `ACL`, with the rights that they have as clients of Redis.
//!
//! A caller says who it is as browsers, curl and Prometheus do: `Authorization: Basic`, or `Bearer` with the
//! password of the user `default`. A caller that says nothing is `default`, if that needs no password.
//! Whether the node lives, and whether clients had better go elsewhere, is nobody's secret: supervisors ask
//! for it without a name.
//!
//! | | needs the right to |
//! | --- | --- |
//! | read | `INFO` |
//! | operate on databases | `DATABASE` |
//! | hand over | `FAILOVER` |
//! | operate on nodes, copies, levels | `CONFIG SET` |

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use onecopy_keyspace::rights::User;
use tracing::warn;

use crate::client::guesses::Guesses;
use crate::knowledge::Knowledge;
use crate::operation::Operation;
use crate::policy::{DEFAULT_USER, Policy};

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct From(pub(super) SocketAddr);

/// Who has called.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The name of the user.
    pub(super) name: String,
    pub(super) from: SocketAddr,
    user: Arc<User>,
}

/// What it takes to find out who a caller is.
#[derive(Clone, Debug)]
pub(crate) struct Doorman {
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) guesses: Arc<Guesses>,
}

impl Caller {
    /// Whether the caller may call this command of Redis.
    fn may(&self, words: &[&[u8]]) -> bool {
        self.user.check(onecopy_keyspace::rights::Request { args: words }).is_ok()
    }

    /// Whether the caller may have this done.
    pub(super) fn may_operate(&self, operation: &Operation) -> bool {
        self.may(match operation {
            Operation::Handover { .. } => &[b"failover"],
            Operation::CreateDatabase { .. } => &[b"database", b"create"],
            Operation::SetDatabase { .. } | Operation::SetCopiesBeforeOk { .. } => &[b"database", b"set"],
            Operation::DropDatabase { .. } => &[b"database", b"drop"],
            _ => &[b"config", b"set"],
        })
    }
}

/// Lets those in who may read, and tells the handlers behind who it is.
pub(super) async fn check(
    State(doorman): State<Doorman>,
    Extension(From(from)): Extension<From>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match doorman.admit(request.headers(), from).await {
        Ok(caller) => caller,
        Err(refusal) => {
            warn!(target: "onecopy::audit", %from, path = request.uri().path(), refusal = refusal.1, "refused over HTTP");
            return refuse(refusal);
        }
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// With which status, and why.
type Refusal = (StatusCode, &'static str);

fn refuse((status, why): Refusal) -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"onecopy\", charset=\"UTF-8\"")];
    match status {
        StatusCode::UNAUTHORIZED => (status, challenge, format!("{why}\n")).into_response(),
        status => (status, format!("{why}\n")).into_response(),
    }
}

impl Doorman {
    async fn admit(&self, headers: &HeaderMap, from: SocketAddr) -> Result<Caller, Refusal> {
        let policy = self.knowledge.policy();
        if policy.is_protected_from(from.ip()) {
            return Err((
                StatusCode::FORBIDDEN,
                "this node has no password, and so it serves this machine alone: give the user default a password \
                 (requirepass), or set protected_mode = false",
            ));
        }
        let (name, user) = match credentials(headers) {
            Credentials::None if policy.lets_everybody_in() => {
                (DEFAULT_USER.to_vec(), policy.user(DEFAULT_USER).cloned())
            }
            Credentials::None => return Err((StatusCode::UNAUTHORIZED, "a user and a password are needed")),
            Credentials::Unreadable => {
                return Err((
                    StatusCode::BAD_REQUEST,
                    "the header Authorization cannot be read: Basic or Bearer is wanted",
                ));
            }
            Credentials::Given { name, password } => {
                (name.clone(), self.authenticate(&policy, from.ip(), &name, &password).await?)
            }
        };
        let user =
            user.ok_or((StatusCode::UNAUTHORIZED, "wrong user name or password, or the user is disabled"))?;
        let caller = Caller { name: String::from_utf8_lossy(&name).into_owned(), from, user };
        match caller.may(&[b"info"]) {
            true => Ok(caller),
            false => {
                Err((StatusCode::FORBIDDEN, "this user may not call INFO, and so may read nothing here"))
            }
        }
    }

    async fn authenticate(
        &self,
        policy: &Policy,
        address: IpAddr,
        name: &[u8],
        password: &[u8],
    ) -> Result<Option<Arc<User>>, Refusal> {
        self.guesses.turn(address).await.map_err(|_| {
            (StatusCode::TOO_MANY_REQUESTS, "too many wrong passwords from this address: try again later")
        })?;
        let user = policy.authenticate(name, password);
        if user.is_none() {
            self.guesses.failed(address);
        }
        Ok(user.cloned())
    }
}

/// What a caller says of itself.
#[derive(Debug, PartialEq, Eq)]
enum Credentials {
    None,
    Unreadable,
    Given { name: Vec<u8>, password: Vec<u8> },
}

fn credentials(headers: &HeaderMap) -> Credentials {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Credentials::None };
    let readable = || {
        let (scheme, rest) = value.to_str().ok()?.trim().split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            let (name, password) = (DEFAULT_USER.to_vec(), rest.trim().as_bytes().to_vec());
            return Some(Credentials::Given { name, password });
        }
        let both =
            scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok()).flatten()?;
        let colon = both.iter().position(|byte| *byte == b':')?;
        // Clients that know no user name leave it out.
        let name = if colon == 0 { DEFAULT_USER } else { &both[..colon] };
        Some(Credentials::Given { name: name.to_vec(), password: both[colon + 1..].to_vec() })
    };
    readable().unwrap_or(Credentials::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &str) -> Credentials {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
        credentials(&headers)
    }

    fn given(name: &str, password: &str) -> Credentials {
        Credentials::Given { name: name.into(), password: password.into() }
    }

    #[test]
    fn callers_say_who_they_are_as_everywhere() {
        assert_eq!(credentials(&HeaderMap::new()), Credentials::None);
        assert_eq!(said(&format!("Basic {}", STANDARD.encode("ann:a:b"))), given("ann", "a:b"));
        assert_eq!(said(&format!("basic {}", STANDARD.encode(":secret"))), given("default", "secret"));
        assert_eq!(said("Bearer secret"), given("default", "secret"));
        for wrong in ["", "Basic", "Basic ???", "Basic YW5u", "Digest username=\"ann\""] {
            assert_eq!(said(wrong), Credentials::Unreadable, "{wrong}");
        }
    }
}
