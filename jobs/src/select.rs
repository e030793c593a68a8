//! Which models a run is about: dbt selectors.
