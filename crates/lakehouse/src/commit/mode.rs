//! What a commit does to the rows that are there.

/// What happens to the rows a table has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// They stay.
    Append,
    /// All of them go.
    Overwrite,
    /// Those in partitions that the new files touch go. In a table without partitions that is all of them.
    OverwritePartitions,
}
