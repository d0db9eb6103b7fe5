//! Which nodes a command asks.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::credentials::Credentials;
use crate::dev::ClusterFile;

/// Where `onecopy dev` puts its nodes unless it is told otherwise.
const DEFAULT_ADDRESSES: [&str; 3] = ["127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"];

/// The nodes that a command asks.
#[derive(Clone, Debug, Args)]
pub struct Addressees {
    /// The HTTP address of a node; may be given several times. Without it, the first three nodes of `onecopy
    /// dev`.
    #[arg(long, value_name = "HOST:PORT")]
    http: Vec<String>,
    /// The data directory of an `onecopy dev`, whose nodes are asked.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "http")]
    dev: Option<PathBuf>,
    #[command(flatten)]
    credentials: Credentials,
}

impl Addressees {
    /// Only this one.
    pub(crate) fn one(address: &str, credentials: &Credentials) -> Self {
        Self { http: vec![address.to_owned()], dev: None, credentials: credentials.clone() }
    }

    /// What they are told of who asks.
    pub(crate) fn authorization(&self) -> anyhow::Result<Option<String>> {
        self.credentials.header()
    }

    /// Their HTTP addresses.
    pub(crate) fn addresses(&self) -> anyhow::Result<Vec<String>> {
        Ok(match (&self.dev, self.http.as_slice()) {
            (Some(directory), _) => {
                ClusterFile::read(directory)?.nodes.iter().map(|node| node.http.to_string()).collect()
            }
            (None, []) => DEFAULT_ADDRESSES.map(str::to_owned).to_vec(),
            (None, given) => given.to_vec(),
        })
    }

    /// What the first node that answers says to a GET.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, patience: Duration) -> anyhow::Result<T> {
        let authorization = self.authorization()?;
        self.first(|address| get(&format!("http://{address}{path}"), authorization.as_deref(), patience))
    }

    /// What the first node that answers says to a POST.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> anyhow::Result<T> {
        let (body, authorization) = (serde_json::to_string(body)?, self.authorization()?);
        self.first(|address| {
            let request = agent(patience).post(format!("http://{address}{path}"));
            let request = match &authorization {
                Some(value) => request.header("Authorization", value),
                None => request,
            };
            parse(request.content_type("application/json").send(&body))
        })
    }

    fn first<T>(&self, ask: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<T> {
        let mut reasons = Vec::new();
        for address in self.addresses()? {
            match ask(&address) {
                Ok(answer) => return Ok(answer),
                Err(reason) => reasons.push(format!("{address}: {reason}")),
            }
        }
        bail!(nobody(&reasons));
    }
}

/// What is said when no node answers.
pub(crate) fn nobody(reasons: &[String]) -> String {
    let reasons: String = reasons.iter().map(|reason| format!("\n  - {reason}")).collect();
    format!(
        "no node answers:{reasons}\nGive the HTTP address of a running node with --http HOST:PORT, or start a cluster with \
         `onecopy dev`"
    )
}

/// What is found at a URL.
pub(crate) fn get<T: DeserializeOwned>(
    url: &str,
    authorization: Option<&str>,
    patience: Duration,
) -> Result<T, String> {
    let request = agent(patience).get(url);
    let request = match authorization {
        Some(value) => request.header("Authorization", value),
        None => request,
    };
    parse(request.call())
}

/// Asks nodes, and nobody else.
fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        // Nodes are asked directly, whatever the environment says about proxies to the world.
        .proxy(None)
        // A refusal has a body that says why.
        .http_status_as_error(false)
        .build()
        .into()
}

fn parse<T: DeserializeOwned>(
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<T, String> {
    let mut response = response.map_err(|error| error.to_string())?;
    let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|_| {
        let beginning: String = text.trim_end().chars().take(300).collect();
        match response.status().as_u16() {
            401 => format!(
                "{beginning}: --user NAME, and --password-file FILE or ONECOPY_PASSWORD, say who you are"
            ),
            403 | 429 => beginning,
            status => format!("the answer ({status}) cannot be understood: {beginning}"),
        }
    })
}
