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
    pub syslog: Option<SocketAddr>,
    pub peers: Option<SocketAddr>,
}

/// Open listeners of a node that is starting.
pub struct Doors {
    pub bound: Bound,
    /// Connections of other nodes, as they come; whoever takes this serves them. Dropped, the listener closes.
    pub peers: Option<PeerConnections>,
    http: Behind,
    otlp_grpc: Behind,
    otlp_http: Behind,
    elasticsearch: Behind,
    /// Where syslog is stored, once that is known.
    node: watch::Sender<Option<AppState>>,
}

/// What answers behind a listener; until it is set, the node is starting.
type Behind = Arc<OnceLock<Router>>;

/// Opens every listener before any answers, so that an error leaves nothing half started. From then on
/// `/-/healthy` is 200 and everything else 503 until [`Doors::serve`]; they close when `shutdown` starts, and
/// wait for open requests up to `drain_timeout`.
pub async fn open(listeners: Listeners, options: &ApiOptions, shutdown: &Shutdown) -> Result<Doors, Error> {
    let http = bind("listen.http", listeners.http.as_ref().map(|l| l.address)).await?;
    let otlp_grpc = bind("listen.otlp_grpc", listeners.otlp_grpc.as_ref().map(|l| l.address)).await?;
    let otlp_http = bind("listen.otlp_http", listeners.otlp_http.as_ref().map(|l| l.address)).await?;
    let elasticsearch =
        bind("listen.elasticsearch", listeners.elasticsearch.as_ref().map(|l| l.address)).await?;
    let syslog = bind("listen.syslog", listeners.syslog.as_ref().map(|l| l.address)).await?;
    let peers = bind("listen.peers", listeners.peers.as_ref().map(|(address, _)| *address)).await?;
    let bound = Bound {
        http: addr_of(&http),
        otlp_grpc: addr_of(&otlp_grpc),
        otlp_http: addr_of(&otlp_http),
        elasticsearch: addr_of(&elasticsearch),
        syslog: addr_of(&syslog),
        peers: addr_of(&peers),
    };
    let mut doors = Doors {
        bound,
        peers: None,
        http: Behind::default(),
        otlp_grpc: Behind::default(),
        otlp_http: Behind::default(),
        elasticsearch: Behind::default(),
        node: watch::Sender::new(None),
    };
    let parts = [
        (http, listeners.http, &doors.http, "http"),
        (otlp_grpc, listeners.otlp_grpc, &doors.otlp_grpc, "otlp_grpc"),
        (otlp_http, listeners.otlp_http, &doors.otlp_http, "otlp_http"),
        (elasticsearch, listeners.elasticsearch, &doors.elasticsearch, "elasticsearch"),
    ];
    for (socket, listener, behind, name) in parts {
        let (Some(socket), Some(listener)) = (socket, listener) else { continue };
        follow(listener.tls.clone(), shutdown);
        let door = Door::new(behind.clone(), options, &listener, name);
        let ending = shutdown.clone();
        shutdown.spawn(async move { door.run(socket, ending).await });
    }
    if let (Some(socket), Some(listener)) = (syslog, listeners.syslog) {
        follow(listener.tls.clone(), shutdown);
        let door = SyslogDoor::new(doors.node.subscribe(), options, &listener);
        let ending = shutdown.clone();
        shutdown.spawn(async move { door.run(socket, ending).await });
    }
    if let (Some(socket), Some((_, tls))) = (peers, listeners.peers) {
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
        let parts = [
            (self.http, router::router(state.clone())),
            (self.otlp_grpc, router::otlp_grpc_router(state.clone())),
            (self.otlp_http, router::otlp_http_router(state.clone())),
            (self.elasticsearch, router::elasticsearch_router(state)),
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
