//! generated protobuf
