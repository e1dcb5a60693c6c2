//! TLS of both sides between nodes and from their clients: who may connect, what they proved, and how
//! certificates change while a node runs.
//!
//! [`ServerTls`] stands behind a listener, [`ClientTls`] is this node towards others. Both keep what they read
//! from files in one place that is swapped whole: connections live on with what they began with, new handshakes
//! use the new. TLS 1.3 is spoken unless 1.2 is asked for; the cryptography is ring's.
//!
//! Read on in `files` (from files to material), `verify` (what is checked beyond the chain), `say` (what an
//! error tells a person), `server` and `client`.

mod client;
mod files;
mod say;
mod server;
mod verify;
mod watched;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use base::{
    Clock, Metrics,
    metrics::{Counters, Gauges, pair},
};
use rustls::{
    SupportedProtocolVersion,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, UnixTime},
    time_provider::TimeProvider,
};

use crate::certs::Facts;

pub use client::{ClientTls, PeerStream, Target};
pub(crate) use files::{authorities, certificates, file as file_error, private_key, read as read_file};
pub use say::Reason;
pub(crate) use say::{of_certificate, of_handshake_with};
pub use server::{Accepted, Begun, ServerStream, ServerTls};

/// How long a handshake may take. Longer: a peer that says nothing holds a connection. Shorter: slow links fail.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    Tls12,
    #[default]
    Tls13,
}

impl MinVersion {
    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            MinVersion::Tls12 => "1.2",
            MinVersion::Tls13 => "1.3",
        }
    }

    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
        static NEW: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            MinVersion::Tls12 => &BOTH,
            MinVersion::Tls13 => &NEW,
        }
    }
}

/// TLS of a listener. Files are PEM and are looked at again while the listener is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// The certificate, then those between it and the authority.
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Authorities of callers. When given, a caller without a certificate of theirs is refused.
    pub client_ca: Option<PathBuf>,
    /// Serial numbers that are refused, one a line.
    pub deny: Option<PathBuf>,
    pub min_version: MinVersion,
    /// Refuse callers whose certificate names no cluster.
    pub require_cluster: bool,
}

/// This node towards other clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Authorities of the others.
    pub ca: PathBuf,
    pub deny: Option<PathBuf>,
    pub min_version: MinVersion,
}

/// What the other side proved by its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// From the URI SAN `orrery://cluster/<name>`.
    pub cluster: Option<String>,
    /// Hexadecimal, two digits a byte, without leading zero bytes.
    pub serial: String,
    /// Seconds since 1970.
    pub not_after: i64,
    pub subject: String,
}

impl PeerIdentity {
    /// Reads a certificate whose chain was verified.
    ///
    /// # Errors
    /// It cannot be read, or names more than one cluster.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let facts = Facts::read(certificate)?;
        let cluster = facts.cluster()?.map(str::to_owned);
        Ok(PeerIdentity { cluster, serial: facts.serial, not_after: facts.not_after, subject: facts.subject })
    }
}

/// What is counted about TLS. Registered once per registry, then cloned.
#[derive(Clone)]
pub struct TlsMetrics {
    handshakes: Counters,
    reloads: Counters,
    reload_failures: Counters,
    expires: Gauges,
}

impl TlsMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        TlsMetrics {
            handshakes: metrics
                .counters("tls_handshakes", "TLS handshakes, by what they were for and how they ended."),
            reloads: metrics.counters("tls_reloads", "Changed certificates, keys and deny lists taken over."),
            reload_failures: metrics
                .counters("tls_reload_failures", "Changed certificates, keys or deny lists not taken over."),
            expires: metrics.gauges(
                "tls_certificate_expires_timestamp_seconds",
                "When a certificate of this node expires, seconds since 1970.",
            ),
        }
    }

    fn handshake(&self, name: &str, outcome: &str) {
        let mut labels = pair("for", name);
        labels.push(("outcome", outcome.to_owned()));
        self.handshakes.get_or_create(&labels).inc();
    }
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Certificates are valid by the node's clock.
#[derive(Clone)]
pub(crate) struct Time(pub Clock);

impl Time {
    /// Seconds since 1970.
    pub(crate) fn now_s(&self) -> i64 {
        self.0.now_ns().div_euclid(1_000_000_000)
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.now_s().try_into().unwrap_or(0)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}

#[cfg(test)]
mod tests;
