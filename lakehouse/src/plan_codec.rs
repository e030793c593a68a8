//! Plan nodes of this crate on the wire.
