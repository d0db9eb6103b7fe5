//! Who a command is to the nodes that it asks over HTTP.

use std::path::PathBuf;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

/// Where a password is looked for that no file has. Arguments are shown to everybody by `ps`.
const PASSWORD: &str = "ONECOPY_PASSWORD";

/// How a user with a password says who it is (RFC 7617).
#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A user of the cluster, who has the rights that `ACL` gives it.
#[derive(Clone, Debug, Default, Args)]
pub struct Credentials {
    /// The user, if it is not `default`. Its password is in --password-file or in the environment variable
    /// ONECOPY_PASSWORD.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A file whose first line is the password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Credentials {
    /// What is said in the header `Authorization`; nothing if there is no password.
    pub(crate) fn header(&self) -> anyhow::Result<Option<String>> {
        let Some(password) = self.password()? else { return Ok(None) };
        Ok(Some(basic(self.user.as_deref().unwrap_or("default"), &password)))
    }

    fn password(&self) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.password_file else {
            return Ok(std::env::var(PASSWORD).ok().filter(|password| !password.is_empty()));
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the password in {}", file.display()))?;
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
    }
}
