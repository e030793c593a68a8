//! The retail project that ships with the cluster: its generator, its truth and its verification.
