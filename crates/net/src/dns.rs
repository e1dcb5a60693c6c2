//! DNS lookups of any of the types discovery needs (A, AAAA, SRV, MX, NS), with the servers and the search list
//! of `/etc/resolv.conf`. The system's resolver finds addresses only.
//!
//! ```text
//! name ─ candidates (search list) ─ server by server: UDP, TCP when cut short ─ message::decode ─ records
//! ```

mod message;

use std::{net::SocketAddr, path::Path, time::Duration};

use rand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::Error;
use message::{Answer, NAME_ERROR, SUCCESS, decode, encode};
pub use message::{Kind, Record};

/// How long one server has for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Large enough for what we announce to take over UDP.
const UDP_BYTES: usize = 4096;
/// More servers or search domains than resolvers use are ignored.
const MAX_SERVERS: usize = 8;
const MAX_SEARCH: usize = 16;

/// Where and how names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// Names with at least so many dots are tried as they are first.
    ndots: usize,
}

impl Resolver {
    /// Reads `/etc/resolv.conf`.
    pub fn system() -> Result<Self, Error> {
        let path = Path::new("/etc/resolv.conf");
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::Setup { reason: format!("reading {}: {e}", path.display()) })?;
        Ok(Resolver::parse(&text))
    }

    /// One server, no search list.
    pub fn with_server(server: SocketAddr) -> Self {
        Resolver { servers: vec![server], search: Vec::new(), ndots: 1 }
    }

    /// Reads the text of a `resolv.conf` (resolv.conf(5)); what it does not know it skips.
    pub fn parse(text: &str) -> Self {
        let mut r = Resolver { servers: Vec::new(), search: Vec::new(), ndots: 1 };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|a| a.split('%').next()?.parse().ok());
                    if let Some(ip) = address
                        && r.servers.len() < MAX_SERVERS
                    {
                        r.servers.push(SocketAddr::new(ip, 53));
                    }
                }
                Some("domain" | "search") => {
                    r.search = words.take(MAX_SEARCH).map(|d| d.trim_end_matches('.').to_owned()).collect();
                }
                Some("options") => {
                    for ndots in words.filter_map(|w| w.strip_prefix("ndots:")?.parse::<usize>().ok()) {
                        r.ndots = ndots.min(15);
                    }
                }
                _ => {}
            }
        }
        if r.servers.is_empty() {
            r.servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
        }
        r
    }

    /// The full names tried for `name`, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(rooted) = name.strip_suffix('.') {
            return vec![rooted.to_owned()];
        }
        let searched = self.search.iter().filter(|d| !d.is_empty()).map(|d| format!("{name}.{d}"));
        match name.matches('.').count() >= self.ndots {
            true => std::iter::once(name.to_owned()).chain(searched).collect(),
            false => searched.chain(std::iter::once(name.to_owned())).collect(),
        }
    }

    /// Looks `name` up. A name that exists without such records, and one that no server knows, give an empty
    /// answer; that no server could tell is an error.
    pub async fn lookup(&self, name: &str, kind: Kind) -> Result<Vec<Record>, Error> {
        let mut failed = None;
        for candidate in self.candidates(name) {
            match self.ask_all(&candidate, kind).await {
                Ok(answer) if answer.code == SUCCESS => return Ok(answer.records),
                Ok(_) => {}
                Err(reason) => failed = Some(reason),
            }
        }
        match failed {
            None => Ok(Vec::new()),
            Some(reason) => Err(Error::Unreachable { url: format!("dns:{name}"), reason }),
        }
    }

    async fn ask_all(&self, name: &str, kind: Kind) -> Result<Answer, String> {
        let mut last = "no server is configured".to_owned();
        for server in &self.servers {
            match timeout(TIMEOUT, ask(*server, name, kind)).await {
                Ok(Ok(answer)) if answer.code == SUCCESS || answer.code == NAME_ERROR => return Ok(answer),
                Ok(Ok(answer)) => last = format!("{server} answered with code {}", answer.code),
                Ok(Err(reason)) => last = format!("{server}: {reason}"),
                Err(_) => last = format!("{server}: no answer within {TIMEOUT:?}"),
            }
        }
        Err(last)
    }
}

/// Asks one server: over UDP, and over TCP when the answer did not fit.
async fn ask(server: SocketAddr, name: &str, kind: Kind) -> Result<Answer, String> {
    let text = |e: std::io::Error| e.to_string();
    let id: u16 = rand::rng().random();
    let query = encode(id, name, kind)?;
    let local = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await.map_err(text)?;
    socket.connect(server).await.map_err(text)?;
    socket.send(&query).await.map_err(text)?;
    let mut buf = vec![0; UDP_BYTES];
    loop {
        let n = socket.recv(&mut buf).await.map_err(text)?;
        match decode(buf.get(..n).unwrap_or_default(), id, name, kind) {
            Ok(answer) if answer.truncated => return ask_tcp(server, &query, id, name, kind).await,
            Ok(answer) => return Ok(answer),
            // Something else arrived at our port; the answer may still come.
            Err(reason) if reason.is_foreign() => {}
            Err(reason) => return Err(reason.to_string()),
        }
    }
}

async fn ask_tcp(
    server: SocketAddr,
    query: &[u8],
    id: u16,
    name: &str,
    kind: Kind,
) -> Result<Answer, String> {
    let text = |e: std::io::Error| e.to_string();
    let mut stream = TcpStream::connect(server).await.map_err(text)?;
    let length = u16::try_from(query.len()).map_err(|e| e.to_string())?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await.map_err(text)?;
    let length = stream.read_u16().await.map_err(text)?;
    let mut buf = vec![0; usize::from(length)];
    stream.read_exact(&mut buf).await.map_err(text)?;
    let answer = decode(&buf, id, name, kind).map_err(|e| e.to_string())?;
    match answer.truncated {
        true => Err("the answer was cut short over TCP too".to_owned()),
        false => Ok(answer),
    }
}

/// For the fuzz target: reads bytes as an answer, whatever was asked.
#[doc(hidden)]
pub fn decode_anything(bytes: &[u8]) -> usize {
    decode(bytes, 0, "a", Kind::Srv).map_or(0, |a| a.records.len())
}

#[cfg(test)]
mod tests;
