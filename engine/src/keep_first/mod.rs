//! Keeps the first rows of each key without a sort.
