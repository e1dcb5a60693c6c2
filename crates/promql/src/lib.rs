//! PromQL: parser, plan, engine
