//! Runs a job: orders, plans, writes and publishes its models.
