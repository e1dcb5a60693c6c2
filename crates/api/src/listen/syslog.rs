//! The listener for syslog over TCP, with TLS or without.
//!
//! Senders are never answered, so what keeps them from sending too fast is that nothing is read from a connection until
//! what came before is durable. What stands in the kernel's buffers and has not been read is lost where this node or
//! the sender ends; senders of syslog know no other way.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base::{Shutdown, memory::Reservation, memory::Use};
use bytes::{Bytes, BytesMut};
use ingest::{Sender, SyslogPiece};
use model::{ClusterName, TenantId};
use net::tls::{PeerIdentity, ServerTls};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use wire::syslog::frame::{self, Cut};

use super::{
    Listener,
    door::{Refused, accept, places},
    stall::Stall,
};
use crate::{ApiOptions, AppState};

/// Read from a connection at once.
const CHUNK_BYTES: usize = 64 << 10;
/// What may stand around a line in its message: names and structured data.
const AROUND_BYTES: usize = 64 << 10;
/// How long a piece that the node cannot take now is held before it is tried again. The connection is not read
/// meanwhile.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct SyslogDoor {
    node: watch::Receiver<Option<AppState>>,
    places: Arc<Semaphore>,
    tls: Option<Arc<ServerTls>>,
    write_timeout: Duration,
    refused: Refused,
}

impl SyslogDoor {
    pub(super) fn new(node: watch::Receiver<Option<AppState>>, options: &ApiOptions, at: &Listener) -> Self {
        SyslogDoor {
            node,
            places: places(options),
            tls: at.tls.clone(),
            write_timeout: options.write_timeout,
            refused: Refused::default(),
        }
    }

    pub(super) async fn run(self, listener: TcpListener, ending: Shutdown) {
        let door = Arc::new(self);
        loop {
            let Ok(place) = door.places.clone().acquire_owned().await else { break };
            let Some((stream, peer)) = accept(&listener, &ending, "syslog").await else { break };
            let (door, ending) = (door.clone(), ending.clone());
            // What was read is stored before the node ends.
            ending.clone().spawn(async move {
                door.connection(stream, peer, ending).await;
                drop(place);
            });
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, ending: Shutdown) {
        let mut node = self.node.clone();
        // Nothing is read while the node starts.
        let state = tokio::select! {
            state = node.wait_for(Option::is_some) => state.ok().and_then(|s| s.clone()),
            () = ending.started() => None,
        };
        let Some(state) = state else { return };
        let Some(tls) = &self.tls else {
            return Connection::new(state, peer, None).read(stream, &ending).await;
        };
        let accepted = tokio::select! {
            accepted = tls.accept(Stall::new(stream, self.write_timeout)) => accepted,
            () = ending.started() => return,
        };
        match accepted {
            Ok(accepted) => {
                Connection::new(state, peer, accepted.peer.as_ref()).read(accepted.stream, &ending).await;
            }
            Err(e) => self.refused.say("syslog", peer, &e),
        }
    }
}

/// What is passed over of a message that is too long.
enum Skip {
    Nothing,
    Bytes(usize),
    ToLineFeed,
}

struct Connection {
    state: AppState,
    sender: Sender,
    tenant: TenantId,
    buffer: BytesMut,
    skip: Skip,
    too_long: u64,
    max_bytes: usize,
}

impl Connection {
    fn new(state: AppState, peer: SocketAddr, identity: Option<&PeerIdentity>) -> Self {
        let named = identity.and_then(|i| i.cluster.as_deref());
        let sender = Sender {
            addr: peer.ip().to_string(),
            user_agent: String::new(),
            cluster: named.and_then(|c| ClusterName::new(c).ok()),
            ..Sender::default()
        };
        let max_bytes = state.ingest.max_line_bytes().saturating_add(AROUND_BYTES);
        Connection {
            state,
            sender,
            tenant: TenantId::default(),
            buffer: BytesMut::new(),
            skip: Skip::Nothing,
            too_long: 0,
            max_bytes,
        }
    }

    async fn read(mut self, mut stream: impl AsyncRead + Unpin, ending: &Shutdown) {
        let mut memory: Option<Reservation> = None;
        loop {
            if !self.make_room(&mut memory) {
                // No memory: the sender waits, as its bytes do.
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => continue,
                    () = ending.started() => return,
                }
            }
            let read = tokio::select! {
                read = stream.read_buf(&mut self.buffer) => read,
                () = ending.started() => Ok(0),
            };
            let ended = match read {
                Ok(n) => n == 0,
                Err(e) => {
                    tracing::debug!(peer = self.sender.addr, error = %e, "syslog connection broke");
                    true
                }
            };
            self.pass_over();
            while let Some(piece) = self.piece(ended) {
                if !self.store(piece, ending).await {
                    return;
                }
            }
            if ended {
                return;
            }
        }
    }

    /// Sets memory aside for what is read next.
    fn make_room(&mut self, memory: &mut Option<Reservation>) -> bool {
        let wanted = (self.buffer.len() + CHUNK_BYTES) as u64;
        let enough = match memory {
            Some(held) if held.bytes() >= wanted => {
                held.shrink_to(wanted);
                true
            }
            Some(held) => held.grow(wanted - held.bytes()).is_ok(),
            None => match self.state.budget.reserve(Use::Ingest, wanted) {
                Ok(held) => {
                    *memory = Some(held);
                    true
                }
                Err(_) => false,
            },
        };
        if enough {
            self.buffer.reserve(CHUNK_BYTES);
        }
        enough
    }

    /// Throws away what belongs to a message that is too long.
    fn pass_over(&mut self) {
        match self.skip {
            Skip::Nothing => {}
            Skip::Bytes(left) => {
                let here = left.min(self.buffer.len());
                drop(self.buffer.split_to(here));
                self.skip = if here < left { Skip::Bytes(left - here) } else { Skip::Nothing };
            }
            Skip::ToLineFeed => match self.buffer.iter().position(|b| *b == b'\n') {
                Some(at) => {
                    drop(self.buffer.split_to(at + 1));
                    self.skip = Skip::Nothing;
                }
                None => self.buffer.clear(),
            },
        }
    }

    /// The whole messages of the buffer; none where there are none.
    fn piece(&mut self, ended: bool) -> Option<SyslogPiece> {
        let Cut { messages, used, too_long } = frame::cut(&self.buffer, self.max_bytes, ended);
        if used == 0 {
            return None;
        }
        let bytes: Bytes = self.buffer.split_to(used).freeze();
        if let Some(left) = too_long {
            self.too_long += 1;
            self.skip = left.map_or(Skip::ToLineFeed, Skip::Bytes);
            self.pass_over();
        }
        Some(SyslogPiece { bytes, messages, too_long: std::mem::take(&mut self.too_long) })
    }

    /// Stores a piece, however long that takes; false where the node ends before.
    async fn store(&self, piece: SyslogPiece, ending: &Shutdown) -> bool {
        if piece.messages.is_empty() && piece.too_long == 0 {
            return true;
        }
        loop {
            match self.state.ingest.syslog(&self.tenant, &self.sender, piece.clone()).await {
                Ok(_) => return true,
                Err(e) if e.kind().is_retryable() => {
                    if ending.is_started() {
                        return false;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(AGAIN) => {}
                        () = ending.started() => {}
                    }
                }
                // Counted and logged by admission; the next piece may be better.
                Err(_) => return true,
            }
        }
    }
}
