//! Sources: what a node collects by itself and hands to [`contract::Append`].
//!
//! This crate exists because it has a reader of its own: whoever asks "where does this come from". Every source
//! is a task under [`base::Shutdown`], numbers what it sends, counts what it loses and keeps its place when it
//! is refused. It must never know the hub, a store or HTTP servers. Start reading at [`hostmetrics`], the
//! simplest source.

pub mod hostmetrics;
