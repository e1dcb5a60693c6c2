//! What a failed handshake tells a person: whose certificate, what is wrong with it, what helps.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error as TlsError, PeerIncompatible};

use crate::certs::date;

/// Why a handshake ended; a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    UnknownAuthority,
    Expired,
    NotYetValid,
    WrongName,
    WrongCluster,
    NoCluster,
    /// On the deny list.
    Denied,
    /// The caller showed no certificate.
    NoCertificate,
    /// The other side does not accept ours.
    Refused,
    /// No version or cipher in common.
    Version,
    /// What came was not TLS.
    NotTls,
    Timeout,
    /// The connection ended before the handshake did.
    Closed,
    /// Anything else that is wrong with a certificate or a message.
    Bad,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::UnknownAuthority => "unknown_authority",
            Reason::Expired => "expired",
            Reason::NotYetValid => "not_yet_valid",
            Reason::WrongName => "wrong_name",
            Reason::WrongCluster => "wrong_cluster",
            Reason::NoCluster => "no_cluster",
            Reason::Denied => "denied",
            Reason::NoCertificate => "no_certificate",
            Reason::Refused => "refused",
            Reason::Version => "version",
            Reason::NotTls => "not_tls",
            Reason::Timeout => "timeout",
            Reason::Closed => "closed",
            Reason::Bad => "bad",
        }
    }
}

/// What a check of ours says, on its way through rustls. `rest` follows after whose certificate it is.
#[derive(Debug)]
pub(super) struct Said {
    pub reason: Reason,
    pub rest: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rest)
    }
}

impl std::error::Error for Said {}

/// What is wrong with a certificate, as the end of a sentence that begins with whose it is.
pub(crate) fn of_certificate(e: &CertificateError, deny: &str) -> (Reason, String) {
    let (reason, rest) = match e {
        // The latter is what it looks like when the authority has the right name and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            (Reason::UnknownAuthority, "is signed by an unknown authority".to_owned())
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            (Reason::Expired, format!("expired on {}", date(not_after.as_secs() as i64)))
        }
        CertificateError::Expired => (Reason::Expired, "has expired".to_owned()),
        CertificateError::NotValidYetContext { not_before, time } => (
            Reason::NotYetValid,
            format!(
                "is not valid before {}, and here it is {}: compare the clocks",
                date(not_before.as_secs() as i64),
                date(time.as_secs() as i64)
            ),
        ),
        CertificateError::NotValidYet => (Reason::NotYetValid, "is not valid yet".to_owned()),
        CertificateError::NotValidForNameContext { expected, presented } => {
            // In the notation of the library: what it is, then the name.
            let hosts = presented.iter().filter_map(|name| {
                let host = name.strip_prefix("DnsName(").or_else(|| name.strip_prefix("IpAddress("))?;
                Some(host.trim_end_matches(')').trim_matches('"'))
            });
            let hosts = hosts.collect::<Vec<_>>().join(", ");
            let known = if hosts.is_empty() { "no host" } else { hosts.as_str() };
            (Reason::WrongName, format!("is not valid for {}: it is for {known}", expected.to_str()))
        }
        CertificateError::NotValidForName => (Reason::WrongName, "is not valid for that name".to_owned()),
        CertificateError::Revoked => (Reason::Denied, format!("is on the deny list {deny}")),
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            (Reason::Bad, "is not made for this side of a connection (extended key usage)".to_owned())
        }
        CertificateError::Other(other) => match other.0.downcast_ref::<Said>() {
            Some(said) => (said.reason, said.rest.clone()),
            None => (Reason::Bad, format!("cannot be used: {other}")),
        },
        CertificateError::BadEncoding => (Reason::Bad, "cannot be read".to_owned()),
        other => (Reason::Bad, format!("cannot be used: {other}")),
    };
    (reason, rest)
}

/// Which side of the handshake says it.
pub(super) struct Sides<'a> {
    /// The other one: an address, or `the caller`.
    pub other: &'a str,
    /// The file of our own certificate.
    pub ours: &'a str,
    pub min_version: &'a str,
    pub deny: &'a str,
}

/// A failed handshake as a sentence.
pub(super) fn of_handshake(e: &io::Error, sides: &Sides<'_>) -> (Reason, String) {
    let Sides { other, ours, min_version, deny } = *sides;
    let Some(tls) = e.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        return (Reason::Closed, format!("the TLS handshake with {other} was not finished: {e}"));
    };
    match tls {
        TlsError::InvalidCertificate(c) => {
            let (reason, rest) = of_certificate(c, deny);
            (reason, format!("the certificate of {other} {rest}"))
        }
        TlsError::NoCertificatesPresented => {
            (Reason::NoCertificate, format!("{other} shows no certificate, and one is required here"))
        }
        TlsError::AlertReceived(alert) => of_alert(*alert, other, ours, min_version),
        TlsError::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => (Reason::Version, no_version(other, min_version)),
        TlsError::PeerIncompatible(_) | TlsError::NoApplicationProtocol => {
            (Reason::Version, format!("{other} and this node have no protocol in common: {tls}"))
        }
        TlsError::InvalidMessage(_) => (Reason::NotTls, format!("{other} does not speak TLS")),
        _ => (Reason::Bad, format!("the TLS handshake with {other} was not finished: {tls}")),
    }
}

/// The same where nothing is known of our side.
pub(crate) fn of_handshake_with(other: &str, e: &io::Error) -> (Reason, String) {
    of_handshake(e, &Sides { other, ours: "", min_version: "1.2", deny: "" })
}

fn no_version(other: &str, min_version: &str) -> String {
    format!("{other} speaks no TLS {min_version}, the oldest version allowed here by min_version")
}

fn of_alert(alert: AlertDescription, other: &str, ours: &str, min_version: &str) -> (Reason, String) {
    match refused(alert) {
        Some(why) => (Reason::Refused, format!("{other} does not accept our certificate {ours}: {why}")),
        None if alert == AlertDescription::ProtocolVersion => {
            (Reason::Version, no_version(other, min_version))
        }
        None => (Reason::Bad, format!("{other} ended the TLS handshake: {alert:?}")),
    }
}

/// What an alert says of the certificate it answers; none where it speaks of something else.
fn refused(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::UnknownCA => "it is signed by an authority that is unknown there",
        AlertDescription::CertificateExpired => "it has expired, or the clocks differ",
        AlertDescription::CertificateRevoked => "it is on the deny list there",
        AlertDescription::CertificateRequired => "it wants one, and none was shown",
        AlertDescription::CertificateUnknown
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate => {
            "it is not one that may come there; the log there says why"
        }
        // What a wrong signature of the authority looks like from here.
        AlertDescription::DecryptError => "its signature is not that of an authority known there",
        AlertDescription::AccessDenied => "access is denied",
        _ => return None,
    })
}
