//! What every segment file has in common.
