//! Reads a project: dbt layout, Jinja, YAML.
