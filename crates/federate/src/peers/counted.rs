//! A connection whose bytes are counted as they pass: what a peer costs in transfer, headers and keep-alives included.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use base::metrics::Single;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Io;

pub(super) struct Counted {
    pub(super) inner: Box<dyn Io>,
    pub(super) received: Single,
    pub(super) sent: Single,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.received.inc_by(buf.filled().len().saturating_sub(before) as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
        self.sent.inc_by(written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices))?;
        self.sent.inc_by(written as u64);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn every_byte_is_counted_once_in_its_direction() {
        let (near, mut far) = tokio::io::duplex(16);
        let (received, sent) = (Single::default(), Single::default());
        let mut near = Counted { inner: Box::new(near), received: received.clone(), sent: sent.clone() };
        let theirs = tokio::spawn(async move {
            far.write_all(&[7; 1000]).await.unwrap();
            let mut got = vec![0; 300];
            far.read_exact(&mut got).await.unwrap();
        });
        let mut got = vec![0; 1000];
        near.read_exact(&mut got).await.unwrap();
        near.write_all(&[1; 300]).await.unwrap();
        theirs.await.unwrap();
        assert_eq!((received.get(), sent.get()), (1000, 300));
    }
}
