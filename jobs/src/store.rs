//! The job store: jobs, their state and their events, on the catalog's database.
