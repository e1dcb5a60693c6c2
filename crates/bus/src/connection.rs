//! How brokers are reached: addresses, TLS with certificates of both sides, SASL.

use std::time::Duration;

use krafka::{
    Kafka,
    auth::{AuthConfig, TlsConfig},
};
use net::{Secret, Tls};

use crate::{Error, Result};

/// Files of certificates and keys are read again this often.
const RELOAD: Duration = Duration::from_secs(60);

/// A cluster and who one is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// `host:port`, some of the cluster's brokers; the others are found by them.
    pub brokers: Vec<String>,
    pub client_id: String,
    /// None for plain connections.
    pub tls: Option<Tls>,
    pub sasl: Option<Sasl>,
    /// Whether a topic that is not there is made, where the brokers allow it.
    pub create_topics: bool,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
}

/// Name and password, and how they are shown to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sasl {
    /// RFC 4616. The password goes over the wire as it is, so only over TLS unless `insecure` says otherwise.
    Plain {
        username: String,
        password: Secret,
        insecure: bool,
    },
    /// RFC 5802 with SHA-256.
    ScramSha256 {
        username: String,
        password: Secret,
    },
    ScramSha512 {
        username: String,
        password: Secret,
    },
}

impl Connection {
    pub fn new(brokers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Connection {
            brokers: brokers.into_iter().map(Into::into).collect(),
            client_id: "orrery".to_owned(),
            tls: None,
            sasl: None,
            create_topics: true,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }

    /// What can be said without asking anybody.
    ///
    /// # Errors
    /// A broker that is no `host:port`, or a password that would go over a plain connection.
    pub fn check(&self) -> Result<()> {
        let setting = |name, value: &str, wanted| Error::Setting { name, value: value.to_owned(), wanted };
        if self.brokers.is_empty() {
            return Err(setting("brokers", "", "at least one host:port"));
        }
        for broker in &self.brokers {
            let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
                return Err(setting("brokers", broker, "host:port"));
            }
        }
        if matches!(self.sasl, Some(Sasl::Plain { insecure: false, .. })) && self.tls.is_none() {
            return Err(setting("sasl", "plain", "tls, or insecure: the password is sent as it is"));
        }
        if let Some(tls) = &self.tls
            && tls.cert.is_some() != tls.key.is_some()
        {
            return Err(setting("tls", "one of cert and key", "both of them or none"));
        }
        Ok(())
    }

    /// Connects to one of the brokers.
    ///
    /// # Errors
    /// None answers, they turn the credentials down, or a secret cannot be read.
    pub(crate) async fn open(&self) -> Result<Kafka> {
        let mut builder = Kafka::builder(self.brokers.join(","))
            .client_id(self.client_id.as_str())
            .allow_auto_create_topics(self.create_topics)
            .connect_timeout(self.connect_timeout)
            .request_timeout(self.request_timeout.max(self.connect_timeout));
        if let Some(security) = self.security()? {
            builder = builder.security(security);
        }
        if self.tls.is_some() {
            builder = builder.tls_reload_interval(Some(RELOAD));
        }
        Ok(builder.connect().await?)
    }

    fn security(&self) -> Result<Option<AuthConfig>> {
        let tls = self.tls.as_ref().map(tls).transpose()?;
        let Some(sasl) = &self.sasl else { return Ok(tls.map(AuthConfig::ssl)) };
        let (Sasl::Plain { password, .. }
        | Sasl::ScramSha256 { password, .. }
        | Sasl::ScramSha512 { password, .. }) = sasl;
        let password = password.reveal().map_err(Error::Secret)?;
        let auth = match sasl {
            Sasl::Plain { username, .. } => AuthConfig::sasl_plain(username, password),
            Sasl::ScramSha256 { username, .. } => AuthConfig::sasl_scram_sha256(username, password),
            Sasl::ScramSha512 { username, .. } => AuthConfig::sasl_scram_sha512(username, password),
        };
        Ok(Some(match tls {
            Some(tls) => auth.with_tls(tls),
            None => auth,
        }))
    }
}

fn tls(tls: &Tls) -> Result<TlsConfig> {
    let mut out = if tls.insecure_skip_verify { TlsConfig::insecure() } else { TlsConfig::new() };
    out = match &tls.ca {
        Some(Secret::File(path)) => out.with_ca_cert(path.display().to_string()),
        Some(Secret::Inline(pem)) => out.with_ca_cert_pem(pem.as_bytes()),
        None => out.with_native_roots(),
    };
    out = match (&tls.cert, &tls.key) {
        (Some(Secret::File(cert)), Some(Secret::File(key))) => {
            out.with_client_cert(cert.display().to_string(), key.display().to_string())
        }
        (Some(cert), Some(key)) => {
            let (cert, key) = (cert.reveal().map_err(Error::Secret)?, key.reveal().map_err(Error::Secret)?);
            out.with_client_cert_pem(cert, key.into_bytes())
        }
        _ => out,
    };
    if !tls.server_name.is_empty() {
        out = out.with_sni_hostname(tls.server_name.as_str());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_named_before_anybody_is_asked() {
        let says = |c: Connection| c.check().map_err(|e| e.to_string());
        assert_eq!(says(Connection::new(["a:9092", "[::1]:9093"])), Ok(()));
        for bad in ["a", "a:", ":9092", "a:0", "a:x"] {
            assert_eq!(says(Connection::new([bad])), Err(format!("brokers is {bad:?}, wanted is host:port")));
        }
        assert!(says(Connection::new(Vec::<String>::new())).is_err());
        let password = Secret::Inline("s3cret".to_owned());
        let sasl = Sasl::Plain { username: "u".to_owned(), password, insecure: false };
        let plain = Connection { sasl: Some(sasl), ..Connection::new(["a:9092"]) };
        assert!(says(plain.clone()).unwrap_err().starts_with("sasl is \"plain\""));
        assert!(!format!("{plain:?}").contains("s3cret"));
        assert_eq!(says(Connection { tls: Some(Tls::default()), ..plain }), Ok(()));
        let half = Tls { cert: Some(Secret::Inline(String::new())), ..Tls::default() };
        assert!(says(Connection { tls: Some(half), ..Connection::new(["a:1"]) }).is_err());
    }
}
