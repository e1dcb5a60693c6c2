//! The accepting side of the peers' listener: connections on which questions come, and connections on which they are
//! to be put, told apart by their first bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use base::Shutdown;
use futures::{Stream, StreamExt, stream};
use model::TimestampNs;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tonic::transport::server::Connected;

use super::{
    Server,
    reverse::{self, PREFACE},
};
use crate::peers::{self, Io, KEEP_ALIVE, Peers};

/// Time for the first bytes of a connection.
const FIRST_BYTES: Duration = Duration::from_secs(10);
/// Questions under way on one connection; a peer that has more waits. A page of panels takes some dozens.
const STREAMS: u32 = 256;
/// Connections whose first bytes are awaited, and that wait to be served. More wait in the listener.
const PENDING: usize = 64;

/// A connection as the listener hands it over.
pub struct Accepted {
    pub io: Box<dyn Io>,
    /// The cluster that its certificate names; `None` where there are no certificates.
    pub cluster: Option<String>,
    pub certificate_expires: Option<TimestampNs>,
}

/// Which cluster asks, as its certificate says; in the extensions of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking(pub Option<String>);

/// Serves every connection until the shutdown begins: questions that are under way then are answered. Connections that
/// peers dialled to be asked over are handed to `peers`.
pub async fn serve(
    server: Server,
    incoming: impl Stream<Item = Accepted> + Send + Unpin + 'static,
    peers: Peers,
    shutdown: Shutdown,
) {
    let (queue, mut ready) = mpsc::channel(PENDING);
    let sorted = incoming.take_until({
        let shutdown = shutdown.clone();
        async move { shutdown.started().await }
    });
    let sort = sorted.for_each_concurrent(PENDING, move |accepted| {
        let (queue, peers) = (queue.clone(), peers.clone());
        async move {
            match timeout(FIRST_BYTES, sort(accepted, &peers)).await {
                // Fails where nobody serves any more.
                Ok(Ok(Some(io))) => drop(queue.send(Ok::<_, io::Error>(io)).await),
                Ok(Ok(None)) => {}
                Ok(Err(e)) => tracing::debug!(error = %e, "a connection to the peers' listener broke off"),
                Err(_) => tracing::debug!("a connection to the peers' listener said nothing"),
            }
        }
    });
    let sorting = tokio::spawn(sort);
    let served = stream::poll_fn(move |cx| ready.poll_recv(cx));
    answer(server, served, async move { shutdown.started().await }).await;
    sorting.abort();
}

/// Answers on connections until `end`, and what is under way then.
pub(super) async fn answer(
    server: Server,
    connections: impl Stream<Item = io::Result<Rewound>>,
    end: impl Future<Output = ()>,
) {
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .add_service(server.into_service())
        .serve_with_incoming_shutdown(connections, end)
        .await;
    if let Err(e) = served {
        tracing::error!(error = %e, "answering peers ended");
    }
}

/// A connection on which questions come; `None` where it was one to put them on.
async fn sort(mut accepted: Accepted, peers: &Peers) -> io::Result<Option<Rewound>> {
    let mut head = [0; PREFACE.len()];
    accepted.io.read_exact(&mut head).await?;
    if head != PREFACE {
        return Ok(Some(Rewound::new(head.to_vec(), accepted.io, accepted.cluster)));
    }
    let who = reverse::read_hello(&mut accepted.io).await?;
    let connected = peers::Connected { io: accepted.io, certificate_expires: accepted.certificate_expires };
    peers.dialled(&who, accepted.cluster.as_deref(), connected);
    Ok(None)
}

/// A connection some bytes of which have been read, as it was before.
pub(super) struct Rewound {
    head: Vec<u8>,
    read: usize,
    io: Box<dyn Io>,
    cluster: Option<String>,
    /// Dropped with the connection.
    guard: Option<oneshot::Sender<()>>,
}

impl Rewound {
    pub(super) fn new(head: Vec<u8>, io: Box<dyn Io>, cluster: Option<String>) -> Self {
        Rewound { head, read: 0, io, cluster, guard: None }
    }

    /// The same, and who waits for its end.
    pub(super) fn watched(mut self) -> (Self, oneshot::Receiver<()>) {
        let (guard, gone) = oneshot::channel();
        self.guard = Some(guard);
        (self, gone)
    }
}

impl Connected for Rewound {
    type ConnectInfo = Asking;

    fn connect_info(&self) -> Asking {
        Asking(self.cluster.clone())
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        let left = me.head.get(me.read..).unwrap_or_default();
        if left.is_empty() {
            ready!(Pin::new(&mut me.io).poll_read(cx, buf))?;
            return Poll::Ready(Ok(()));
        }
        let (now, _) = left.split_at(left.len().min(buf.remaining()));
        buf.put_slice(now);
        me.read += now.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
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
}
