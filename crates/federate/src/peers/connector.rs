//! How connections to peers come about. What they are made of (TCP, TLS, a connection that the peer itself dialled) is
//! somebody else's: here they are bytes both ways.

use std::{io, sync::Arc, task::Poll, time::Duration};

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};
use hyper_util::rt::TokioIo;
use model::TimestampNs;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tonic::{
    codegen::Service,
    transport::{Channel, Endpoint, Uri},
};

use super::{Link, PeerSettings};

/// Time for a connection to come about, handshakes included. Longer than a packet lost twice.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection that says nothing is asked for a sign of life after this time, and dropped as long after that: what
/// has been cut without a word is noticed in twice this time.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Bytes of one answer that may be under way. Larger: faster over long lines; smaller: less memory for each question.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same of all answers over one connection.
const CONNECTION_WINDOW: u32 = 8 << 20;

/// Bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A connection to a peer.
pub struct Connected {
    pub io: Box<dyn Io>,
    /// When what the peer proved itself with expires.
    pub certificate_expires: Option<TimestampNs>,
}

/// Makes connections. Errors are shown to people as they are, so they name the address or the file that is wrong.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Connects to a peer that listens at `address`, and makes sure that it is the one meant.
    async fn connect(&self, peer: &PeerSettings, address: &str) -> io::Result<Connected>;
}

/// Plain TCP, for machines that trust their network and for tests.
pub struct Plain;

#[async_trait]
impl Connector for Plain {
    async fn connect(&self, _: &PeerSettings, address: &str) -> io::Result<Connected> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connected { io: Box::new(stream), certificate_expires: None })
    }
}

/// A channel that connects when it is asked to and again after it broke. Of what it learns it tells the link.
pub(super) fn channel(link: Arc<Link>, connector: Arc<dyn Connector>) -> Channel {
    // The name is never looked up: the connector knows where to go.
    Endpoint::from_static("http://peer")
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector_lazy(Dial { link, connector })
}

#[derive(Clone)]
struct Dial {
    link: Arc<Link>,
    connector: Arc<dyn Connector>,
}

impl Dial {
    async fn dial(self) -> io::Result<TokioIo<Box<dyn Io>>> {
        let settings = self.link.settings();
        let connected = match &settings.address {
            None => {
                self.link.take_dialled().ok_or_else(|| io::Error::other("it has not dialled this node"))?
            }
            Some(address) => {
                let late = || format!("no connection to {address} within {} s", CONNECT.as_secs());
                timeout(CONNECT, self.connector.connect(settings, address))
                    .await
                    .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, late()))??
            }
        };
        self.link.connected(connected.certificate_expires);
        Ok(TokioIo::new(self.link.counted(connected.io)))
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Box<dyn Io>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        self.clone().dial().boxed()
    }
}
