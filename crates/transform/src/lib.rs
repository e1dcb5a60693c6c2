//! relabel: batch to batch
