//! How an outgoing request is to be made: the HTTP client settings that Prometheus gives to every job and every
//! discovery (`http_config`): who asks, over which TLS, through which proxy.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// A value that must not be shown. A file is read each time the value is needed, so that a rotated secret is
/// picked up.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Inline(String),
    File(PathBuf),
}

/// Largest file a secret, a certificate or a key is read from.
const MAX_SECRET_BYTES: usize = 1 << 20;

impl Secret {
    /// The value, without white space around it.
    ///
    /// # Errors
    /// The file cannot be read, is larger than 1 MiB, or is no text; the message names the file.
    pub fn reveal(&self) -> Result<String, String> {
        match self {
            Secret::Inline(s) => Ok(s.clone()),
            Secret::File(path) => std::fs::File::open(path)
                .map_err(|e| e.to_string())
                .and_then(|f| {
                    base::cap::read_capped(f, MAX_SECRET_BYTES, "secret").map_err(|e| e.to_string())
                })
                .and_then(|b| String::from_utf8(b).map_err(|e| e.to_string()))
                .map(|s| s.trim().to_owned())
                .map_err(|e| format!("reading {}: {e}", path.display())),
        }
    }
}

impl fmt::Debug for Secret {
    /// A file's name may be shown, a value never.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Inline(_) => f.write_str("<secret>"),
            Secret::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// How a request proves who sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    None,
    Basic {
        username: Secret,
        password: Secret,
    },
    /// The `Authorization` header: scheme (usually `Bearer`) and credentials.
    Header {
        scheme: String,
        credentials: Secret,
    },
    /// A token fetched with the client credentials grant (RFC 6749 §4.4) and kept until it expires.
    OAuth2(Box<OAuth2>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2 {
    pub client_id: String,
    pub client_secret: Secret,
    pub token_url: String,
    pub scopes: Vec<String>,
    /// Further form fields of the token request.
    pub endpoint_params: BTreeMap<String, String>,
    pub tls: Tls,
    pub proxy: Proxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// TLS towards the server. Everything unset trusts the machine's roots and shows no certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Trusted instead of the machine's roots.
    pub ca: Option<Secret>,
    pub cert: Option<Secret>,
    pub key: Option<Secret>,
    /// Asked for and verified instead of the host in the URL; empty for that.
    pub server_name: String,
    pub insecure_skip_verify: bool,
    /// TLS 1.0 and 1.1 are not spoken: as a minimum they mean 1.2, as a maximum nothing can be reached.
    pub min_version: Option<TlsVersion>,
    pub max_version: Option<TlsVersion>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    #[default]
    None,
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` and their lower-case forms.
    Environment,
    Url {
        url: String,
        /// Hosts, domains, addresses and ranges that are asked directly, separated by commas.
        no_proxy: String,
        connect_headers: Headers,
    },
}

/// Names and values in the order written.
pub type Headers = Vec<(String, Vec<Secret>)>;

/// Everything about how requests are made that does not depend on the single request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub auth: Auth,
    pub tls: Tls,
    pub proxy: Proxy,
    /// Sent with every request.
    pub headers: Headers,
    pub follow_redirects: bool,
    /// Whether HTTP/2 is offered over TLS.
    pub http2: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            auth: Auth::None,
            tls: Tls::default(),
            proxy: Proxy::None,
            headers: Vec::new(),
            follow_redirects: true,
            http2: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed_and_a_file_is_read_each_time() {
        assert_eq!(format!("{:?}", Secret::Inline("hunter2".into())), "<secret>");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let secret = Secret::File(path.clone());
        assert_eq!(secret.reveal().unwrap(), "one");
        std::fs::write(&path, " two ").unwrap();
        assert_eq!(secret.reveal().unwrap(), "two");
        std::fs::remove_file(&path).unwrap();
        assert!(secret.reveal().unwrap_err().contains("token"));
    }
}
