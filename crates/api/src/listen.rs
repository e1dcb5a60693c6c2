//! Listeners: bind, accept, serve HTTP/1.1 and HTTP/2 on one port, with TLS or without, drain at shutdown.
//!
//! What a slow or hostile peer can hold: a connection for [`net::tls::HANDSHAKE_TIMEOUT`] until its TLS
//! handshake is done, for `header_read_timeout` until its first request head is complete and for `idle_timeout`
//! between requests, a body's memory for `body_read_timeout`, an answer's for `write_timeout` without progress.
//! Connections are counted; at the bound the kernel's backlog waits.
//!
//! [`open`] takes the ports and answers that the node starts; [`Doors::serve`] puts the node behind them. Other
//! nodes come in by [`peers`], which hands their connections out instead of serving them.

mod door;
mod peers;
mod stall;
mod syslog;
mod token;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::Router;
use base::Shutdown;
use net::tls::ServerTls;
use tokio::{net::TcpListener, sync::watch};

use crate::{ApiOptions, AppState, Error, router};
use door::Door;
use syslog::SyslogDoor;

pub use peers::{PeerConnection, PeerConnections};
pub use token::{Token, guard};

/// Where one listener stands and what it asks of its callers. Port 0 takes any free port.
#[derive(Clone)]
pub struct Listener {
    pub address: SocketAddr,
    pub tls: Option<Arc<ServerTls>>,
    /// What every request must carry.
    pub token: Option<Arc<Token>>,
}

impl From<SocketAddr> for Listener {
    fn from(address: SocketAddr) -> Self {
        Listener { address, tls: None, token: None }
    }
}

/// Which listeners to open.
#[derive(Clone, Default)]
pub struct Listeners {
    /// Everything (`listen.http`).
    pub http: Option<Listener>,
    /// OTLP over gRPC (`listen.otlp_grpc`).
    pub otlp_grpc: Option<Listener>,
    /// OTLP over HTTP (`listen.otlp_http`).
    pub otlp_http: Option<Listener>,
    /// Elasticsearch's API (`listen.elasticsearch`).
    pub elasticsearch: Option<Listener>,
    /// Spans as Zipkin's senders bring them (`listen.zipkin`).
    pub zipkin: Option<Listener>,
    /// Jaeger's collector over HTTP (`listen.jaeger_http`).
    pub jaeger_http: Option<Listener>,
    /// Jaeger's collector over gRPC (`listen.jaeger_grpc`).
    pub jaeger_grpc: Option<Listener>,
    /// Syslog over TCP (`listen.syslog`).
    pub syslog: Option<Listener>,
    /// Other nodes (`listen.peers`): where and under which TLS.
    pub peers: Option<(SocketAddr, Arc<ServerTls>)>,
}

/// The addresses that were opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bound {
    pub http: Option<SocketAddr>,
    pub otlp_grpc: Option<SocketAddr>,
    pub otlp_http: Option<SocketAddr>,
    pub elasticsearch: Option<SocketAddr>,
    pub zipkin: Option<SocketAddr>,
    pub jaeger_http: Option<SocketAddr>,
    pub jaeger_grpc: Option<SocketAddr>,
    pub syslog: Option<SocketAddr>,
    pub peers: Option<SocketAddr>,
}

/// Open listeners of a node that is starting.
pub struct Doors {
    pub bound: Bound,
    /// Connections of other nodes, as they come; whoever takes this serves them. Dropped, the listener closes.
    pub peers: Option<PeerConnections>,
    /// What is to answer behind each listener of HTTP.
    ways: Vec<(Behind, Routes)>,
    /// Where syslog is stored, once that is known.
    node: watch::Sender<Option<AppState>>,
}

/// What is to be served, of a node that has started.
type Routes = fn(AppState) -> Router;

/// What answers behind a listener; until it is set, the node is starting.
type Behind = Arc<OnceLock<Router>>;

/// A listener of HTTP: the name of its key, where it is to stand, what serves it, and where its address is noted.
type Way = (&'static str, Option<Listener>, Routes, fn(&mut Bound) -> &mut Option<SocketAddr>);

/// Opens every listener before any answers, so that an error leaves nothing half started. From then on
/// `/-/healthy` is 200 and everything else 503 until [`Doors::serve`]; they close when `shutdown` starts, and
/// wait for open requests up to `drain_timeout`.
pub async fn open(listeners: Listeners, options: &ApiOptions, shutdown: &Shutdown) -> Result<Doors, Error> {
    let l = listeners;
    let ways: [Way; 7] = [
        ("listen.http", l.http, router::router, |b| &mut b.http),
        ("listen.otlp_grpc", l.otlp_grpc, router::otlp_grpc_router, |b| &mut b.otlp_grpc),
        ("listen.otlp_http", l.otlp_http, router::otlp_http_router, |b| &mut b.otlp_http),
        ("listen.elasticsearch", l.elasticsearch, router::elasticsearch_router, |b| &mut b.elasticsearch),
        ("listen.zipkin", l.zipkin, router::zipkin_router, |b| &mut b.zipkin),
        ("listen.jaeger_http", l.jaeger_http, router::jaeger_http_router, |b| &mut b.jaeger_http),
        ("listen.jaeger_grpc", l.jaeger_grpc, router::jaeger_grpc_router, |b| &mut b.jaeger_grpc),
    ];
    let (mut bound, mut opened) = (Bound::default(), Vec::with_capacity(ways.len()));
    for (key, at, router, noted) in ways {
        let Some(at) = at else { continue };
        let socket = bind(key, at.address).await?;
        *noted(&mut bound) = socket.local_addr().ok();
        opened.push((key, socket, at, router));
    }
    let syslog = match l.syslog {
        Some(at) => Some((bind("listen.syslog", at.address).await?, at)),
        None => None,
    };
    let peers = match l.peers {
        Some((address, tls)) => Some((bind("listen.peers", address).await?, tls)),
        None => None,
    };
    bound.syslog = syslog.as_ref().and_then(|(socket, _)| socket.local_addr().ok());
    bound.peers = peers.as_ref().and_then(|(socket, _)| socket.local_addr().ok());

    let mut doors = Doors { bound, peers: None, ways: Vec::new(), node: watch::Sender::new(None) };
    for (key, socket, listener, router) in opened {
        let behind = Behind::default();
        follow(listener.tls.clone(), shutdown);
        let door = Door::new(behind.clone(), options, &listener, key.trim_start_matches("listen."));
        let ending = shutdown.clone();
        shutdown.spawn(async move { door.run(socket, ending).await });
        doors.ways.push((behind, router));
    }
    if let Some((socket, listener)) = syslog {
        follow(listener.tls.clone(), shutdown);
        let door = SyslogDoor::new(doors.node.subscribe(), options, &listener);
        let ending = shutdown.clone();
        shutdown.spawn(async move { door.run(socket, ending).await });
    }
    if let Some((socket, tls)) = peers {
        follow(Some(tls.clone()), shutdown);
        doors.peers = Some(peers::open(socket, tls, options, shutdown));
    }
    Ok(doors)
}

/// Has changed certificates used.
fn follow(tls: Option<Arc<ServerTls>>, shutdown: &Shutdown) {
    if let Some(tls) = tls {
        let ending = shutdown.clone();
        shutdown.spawn(async move { tls.watch(async move { ending.started().await }).await });
    }
}

impl Doors {
    /// From now on requests, those of open connections too, reach the node.
    pub fn serve(self, state: AppState) -> Bound {
        self.node.send_replace(Some(state.clone()));
        for (behind, router) in self.ways {
            // Doors are consumed, so nobody has set it before.
            let _ = behind.set(router(state.clone()));
        }
        self.bound
    }
}

/// Opens every listener and serves at once.
pub async fn serve(listeners: Listeners, state: AppState, shutdown: &Shutdown) -> Result<Bound, Error> {
    Ok(open(listeners, &state.options, shutdown).await?.serve(state))
}

async fn bind(key: &'static str, addr: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(addr).await.map_err(|source| Error::Bind { key, addr, source })
}
