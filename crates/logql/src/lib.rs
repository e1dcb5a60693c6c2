//! LogQL: parser, pipeline, engine
