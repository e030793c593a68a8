//! Partition fields: their text, their transforms and their values.
