//! The listener for other nodes: does the handshakes and hands the connections out, each with what the other
//! side proved. What is spoken on them is not this crate's business.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use base::Shutdown;
use net::tls::{PeerIdentity, ServerStream, ServerTls};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, mpsc},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};

use super::{
    door::{Refused, accept, places},
    stall::Stall,
};
use crate::ApiOptions;

/// Connections that wait for being taken; more wait in their handshake's task.
const WAITING: usize = 16;

/// Connections of other nodes as they come, until the node stops.
pub struct PeerConnections(ReceiverStream<PeerConnection>);

impl Stream for PeerConnections {
    type Item = PeerConnection;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PeerConnection>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

/// A connection whose handshake is done. It keeps its place among those that may be open.
pub struct PeerConnection {
    stream: ServerStream<Stall<TcpStream>>,
    identity: PeerIdentity,
    remote: SocketAddr,
    _place: OwnedSemaphorePermit,
}

impl PeerConnection {
    /// What the other node proved; its cluster is always there.
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    pub fn remote(&self) -> SocketAddr {
        self.remote
    }
}

/// Accepts until `shutdown` starts, or nobody takes connections any more.
pub(super) fn open(
    listener: TcpListener,
    tls: Arc<ServerTls>,
    options: &ApiOptions,
    shutdown: &Shutdown,
) -> PeerConnections {
    let (give, take) = mpsc::channel(WAITING);
    let (places, write_timeout, ending) = (places(options), options.write_timeout, shutdown.clone());
    shutdown.spawn(async move {
        let refused = Arc::new(Refused::default());
        loop {
            let place = tokio::select! {
                place = places.clone().acquire_owned() => place,
                () = ending.started() => break,
            };
            let next = tokio::select! {
                next = accept(&listener, &ending, "peers") => next,
                () = give.closed() => break,
            };
            let (Ok(place), Some((stream, remote))) = (place, next) else { break };
            let (tls, give, refused, ending) = (tls.clone(), give.clone(), refused.clone(), ending.clone());
            tokio::spawn(async move {
                let shaken = async {
                    match tls.accept(Stall::new(stream, write_timeout)).await {
                        Ok(accepted) => {
                            // The listener's TLS wants a certificate of everybody.
                            let Some(identity) = accepted.peer else { return };
                            let stream = accepted.stream;
                            // Nobody takes it when the node stops.
                            let _ =
                                give.send(PeerConnection { stream, identity, remote, _place: place }).await;
                        }
                        Err(e) => refused.say("peers", remote, &e),
                    }
                };
                tokio::select! {
                    () = shaken => {}
                    () = ending.started() => {}
                }
            });
        }
    });
    PeerConnections(ReceiverStream::new(take))
}

impl AsyncRead for PeerConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
