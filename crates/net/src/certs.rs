//! Certificates as people meet them: made by an authority of one's own, explained, and denied. `make` writes
//! them, `check` says what is wrong with them, `deny` keeps the list of those that are refused.
//!
//! A certificate names its cluster by the alternative name `orrery://cluster/<name>`; that decides whom a node
//! speaks for, whatever host it runs on.

mod check;
mod deny;
mod make;

use std::{net::IpAddr, path::Path};

use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use crate::{
    Error,
    tls::{certificates, file_error, read_file},
};

pub use check::{Report, check, fetch};
pub use deny::{Added, Denied, deny};
pub use make::{Issued, Leaf, Made, init, issue};

/// How a certificate names its cluster.
pub const CLUSTER_URI: &str = "orrery://cluster/";
/// Names of the authority's files in its directory.
pub const CA_CERT: &str = "ca.crt";
pub const CA_KEY: &str = "ca.key";
/// The deny list beside them.
pub const DENY_LIST: &str = "denied.txt";

pub(crate) const DAY_S: i64 = 86_400;

/// What a certificate says of itself. Nothing of it is proved by reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub subject: String,
    pub issuer: String,
    /// Hexadecimal, two digits a byte, without leading zero bytes.
    pub serial: String,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    pub dns: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub uris: Vec<String>,
    pub is_ca: bool,
    /// What it may be used for; both where it does not restrict itself.
    pub server_auth: bool,
    pub client_auth: bool,
}

impl Facts {
    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// It is not one.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let (rest, cert) = parse_x509_certificate(der).map_err(|e| format!("is not a certificate: {e}"))?;
        if !rest.is_empty() {
            return Err(format!("is followed by {} bytes that belong to nothing", rest.len()));
        }
        let mut facts = Facts {
            subject: cert.subject().to_string(),
            issuer: cert.issuer().to_string(),
            serial: serial_text(cert.raw_serial()),
            not_before: cert.validity().not_before.timestamp(),
            not_after: cert.validity().not_after.timestamp(),
            dns: Vec::new(),
            ips: Vec::new(),
            uris: Vec::new(),
            is_ca: cert.is_ca(),
            server_auth: true,
            client_auth: true,
        };
        let names = cert.subject_alternative_name().map_err(|e| format!("has unreadable names: {e}"))?;
        for name in names.iter().flat_map(|n| &n.value.general_names) {
            match name {
                GeneralName::DNSName(name) => facts.dns.push((*name).to_owned()),
                GeneralName::URI(uri) => facts.uris.push((*uri).to_owned()),
                GeneralName::IPAddress(bytes) => facts.ips.extend(ip(bytes)),
                _ => {}
            }
        }
        if let Some(usage) = cert.extended_key_usage().map_err(|e| format!("has an unreadable usage: {e}"))? {
            facts.server_auth = usage.value.any || usage.value.server_auth;
            facts.client_auth = usage.value.any || usage.value.client_auth;
        }
        Ok(facts)
    }

    /// The cluster it names, if it does.
    ///
    /// # Errors
    /// It names several, or what it names cannot be a cluster.
    pub fn cluster(&self) -> Result<Option<&str>, String> {
        let mut named = None;
        for name in self.uris.iter().filter_map(|u| u.strip_prefix(CLUSTER_URI)) {
            model::ClusterName::new(name).map_err(|e| format!("names a cluster that cannot be: {e}"))?;
            if named.is_some_and(|n| n != name) {
                return Err("names more than one cluster".to_owned());
            }
            named = Some(name);
        }
        Ok(named)
    }

    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

/// What the first certificate of a file says.
///
/// # Errors
/// The file cannot be read or holds none.
pub fn facts_of(path: &Path) -> Result<Facts, Error> {
    let found = certificates(path, &read_file(path)?)?;
    let first = found.first().ok_or_else(|| file_error(path, "it holds no certificate"))?;
    Facts::read(first).map_err(|e| file_error(path, e))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// A serial number as it is written everywhere here.
fn serial_text(bytes: &[u8]) -> String {
    let begin = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len().saturating_sub(1));
    bytes.iter().skip(begin).map(|b| format!("{b:02x}")).collect()
}

/// A time for people: `2026-01-31 12:00 UTC`.
pub fn date(unix_s: i64) -> String {
    match chrono::DateTime::from_timestamp(unix_s, 0) {
        Some(t) => t.format("%Y-%m-%d %H:%M UTC").to_string(),
        None => format!("{unix_s} s since 1970"),
    }
}

#[cfg(test)]
mod tests;
