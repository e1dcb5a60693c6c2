//! The calling side: connections to other nodes that prove which cluster they speak for.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base::Clock;
use rustls::{
    ClientConfig,
    client::{ResolvesClientCert, Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::ServerName,
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    ClientSettings, HANDSHAKE_TIMEOUT, PeerIdentity, Time, TlsMetrics,
    files::{Material, Paths, file},
    provider,
    say::{Reason, Sides, of_handshake},
    verify::Called,
    watched::{Options, Watched},
};
use crate::{
    Error,
    certs::{Denied, Facts, date},
};

/// How long one address may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// This node towards other clusters: its certificate, and the authorities it trusts. Share it behind its `Arc`.
pub struct ClientTls {
    watched: Arc<Watched<Ready>>,
    pub(super) handshake_timeout: Duration,
}

/// What a handshake needs, apart from whom it is with.
struct Ready {
    own: Arc<CertifiedKey>,
    facts: Facts,
    chain: Arc<dyn ServerCertVerifier>,
    denied: Arc<Denied>,
}

/// Whom to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `host:port`, where an IPv6 host stands in brackets.
    pub address: String,
    /// The name its certificate must be for; the host of the address where absent.
    pub server_name: Option<String>,
    /// The cluster its certificate must name.
    pub cluster: Option<String>,
}

impl ClientTls {
    /// Reads the files. The metrics name them `tls`, as the configuration does.
    ///
    /// # Errors
    /// A file cannot be read or its content cannot be used; the error names it.
    pub fn open(settings: &ClientSettings, clock: Clock, metrics: TlsMetrics) -> Result<Arc<Self>, Error> {
        let paths = Paths {
            cert: settings.cert.clone(),
            key: settings.key.clone(),
            ca: Some(settings.ca.clone()),
            deny: settings.deny.clone(),
        };
        let options = Options {
            clock,
            min_version: settings.min_version,
            require_cluster: false,
            deny_name: settings.deny.as_ref().map_or(String::new(), |d| d.display().to_string()),
        };
        let watched = Watched::open("tls".to_owned(), paths, options, ready, metrics)?;
        Ok(Arc::new(ClientTls { watched: Arc::new(watched), handshake_timeout: HANDSHAKE_TIMEOUT }))
    }

    /// Connects and does the handshake. Whether the other side accepts *our* certificate is known with TLS 1.3
    /// only from the first read of the stream, whose error says so.
    ///
    /// # Errors
    /// Nothing answers at the address, or the handshake fails; the message names the address and says what to
    /// do.
    pub async fn connect(&self, target: &Target) -> Result<PeerStream<TcpStream>, Error> {
        let address = &target.address;
        let unreachable = |reason: String| Error::Unreachable { url: address.clone(), reason };
        let found =
            tokio::net::lookup_host(address.as_str()).await.map_err(|e| unreachable(e.to_string()))?;
        let mut last = "the name has no address".to_owned();
        for socket in found {
            let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(socket)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(e)) => {
                    last = e.to_string();
                    continue;
                }
                Err(_) => {
                    last = format!("no connection within {CONNECT_TIMEOUT:?}");
                    continue;
                }
            };
            // Requests are small and wanted at once.
            let _ = stream.set_nodelay(true);
            return self.over(stream, target).await;
        }
        Err(unreachable(last))
    }

    /// Does the handshake over a connection that is there already.
    ///
    /// # Errors
    /// As [`ClientTls::connect`].
    pub async fn over<IO>(&self, io: IO, target: &Target) -> Result<PeerStream<IO>, Error>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let limit = self.handshake_timeout;
        let outcome = tokio::time::timeout(limit, self.shake(io, target)).await.unwrap_or_else(|_| {
            let message = format!("{} did not finish the TLS handshake within {limit:?}", target.address);
            Err(Error::Tls { reason: Reason::Timeout, message })
        });
        let counted = match &outcome {
            Ok(_) => "ok",
            Err(Error::Tls { reason, .. }) => reason.as_str(),
            Err(_) => Reason::Bad.as_str(),
        };
        self.watched.metrics().handshake(self.watched.name(), counted);
        outcome
    }

    async fn shake<IO>(&self, io: IO, target: &Target) -> Result<PeerStream<IO>, Error>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let ready = self.watched.current();
        let now = Time(self.watched.options().clock.clone()).now_s();
        let cert = &self.watched.paths().cert;
        if ready.facts.not_after < now {
            // The other side would only say that it does not like it.
            let when = date(ready.facts.not_after);
            return Err(file(
                cert,
                format!("our certificate expired on {when}: renew it, it is read again by itself"),
            ));
        }
        let name = server_name(target)?;
        let config = self.config(&ready, target)?;
        let ours = cert.display().to_string();
        match TlsConnector::from(Arc::new(config)).connect(name, io).await {
            Ok(tls) => {
                let certificate = tls.get_ref().1.peer_certificates().and_then(|c| c.first());
                let identity = match certificate.map(PeerIdentity::of) {
                    Some(Ok(identity)) => identity,
                    Some(Err(e)) => return Err(self.wrong(Reason::Bad, &target.address, &e)),
                    None => return Err(self.wrong(Reason::NoCertificate, &target.address, "was not shown")),
                };
                let min_version = self.watched.options().min_version.as_str();
                Ok(PeerStream {
                    tls,
                    identity,
                    address: target.address.clone(),
                    ours,
                    min_version,
                    heard: false,
                })
            }
            Err(e) => {
                let options = self.watched.options();
                let sides = Sides {
                    other: &target.address,
                    ours: &ours,
                    min_version: options.min_version.as_str(),
                    deny: &options.deny_name,
                };
                let (reason, message) = of_handshake(&e, &sides);
                Err(Error::Tls { reason, message })
            }
        }
    }

    fn wrong(&self, reason: Reason, address: &str, rest: &str) -> Error {
        Error::Tls { reason, message: format!("the certificate of {address} {rest}") }
    }

    fn config(&self, ready: &Ready, target: &Target) -> Result<ClientConfig, Error> {
        let options = self.watched.options();
        let verifier = Called {
            chain: ready.chain.clone(),
            denied: ready.denied.clone(),
            expected: target.cluster.clone(),
        };
        let mut config =
            ClientConfig::builder_with_details(provider(), Arc::new(Time(options.clock.clone())))
                .with_protocol_versions(options.min_version.versions())
                .map_err(|e| file(&self.watched.paths().cert, e.to_string()))?
                .dangerous() // Not less is verified than usual, but more.
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_client_cert_resolver(Arc::new(Always(ready.own.clone())));
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Connections are few and long, and each is to see the certificate of the other side.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// When our certificate expires, seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.watched.current().facts.not_after
    }

    /// The cluster our certificate names.
    pub fn cluster(&self) -> Option<String> {
        self.watched.current().facts.cluster().ok().flatten().map(str::to_owned)
    }

    /// Looks at the files now. `Ok(true)` when something changed and is in use from the next connection on.
    ///
    /// # Errors
    /// What the files hold cannot be used; the old stays. Said once for each state of the files.
    pub fn reload(&self) -> Result<bool, Error> {
        self.watched.look()
    }

    /// Has [`ClientTls::watch`] look soon.
    pub fn look_soon(&self) {
        self.watched.tell();
    }

    /// Follows the files until `ended` is done.
    pub async fn watch(self: Arc<Self>, ended: impl Future<Output = ()> + Send) {
        self.watched.clone().watch(ended).await;
    }
}

fn ready(_: &Options, material: Material) -> Result<Ready, Error> {
    let unusable = |e: &dyn std::fmt::Display| file(std::path::Path::new("TLS"), e.to_string());
    let roots = material.roots.ok_or_else(|| unusable(&"there are no authorities"))?;
    let chain =
        WebPkiServerVerifier::builder_with_provider(roots, provider()).build().map_err(|e| unusable(&e))?;
    Ok(Ready { own: material.own, facts: material.facts, chain, denied: material.denied })
}

/// The name the certificate must be for.
fn server_name(target: &Target) -> Result<ServerName<'static>, Error> {
    let host = match &target.server_name {
        Some(name) => name.as_str(),
        None => target.address.rsplit_once(':').map_or(target.address.as_str(), |(host, _)| host),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned())
        .map_err(|_| Error::Setup { reason: format!("{host:?} is no name that a certificate could be for") })
}

/// Our certificate whatever authorities the other side says it knows: it is the judge of that, and its refusal
/// says more than our silence would.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A connection to another node.
pub struct PeerStream<IO> {
    tls: tokio_rustls::client::TlsStream<IO>,
    identity: PeerIdentity,
    address: String,
    ours: String,
    min_version: &'static str,
    /// Whether anything was read: until then the other side may still refuse us.
    heard: bool,
}

impl<IO> PeerStream<IO> {
    /// What the other side proved.
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// Says what an error means while the other side has not said anything else yet.
    fn told(&self, e: io::Error) -> io::Error {
        if self.heard {
            return e;
        }
        let is_tls = e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        let message = match is_tls {
            true => {
                let sides =
                    Sides { other: &self.address, ours: &self.ours, min_version: self.min_version, deny: "" };
                of_handshake(&e, &sides).1
            }
            false => format!("{} ended the connection before it said anything: {e}", self.address),
        };
        io::Error::new(e.kind(), message)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for PeerStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.tls).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                self.heard |= buf.filled().len() > before;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(self.told(e))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PeerStream<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf).map_err(|e| self.told(e))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs).map_err(|e| self.told(e))
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx).map_err(|e| self.told(e))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
