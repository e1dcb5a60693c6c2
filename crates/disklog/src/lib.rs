//! checksummed append-only segments
