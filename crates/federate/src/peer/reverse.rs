//! Connections the other way round: a node that nobody can reach (behind NAT, say) dials the one that wants to ask it,
//! and is asked over that connection.
//!
//! ```text
//! dialling node                                   listening node
//!   24 bytes "ORRERY REVERSE PEER/1\r\n\n"  ──►   where an HTTP/2 client would begin "PRI * HTTP/2.0..."
//!   length, 2 bytes, big-endian             ──►
//!   AnnounceRequest: who it is              ──►   checked against the certificate and the list of peers
//!   is an HTTP/2 server from here on        ◄──   is the HTTP/2 client
//! ```

use std::{io, sync::Arc, time::Duration};

use base::{Shutdown, backoff::Backoff};
use futures::{StreamExt, stream};
use proto::{Message, peer as pb};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use super::{
    Asker, Server,
    accept::{self, Rewound},
    convert,
};
use crate::peers::{Connector, Io, PeerSettings};

/// As long as what HTTP/2 begins with.
pub(super) const PREFACE: [u8; 24] = *b"ORRERY REVERSE PEER/1\r\n\n";
/// Bytes of a hello that are read.
const MAX_HELLO: u16 = 4096;
/// Time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// First and longest wait before dialling again. Longer: a hub that comes back misses its peers for as long.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Keeps a connection to a node that wants to ask this one, and answers on it, until the shutdown begins. `to` says
/// whom to dial and who that must be.
pub async fn answer_to(
    to: PeerSettings,
    connector: Arc<dyn Connector>,
    own: Asker,
    server: Server,
    shutdown: Shutdown,
) {
    let mut backoff = Backoff::new(AGAIN.0, AGAIN.1);
    while !shutdown.is_started() {
        let outcome = tokio::select! {
            outcome = dial(&to, connector.as_ref(), &own) => outcome,
            () = shutdown.started() => return,
        };
        match outcome {
            Ok(io) => {
                let began = Instant::now();
                tracing::info!(to = to.name, address = to.address, "dialled a node to be asked by it");
                answer_on(io, server.clone(), &shutdown).await;
                if began.elapsed() >= AGAIN.1 {
                    backoff.reset();
                }
            }
            Err(e) => {
                tracing::warn!(to = to.name, address = to.address, error = %e, "a node cannot be dialled to be asked by it");
            }
        }
        let wait = backoff.next_wait(&mut rand::rng());
        tokio::select! {
            () = sleep(wait) => {}
            () = shutdown.started() => return,
        }
    }
}

async fn dial(to: &PeerSettings, connector: &dyn Connector, own: &Asker) -> io::Result<Box<dyn Io>> {
    let address = to.address.as_deref().ok_or_else(|| io::Error::other("no address to dial is given"))?;
    let connect = async {
        let mut io = connector.connect(to, address).await?.io;
        io.write_all(&hello(own)?).await?;
        io.flush().await?;
        Ok(io)
    };
    let late = || format!("no connection to {address} within {} s", CONNECT.as_secs());
    timeout(CONNECT, connect).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, late()))?
}

fn hello(own: &Asker) -> io::Result<Vec<u8>> {
    let who = convert::asker_to(own).encode_to_vec();
    let length = u16::try_from(who.len()).ok().filter(|l| *l <= MAX_HELLO);
    let length = length.ok_or_else(|| io::Error::other("the name of this node is too long"))?;
    Ok([PREFACE.as_slice(), &length.to_be_bytes(), &who].concat())
}

/// What comes after [`PREFACE`].
pub(super) async fn read_hello(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Asker> {
    let length = io.read_u16().await?;
    if length > MAX_HELLO {
        let message = format!("a hello of {length} bytes is longer than {MAX_HELLO}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut bytes = vec![0; usize::from(length)];
    io.read_exact(&mut bytes).await?;
    let who = pb::AnnounceRequest::decode(bytes.as_slice())
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("a hello: {e}")))?;
    Ok(convert::asker_from(who))
}

/// Answers on one connection until it ends.
async fn answer_on(io: Box<dyn Io>, server: Server, shutdown: &Shutdown) {
    let (io, gone) = Rewound::new(Vec::new(), io, None).watched();
    // One connection and no end of them: the server would not wait for it otherwise.
    let one = stream::iter([Ok(io)]).chain(stream::pending());
    let end = async {
        tokio::select! {
            // Ends with an error when the connection is dropped, which is what it is for.
            _ = gone => {}
            () = shutdown.started() => {}
        }
    };
    accept::answer(server, one, end).await;
}
