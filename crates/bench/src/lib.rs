//! generator and senders for load and proof
