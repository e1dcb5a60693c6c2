//! Listeners: bind, accept, serve HTTP/1.1 and HTTP/2 without TLS on one port, drain at shutdown.
//!
//! What a slow or hostile peer can hold: a connection for `header_read_timeout` until its first request head
//! is complete and for `idle_timeout` between requests, a body's memory for `body_read_timeout`, an answer's
//! for `write_timeout` without progress. Connections are counted; at the bound the kernel's backlog waits.
//!
//! [`open`] takes the ports and answers that the node starts; [`Doors::serve`] puts the node behind them.

mod stall;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use base::Shutdown;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown, graceful::Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::ServiceExt;

use crate::{ApiOptions, AppState, Error, router};
use stall::Stall;

/// Which listeners to open. Port 0 takes any free port.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listeners {
    /// Everything (`listen.http`).
    pub http: Option<SocketAddr>,
    /// OTLP over gRPC (`listen.otlp_grpc`).
    pub otlp_grpc: Option<SocketAddr>,
    /// OTLP over HTTP (`listen.otlp_http`).
    pub otlp_http: Option<SocketAddr>,
}

/// The addresses that were opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bound {
    pub http: Option<SocketAddr>,
    pub otlp_grpc: Option<SocketAddr>,
    pub otlp_http: Option<SocketAddr>,
}

/// Request heads larger than this get 431. Larger: memory per connection. Smaller: long query strings fail.
const MAX_HEAD_BYTES: usize = 128 << 10;
const MAX_HEADERS: usize = 100;
/// HTTP/2 streams one connection may have open.
const MAX_STREAMS: u32 = 256;

/// Open listeners of a node that is starting.
pub struct Doors {
    pub bound: Bound,
    http: Behind,
    otlp_grpc: Behind,
    otlp_http: Behind,
}

/// What answers behind a listener; until it is set, the node is starting.
type Behind = Arc<OnceLock<Router>>;

/// Opens every listener before any answers, so that an error leaves nothing half started. From then on
/// `/-/healthy` is 200 and everything else 503 until [`Doors::serve`]; they close when `shutdown` starts, and
/// wait for open requests up to `drain_timeout`.
pub async fn open(listeners: Listeners, options: &ApiOptions, shutdown: &Shutdown) -> Result<Doors, Error> {
    let http = bind("listen.http", listeners.http).await?;
    let otlp_grpc = bind("listen.otlp_grpc", listeners.otlp_grpc).await?;
    let otlp_http = bind("listen.otlp_http", listeners.otlp_http).await?;
    let bound =
        Bound { http: addr_of(&http), otlp_grpc: addr_of(&otlp_grpc), otlp_http: addr_of(&otlp_http) };
    let doors =
        Doors { bound, http: Behind::default(), otlp_grpc: Behind::default(), otlp_http: Behind::default() };
    let parts = [
        (http, &doors.http, "http"),
        (otlp_grpc, &doors.otlp_grpc, "otlp_grpc"),
        (otlp_http, &doors.otlp_http, "otlp_http"),
    ];
    for (listener, behind, name) in parts {
        if let Some(listener) = listener {
            let door = Door::new(behind.clone(), options, name);
            let ending = shutdown.clone();
            shutdown.spawn(async move { door.run(listener, ending).await });
        }
    }
    Ok(doors)
}

impl Doors {
    /// From now on requests, those of open connections too, reach the node.
    pub fn serve(self, state: AppState) -> Bound {
        let parts = [
            (self.http, router::router(state.clone())),
            (self.otlp_grpc, router::otlp_grpc_router(state.clone())),
            (self.otlp_http, router::otlp_http_router(state)),
        ];
        for (behind, router) in parts {
            // Doors are consumed, so nobody has set it before.
            let _ = behind.set(router);
        }
        self.bound
    }
}

/// Opens every listener and serves at once.
pub async fn serve(listeners: Listeners, state: AppState, shutdown: &Shutdown) -> Result<Bound, Error> {
    Ok(open(listeners, &state.options, shutdown).await?.serve(state))
}

async fn bind(key: &'static str, addr: Option<SocketAddr>) -> Result<Option<TcpListener>, Error> {
    let Some(addr) = addr else { return Ok(None) };
    TcpListener::bind(addr).await.map(Some).map_err(|source| Error::Bind { key, addr, source })
}

fn addr_of(listener: &Option<TcpListener>) -> Option<SocketAddr> {
    listener.as_ref().and_then(|l| l.local_addr().ok())
}

/// One listener and what it does with connections.
struct Door {
    behind: Behind,
    starting: Router,
    builder: auto::Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    head_timeout: Duration,
    write_timeout: Duration,
    drain_timeout: Duration,
    name: &'static str,
}

impl Door {
    fn new(behind: Behind, options: &ApiOptions, name: &'static str) -> Self {
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
            places: Arc::new(Semaphore::new(options.max_connections.clamp(1, Semaphore::MAX_PERMITS))),
            head_timeout: options.header_read_timeout,
            write_timeout: options.write_timeout,
            drain_timeout: options.drain_timeout,
            name,
        }
    }

    async fn run(self, listener: TcpListener, ending: Shutdown) {
        let graceful = GracefulShutdown::new();
        let door = Arc::new(self);
        loop {
            let Ok(place) = door.places.clone().acquire_owned().await else { break };
            let accepted = tokio::select! {
                a = listener.accept() => a,
                () = ending.started() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (door, watcher) = (door.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        door.connection(stream, peer, watcher).await;
                        drop(place);
                    });
                }
                // Out of file descriptors, or the peer gave up already. Waiting lets others close theirs.
                Err(e) => {
                    tracing::warn!(listener = door.name, error = %e, "connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        if tokio::time::timeout(door.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!(listener = door.name, "requests were still open when the drain timeout passed");
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Answers are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let spoken = Arc::new(AtomicBool::new(false));
        let (behind, starting, heard) = (self.behind.clone(), self.starting.clone(), spoken.clone());
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            heard.store(true, Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let router = behind.get().unwrap_or(&starting).clone();
            async move {
                let answered: Result<_, Infallible> = router.oneshot(request).await;
                answered
            }
        });
        let served = self
            .builder
            .serve_connection(TokioIo::new(Stall::new(stream, self.write_timeout)), service)
            .into_owned();
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
