//! The tables of a project that are files.
