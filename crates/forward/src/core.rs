//! What the parts of a forwarder share.

use base::{Clock, Shutdown};
use disklog::Log;

use crate::book::Book;

pub(crate) struct Core {
    pub(crate) log: Log,
    pub(crate) book: Book,
    pub(crate) clock: Clock,
    /// Begins when the forwarder is closed; everything it runs ends with it.
    pub(crate) closing: Shutdown,
    pub(crate) ids_every_bytes: u64,
}
