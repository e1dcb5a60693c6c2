//! Certificates explained: what each says, who signed it, what is wrong with it, and what to do.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{DAY_S, Facts, date};
use crate::{
    Error,
    tls::{
        HANDSHAKE_TIMEOUT, authorities, certificates, file_error, of_certificate, of_handshake_with,
        private_key, provider, read_file,
    },
};

/// A certificate that expires sooner is spoken of.
const SOON_DAYS: i64 = 30;

/// What was found, in lines for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What each certificate says.
    pub lines: Vec<String>,
    /// What keeps something from working.
    pub problems: Vec<String>,
    /// What works and should be known.
    pub advice: Vec<String>,
}

/// Explains the certificates and keys in files. `ca` holds the authorities they should stand under.
///
/// # Errors
/// A file cannot be read, or holds neither.
pub fn check(files: &[PathBuf], ca: Option<&Path>, now_s: i64) -> Result<Report, Error> {
    let trust = ca.map(Trust::read).transpose()?;
    let mut report = Report::default();
    let (mut chains, mut keys) = (Vec::new(), Vec::new());
    for path in files {
        let text = read_file(path)?;
        let chain = certificates(path, &text)?;
        let key = private_key(path, &text);
        if chain.is_empty() && key.is_err() {
            return Err(file_error(path, "it holds neither a certificate nor a private key in PEM"));
        }
        if let Ok(key) = key {
            keys.push((path, key));
        }
        if !chain.is_empty() {
            let about = Chain { name: path.display().to_string(), certificates: &chain, host: None };
            report.explain(&about, trust.as_ref(), now_s);
            chains.push((path, chain));
        }
    }
    for (path, key) in &keys {
        report.key(path, key, &chains);
    }
    Ok(report)
}

/// Explains what a server at `host:port` shows.
///
/// # Errors
/// Nothing answers there, or what answers does not speak TLS.
pub async fn fetch(address: &str, ca: Option<&Path>, now_s: i64) -> Result<Report, Error> {
    let trust = ca.map(Trust::read).transpose()?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Error::Setup { reason: format!("{address:?} is not host:port") })?;
    let shown = shown_by(address, name.clone()).await?;
    let mut report = Report::default();
    let about = Chain { name: address.to_owned(), certificates: &shown, host: Some(name) };
    report.explain(&about, trust.as_ref(), now_s);
    Ok(report)
}

/// The authorities of a file.
struct Trust {
    roots: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Trust {
    fn read(path: &Path) -> Result<Self, Error> {
        let text = read_file(path)?;
        let roots = Arc::new(authorities(path, &text)?);
        Ok(Trust { roots, certificates: certificates(path, &text)? })
    }
}

/// Certificates that belong together, the end of the chain first.
struct Chain<'a> {
    name: String,
    certificates: &'a [CertificateDer<'static>],
    /// The name they were asked under.
    host: Option<ServerName<'static>>,
}

impl Report {
    fn explain(&mut self, chain: &Chain<'_>, trust: Option<&Trust>, now_s: i64) {
        let mut above: Option<Facts> = None;
        for (n, der) in chain.certificates.iter().enumerate() {
            let name =
                if n == 0 { chain.name.clone() } else { format!("{} (certificate {})", chain.name, n + 1) };
            let facts = match Facts::read(der) {
                Ok(facts) => facts,
                Err(e) => {
                    self.problems.push(format!("{name} {e}"));
                    return;
                }
            };
            self.facts(&name, &facts, now_s);
            self.validity(&name, &facts, now_s);
            if n == 0 && !facts.is_ca {
                self.purpose(&name, &facts);
            }
            // A text file of several authorities is no chain.
            if let Some(below) = &above
                && !below.is_ca
                && below.issuer != facts.subject
            {
                self.problems.push(format!(
                    "{name} is not who signed the one before it ({}): put them in order, the node's own first",
                    below.issuer
                ));
            }
            above = Some(facts);
        }
        match trust {
            Some(trust) => self.authority(chain, trust, now_s),
            None => self.without_authority(chain),
        }
    }

    fn facts(&mut self, name: &str, facts: &Facts, now_s: i64) {
        self.lines.push(name.to_owned());
        let mut line = |what: &str, value: &str| self.lines.push(format!("  {what:<10}{value}"));
        let hosts = facts.dns.iter().cloned().chain(facts.ips.iter().map(ToString::to_string));
        let others = facts.uris.iter().filter(|u| !u.starts_with(super::CLUSTER_URI)).cloned();
        let names = hosts.chain(others).collect::<Vec<_>>().join(", ");
        let left = (facts.not_after - now_s).div_euclid(DAY_S);
        let days = match left {
            l if l < 0 => format!("expired {} days ago", -l),
            l => format!("{l} days left"),
        };
        line("subject", &facts.subject);
        line("serial", &facts.serial);
        if let Ok(Some(cluster)) = facts.cluster() {
            line("cluster", cluster);
        }
        if !names.is_empty() {
            line("names", &names);
        }
        line("valid", &format!("{} to {} ({days})", date(facts.not_before), date(facts.not_after)));
        line("signed by", if facts.is_self_signed() { "itself" } else { &facts.issuer });
        let used = match (facts.is_ca, facts.server_auth, facts.client_auth) {
            (true, ..) => "an authority: signs others",
            (_, true, true) => "serving and calling",
            (_, true, false) => "serving only",
            (_, false, true) => "calling only",
            (_, false, false) => "neither serving nor calling",
        };
        line("is for", used);
    }

    fn validity(&mut self, name: &str, facts: &Facts, now_s: i64) {
        let again = match facts.cluster() {
            Ok(Some(cluster)) => format!("issue it again (orrery certs issue DIR {cluster} …)"),
            _ => "have it issued again".to_owned(),
        };
        if facts.not_after < now_s {
            self.problems.push(format!("{name} expired on {}: {again}", date(facts.not_after)));
        } else if facts.not_before > now_s {
            self.problems.push(format!(
                "{name} is not valid before {}: compare the clock of this machine ({}) with that of the one that issued it",
                date(facts.not_before),
                date(now_s)
            ));
        } else if (facts.not_after - now_s).div_euclid(DAY_S) < SOON_DAYS {
            self.advice.push(format!("{name} expires on {}: {again}", date(facts.not_after)));
        }
    }

    fn purpose(&mut self, name: &str, facts: &Facts) {
        match facts.cluster() {
            Err(e) => self.problems.push(format!("{name} {e}")),
            Ok(None) => self.advice.push(format!(
                "{name} names no cluster: other nodes refuse it as a peer, which needs the URI {}<name> among its names",
                super::CLUSTER_URI
            )),
            Ok(Some(_)) => {}
        }
        if !facts.server_auth {
            self.advice
                .push(format!("{name} cannot be used by a listener: its usage lacks server authentication"));
        }
        if !facts.client_auth {
            self.advice.push(format!(
                "{name} cannot be shown to other nodes: its usage lacks client authentication"
            ));
        }
        if facts.server_auth && facts.dns.is_empty() && facts.ips.is_empty() {
            self.advice.push(format!(
                "{name} names no host: who calls a node that shows it must be told a server_name, or issue it with --dns or --ip"
            ));
        }
    }

    /// The chain up to an authority that was given.
    fn authority(&mut self, chain: &Chain<'_>, trust: &Trust, now_s: i64) {
        let roots = &trust.roots;
        let Some((first, rest)) = chain.certificates.split_first() else { return };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s.try_into().unwrap_or(0)));
        if Facts::read(first).is_ok_and(|f| f.is_ca) {
            if !trust.certificates.contains(first) {
                self.problems.push(format!("{} is not among the authorities of --ca", chain.name));
            }
            return;
        }
        let calls = Facts::read(first).is_ok_and(|f| f.client_auth);
        let verified = match (&chain.host, calls) {
            (Some(host), _) => serves(roots, first, rest, host, now),
            (None, true) => calls_others(roots, first, rest, now),
            // Its own first name, so that nothing but the chain can be wrong.
            (None, false) => match own_name(first) {
                Some(host) => serves(roots, first, rest, &host, now),
                None => return,
            },
        };
        match verified {
            Ok(()) => self.lines.push("  chain     leads to an authority of --ca".to_owned()),
            Err(rustls::Error::InvalidCertificate(e)) => {
                let (_, said) = of_certificate(&e, "");
                // Validity was spoken of already.
                if !said.starts_with("expired") && !said.starts_with("is not valid before") {
                    self.problems.push(format!("{} {said}", chain.name));
                }
            }
            Err(e) => self.problems.push(format!("{}: {e}", chain.name)),
        }
    }

    fn without_authority(&mut self, chain: &Chain<'_>) {
        let last = chain.certificates.last().and_then(|der| Facts::read(der).ok());
        if let Some(last) = last
            && !last.is_self_signed()
        {
            self.advice.push(format!(
                "whether {} really signed {} was not looked at: give its certificate by --ca",
                last.issuer, chain.name
            ));
        }
    }

    fn key(
        &mut self,
        path: &Path,
        key: &PrivateKeyDer<'static>,
        chains: &[(&PathBuf, Vec<CertificateDer<'static>>)],
    ) {
        let shown = path.display();
        let belongs = chains.iter().find(|(_, chain)| {
            CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider())
                .is_ok_and(|pair| pair.keys_match().is_ok())
        });
        match belongs {
            Some((cert, _)) => self.lines.push(format!("{shown}\n  key       belongs to {}", cert.display())),
            None if chains.is_empty() => {
                self.lines.push(format!(
                    "{shown}\n  key       give its certificate too, to see whether they match"
                ));
            }
            None => {
                self.problems.push(format!("the key in {shown} belongs to none of the certificates given"))
            }
        }
        let mode = std::fs::metadata(path).map_or(0, |m| m.permissions().mode());
        if mode & 0o077 != 0 {
            self.advice.push(format!("{shown} can be read by others than its owner: chmod 600 {shown}"));
        }
    }
}

fn own_name(der: &[u8]) -> Option<ServerName<'static>> {
    let facts = Facts::read(der).ok()?;
    let dns = facts.dns.first().and_then(|name| ServerName::try_from(name.clone()).ok());
    dns.or_else(|| facts.ips.first().map(|ip| ServerName::from(*ip)))
}

fn serves(
    roots: &Arc<RootCertStore>,
    first: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    host: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider())
        .build()
        .map_err(|e| rustls::Error::General(e.to_string()))?;
    verifier.verify_server_cert(first, rest, host, &[], now).map(|_| ())
}

fn calls_others(
    roots: &Arc<RootCertStore>,
    first: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
        .build()
        .map_err(|e| rustls::Error::General(e.to_string()))?;
    verifier.verify_client_cert(first, rest, now).map(|_| ())
}

/// What a server shows at the beginning of a handshake, which is not continued.
async fn shown_by(address: &str, name: ServerName<'static>) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreachable = |reason: String| Error::Unreachable { url: address.to_owned(), reason };
    let look = Arc::new(Look::default());
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| unreachable(e.to_string()))?
        .dangerous() // Nothing is sent over this connection.
        .with_custom_certificate_verifier(look.clone())
        .with_no_client_auth();
    let shake = async {
        let stream = TcpStream::connect(address).await.map_err(|e| unreachable(e.to_string()))?;
        Ok::<_, Error>(TlsConnector::from(Arc::new(config)).connect(name, stream).await)
    };
    let outcome = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake)
        .await
        .map_err(|_| Error::Timeout { url: address.to_owned(), after: HANDSHAKE_TIMEOUT })??;
    let shown = std::mem::take(&mut *look.shown.lock());
    match outcome {
        Err(e) if shown.is_empty() => {
            let (reason, message) = of_handshake_with(address, &e);
            Err(Error::Tls { reason, message })
        }
        _ => Ok(shown),
    }
}

/// Keeps the certificates it is asked about and believes none.
#[derive(Debug, Default)]
struct Look {
    shown: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Look {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        *self.shown.lock() = all.map(|c| c.clone().into_owned()).collect();
        Err(rustls::Error::General("seen".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("seen".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("seen".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
