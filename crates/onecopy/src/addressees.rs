//! Which nodes a command asks.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

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
}

impl Addressees {
    /// Only this one.
    pub(crate) fn one(address: &str) -> Self {
        Self { http: vec![address.to_owned()], dev: None }
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
        self.first(|address| {
            let url = format!("http://{address}{path}");
            parse(agent(patience).get(url).call())
        })
    }

    /// What the first node that answers says to a POST.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> anyhow::Result<T> {
        let body = serde_json::to_string(body)?;
        self.first(|address| {
            let request = agent(patience).post(format!("http://{address}{path}"));
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

/// Asks nodes, and nobody else.
pub(crate) fn agent(patience: Duration) -> ureq::Agent {
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
        let beginning: String = text.chars().take(200).collect();
        format!("the answer ({}) cannot be understood: {beginning}", response.status())
    })
}
