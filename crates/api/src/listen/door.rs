//! One listener of HTTP and what it does with connections.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::ConnectInfo};
use base::Shutdown;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown, graceful::Watcher},
};
use net::tls::{PeerIdentity, ServerTls};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::ServiceExt;

use super::{Behind, Listener, stall::Stall, token::Token};
use crate::{ApiOptions, router};

/// Request heads larger than this get 431. Larger: memory per connection. Smaller: long query strings fail.
const MAX_HEAD_BYTES: usize = 128 << 10;
const MAX_HEADERS: usize = 100;
/// HTTP/2 streams one connection may have open.
const MAX_STREAMS: u32 = 256;
/// One line about refused handshakes in this time.
const LOG_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Door {
    behind: Behind,
    starting: Router,
    builder: auto::Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    tls: Option<Arc<ServerTls>>,
    token: Option<Arc<Token>>,
    head_timeout: Duration,
    write_timeout: Duration,
    drain_timeout: Duration,
    name: &'static str,
    refused: Refused,
}

impl Door {
    pub(super) fn new(behind: Behind, options: &ApiOptions, at: &Listener, name: &'static str) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // Runs between requests too, and senders keep connections over their interval of a minute.
            .header_read_timeout(options.idle_timeout)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        Door {
            behind,
            starting: router::starting(),
            builder,
            places: places(options),
            tls: at.tls.clone(),
            token: at.token.clone(),
            head_timeout: options.header_read_timeout,
            write_timeout: options.write_timeout,
            drain_timeout: options.drain_timeout,
            name,
            refused: Refused::default(),
        }
    }

    pub(super) async fn run(self, listener: TcpListener, ending: Shutdown) {
        let graceful = GracefulShutdown::new();
        let door = Arc::new(self);
        loop {
            let Ok(place) = door.places.clone().acquire_owned().await else { break };
            let Some((stream, peer)) = accept(&listener, &ending, door.name).await else { break };
            let (door, watcher, ending) = (door.clone(), graceful.watcher(), ending.clone());
            tokio::spawn(async move {
                door.connection(stream, peer, watcher, ending).await;
                drop(place);
            });
        }
        drop(listener);
        if tokio::time::timeout(door.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!(listener = door.name, "requests were still open when the drain timeout passed");
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher, ending: Shutdown) {
        let stream = Stall::new(stream, self.write_timeout);
        let Some(tls) = &self.tls else { return self.serve(stream, peer, None, watcher).await };
        let accepted = tokio::select! {
            accepted = tls.accept(stream) => accepted,
            // Nothing was asked yet, so nothing is lost.
            () = ending.started() => return,
        };
        match accepted {
            Ok(accepted) => self.serve(accepted.stream, peer, accepted.peer, watcher).await,
            Err(e) => self.refused.say(self.name, peer, &e),
        }
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr, identity: Option<PeerIdentity>, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let spoken = Arc::new(AtomicBool::new(false));
        let (behind, starting, heard) = (self.behind.clone(), self.starting.clone(), spoken.clone());
        let token = self.token.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            heard.store(true, Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            if let Some(identity) = &identity {
                request.extensions_mut().insert(identity.clone());
            }
            if let Some(token) = &token {
                request.extensions_mut().insert(token.clone());
            }
            let router = behind.get().unwrap_or(&starting).clone();
            async move {
                let answered: Result<_, Infallible> = router.oneshot(request).await;
                answered
            }
        });
        let served = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let mut served = std::pin::pin!(watcher.watch(served));
        // The builder's own timer starts once it knows the protocol; a peer that never says one, or opens
        // HTTP/2 and asks nothing, is cut here.
        let ended = tokio::select! {
            ended = &mut served => ended,
            () = tokio::time::sleep(self.head_timeout) => {
                if !spoken.load(Relaxed) {
                    tracing::debug!(listener = self.name, %peer, "no request within the header timeout");
                    return;
                }
                served.await
            }
        };
        if let Err(e) = ended {
            tracing::debug!(listener = self.name, %peer, error = %e, "connection ended");
        }
    }
}

/// One for each connection that may be open.
pub(super) fn places(options: &ApiOptions) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(options.max_connections.clamp(1, Semaphore::MAX_PERMITS)))
}

/// The next connection; none at the end.
pub(super) async fn accept(
    listener: &TcpListener,
    ending: &Shutdown,
    name: &'static str,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            a = listener.accept() => a,
            () = ending.started() => return None,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Answers are small and wanted at once.
                let _ = stream.set_nodelay(true);
                return Some((stream, peer));
            }
            // Out of file descriptors, or the peer gave up already. Waiting lets others close theirs.
            Err(e) => {
                tracing::warn!(listener = name, error = %e, "connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Says why handshakes were refused, now and then; the metrics count them all.
#[derive(Default)]
pub(super) struct Refused(Mutex<Option<(Instant, u64)>>);

impl Refused {
    pub(super) fn say(&self, listener: &'static str, peer: SocketAddr, e: &net::Error) {
        let mut last = self.0.lock();
        let now = Instant::now();
        match last.as_mut() {
            Some((at, left_out)) if now.duration_since(*at) < LOG_EVERY => *left_out += 1,
            _ => {
                let left_out = last.replace((now, 0)).map_or(0, |(_, n)| n);
                tracing::warn!(listener, %peer, left_out, "connection refused: {e}");
            }
        }
    }
}
