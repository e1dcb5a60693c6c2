//! Messages of a syslog connection. Nobody is answered: a connection is read on once they are durable.

use base::cap::Encoding;
use bytes::Bytes;
use contract::Receipt;
use model::{Batch, TenantId};
use wire::Reason;

use super::{Ingest, Request};
use crate::{Result, Sender};

/// A piece of a connection, cut into messages.
#[derive(Debug, Clone)]
pub struct SyslogPiece {
    pub bytes: Bytes,
    /// Where messages stand in it, the end excluded.
    pub messages: Vec<(usize, usize)>,
    /// Messages that were passed over since they are longer than any may be.
    pub too_long: u64,
}

impl Ingest {
    /// Stores the messages of a piece. Two equal ones are two events.
    pub async fn syslog(&self, tenant: &TenantId, sender: &Sender, piece: SyslogPiece) -> Result<Receipt> {
        let request = Request { protocol: "syslog", endpoint: "syslog", within: "", tenant, sender };
        let (received_ns, malformed) = (self.clock.now_ns(), self.stats.malformed("syslog"));
        let SyslogPiece { bytes, messages, too_long } = piece;
        let admitted = self.admit(request, Encoding::Identity, bytes, move |body, at| {
            let limits = &at.otlp.limits;
            let messages = messages.iter().filter_map(|(from, to)| body.get(*from..*to));
            let mut read = wire::syslog::decode(messages, received_ns, limits);
            malformed.inc_by(read.malformed);
            let max = limits.max_line_bytes;
            read.decoded.refused.add_many(Reason::TooLarge, 0, too_long, || {
                format!("a message is longer than ingest.max_line, {max} bytes, and what comes with it")
            });
            Ok(read.decoded.map(Batch::Logs).into())
        });
        Ok(admitted.await?.receipt)
    }
}
