//! bytes to batches and back
