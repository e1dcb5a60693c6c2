//! The accepting side: from a connection to a TLS stream and what the caller proved.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base::Clock;
use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;

use super::{
    HANDSHAKE_TIMEOUT, PeerIdentity, ServerSettings, Time, TlsMetrics,
    files::{Material, Paths, file},
    provider,
    say::{Reason, Sides, of_handshake},
    verify::Callers,
    watched::{Options, Watched},
};
use crate::Error;

/// How every record of a TLS handshake begins.
const HANDSHAKE_RECORD: u8 = 0x16;
/// How long a refused caller is listened to, so that it reads why before it sees the connection end.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;
/// For those who ask a TLS port in plain HTTP.
const PLAIN_HTTP: &str = "this port speaks TLS: ask by https://\n";

/// TLS of one listener. Share it behind its `Arc`.
pub struct ServerTls {
    watched: Arc<Watched<Arc<ServerConfig>>>,
    pub(super) handshake_timeout: Duration,
}

/// A connection whose handshake is done.
pub struct Accepted<IO> {
    pub stream: ServerStream<IO>,
    /// Present when the listener wants certificates of its callers.
    pub peer: Option<PeerIdentity>,
}

pub type ServerStream<IO> = tokio_rustls::server::TlsStream<Begun<IO>>;

impl ServerTls {
    /// Reads the files. `name` stands in metrics and logs, e.g. `listen.http`.
    ///
    /// # Errors
    /// A file cannot be read or its content cannot be used; the error names it.
    pub fn open(
        name: &str,
        settings: &ServerSettings,
        clock: Clock,
        metrics: TlsMetrics,
    ) -> Result<Arc<Self>, Error> {
        let paths = Paths {
            cert: settings.cert.clone(),
            key: settings.key.clone(),
            ca: settings.client_ca.clone(),
            deny: settings.deny.clone(),
        };
        let options = Options {
            clock,
            min_version: settings.min_version,
            require_cluster: settings.require_cluster,
            deny_name: settings.deny.as_ref().map_or(String::new(), |d| d.display().to_string()),
        };
        let watched = Watched::open(name.to_owned(), paths, options, config, metrics)?;
        Ok(Arc::new(ServerTls { watched: Arc::new(watched), handshake_timeout: HANDSHAKE_TIMEOUT }))
    }

    /// Does the handshake with a caller, with the certificates in use now.
    ///
    /// # Errors
    /// The handshake failed or took too long; `io` was closed after the caller had been told.
    pub async fn accept<IO>(&self, io: IO) -> Result<Accepted<IO>, Error>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.watched.current();
        let outcome = tokio::time::timeout(
            self.handshake_timeout,
            self.shake(TlsAcceptor::from((*config).clone()), io),
        )
        .await
        .unwrap_or_else(|_| {
            let message =
                format!("the caller did not finish the TLS handshake within {:?}", self.handshake_timeout);
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

    async fn shake<IO>(&self, acceptor: TlsAcceptor, mut io: IO) -> Result<Accepted<IO>, Error>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let fail = |reason, message: &str| Err(Error::Tls { reason, message: message.to_owned() });
        let mut first = [0];
        match io.read(&mut first).await {
            Ok(1) if first == [HANDSHAKE_RECORD] => {}
            Ok(1) => {
                if first[0].is_ascii_uppercase() {
                    // Told in its own language; whether it listens does not matter.
                    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close";
                    let answer =
                        format!("{head}\r\nContent-Length: {}\r\n\r\n{PLAIN_HTTP}", PLAIN_HTTP.len());
                    let _ = io.write_all(answer.as_bytes()).await;
                }
                linger(io).await;
                return fail(Reason::NotTls, "the caller does not speak TLS");
            }
            Ok(_) => return fail(Reason::Closed, "the caller said nothing and closed the connection"),
            Err(e) => return fail(Reason::Closed, &format!("the caller's connection ended: {e}")),
        }
        let begun = Begun { first: Some(HANDSHAKE_RECORD), io };
        let stream = match acceptor.accept(begun).into_fallible().await {
            Ok(stream) => stream,
            Err((e, begun)) => {
                let ours = self.watched.paths().cert.display().to_string();
                let options = self.watched.options();
                let sides = Sides {
                    other: "the caller",
                    ours: &ours,
                    min_version: options.min_version.as_str(),
                    deny: &options.deny_name,
                };
                let (reason, message) = of_handshake(&e, &sides);
                linger(begun.io).await;
                return Err(Error::Tls { reason, message });
            }
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(|c| c.first());
        let peer = match certificate.map(PeerIdentity::of).transpose() {
            Ok(peer) => peer,
            Err(e) => return fail(Reason::Bad, &format!("the certificate of the caller {e}")),
        };
        Ok(Accepted { stream, peer })
    }

    /// Looks at the files now. `Ok(true)` when something changed and is in use.
    ///
    /// # Errors
    /// What the files hold cannot be used; the old stays. Said once for each state of the files.
    pub fn reload(&self) -> Result<bool, Error> {
        self.watched.look()
    }

    /// Has [`ServerTls::watch`] look soon.
    pub fn look_soon(&self) {
        self.watched.tell();
    }

    /// Follows the files until `ended` is done.
    pub async fn watch(self: Arc<Self>, ended: impl Future<Output = ()> + Send) {
        self.watched.clone().watch(ended).await;
    }
}

/// From material to what rustls takes.
fn config(options: &Options, material: Material) -> Result<Arc<ServerConfig>, Error> {
    let provider = provider();
    let unusable = |e: &dyn std::fmt::Display| file(std::path::Path::new("TLS"), e.to_string());
    let builder = ServerConfig::builder_with_details(provider.clone(), Arc::new(Time(options.clock.clone())))
        .with_protocol_versions(options.min_version.versions())
        .map_err(|e| unusable(&e))?;
    let wants_certificates = material.roots.is_some();
    let builder = match material.roots {
        Some(roots) => {
            let chain = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|e| unusable(&e))?;
            let (denied, require_cluster) = (material.denied, options.require_cluster);
            builder.with_client_cert_verifier(Arc::new(Callers { chain, denied, require_cluster }))
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Always(material.own)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if wants_certificates {
        // A resumed session would come in without its certificate being looked at again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

/// The same certificate for every name that is asked for.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Closes a connection such that what was said last is heard: data that nobody read would make the kernel
/// throw away what is still on its way.
async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) {
    let listen = async {
        let _ = io.shutdown().await;
        let mut left = LINGER_BYTES;
        let mut buf = [0; 1024];
        while left > 0 {
            match io.read(&mut buf).await {
                Ok(n) if n > 0 => left = left.saturating_sub(n),
                _ => return,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, listen).await;
}

/// A connection of which the first byte was read already.
pub struct Begun<IO> {
    first: Option<u8>,
    io: IO,
}

impl<IO> Begun<IO> {
    pub fn get_ref(&self) -> &IO {
        &self.io
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Begun<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Begun<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
