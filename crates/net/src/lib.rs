//! outgoing HTTP and TLS
