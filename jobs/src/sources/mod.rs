//! The tables of a project that are files: found, typed and read by stock DataFusion scans.
