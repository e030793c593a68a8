//! Macros of a project that go over dbt's own in dbt: taken, refused, or reported.
//!
//! `generate_schema_name`, `generate_alias_name`, `get_where_subquery`, the generic tests and what templates call
//! (`dateadd`, `type_string`) are taken. How dbt counts the failures of a test cannot be changed here; how it makes tables,
//! grants rights or lists a catalog has no counterpart.

use super::super::project::Warning;
use super::packages::PREFIXES;
use retail_api::source::Location;
use retail_api::{Failure, FailureKind};

/// They say what a test comes to.
const REFUSED: [&str; 2] = ["get_test_sql", "should_store_failures"];

/// Nothing here calls them.
const WITHOUT_EFFECT: [&str; 79] = [
    "alter_column_comment",
    "alter_column_type",
    "alter_relation_add_remove_columns",
    "alter_relation_comment",
    "apply_grants",
    "check_for_schema_changes",
    "check_schema_exists",
    "collect_freshness",
    "copy_grants",
    "create_csv_table",
    "create_indexes",
    "create_or_replace_view",
    "create_schema",
    "create_table_as",
    "create_view_as",
    "drop_relation",
    "drop_relation_if_exists",
    "drop_schema",
    "drop_table",
    "drop_view",
    "generate_database_name",
    "get_assert_columns_equivalent",
    "get_catalog",
    "get_catalog_relations",
    "get_columns_in_query",
    "get_columns_in_relation",
    "get_create_index_sql",
    "get_create_sql",
    "get_create_table_as_sql",
    "get_create_view_as_sql",
    "get_delete_insert_merge_sql",
    "get_drop_sql",
    "get_empty_schema_sql",
    "get_empty_subquery_sql",
    "get_fixture_sql",
    "get_grant_sql",
    "get_incremental_append_sql",
    "get_incremental_default_sql",
    "get_incremental_delete_insert_sql",
    "get_incremental_insert_overwrite_sql",
    "get_incremental_merge_sql",
    "get_incremental_microbatch_sql",
    "get_insert_into_sql",
    "get_insert_overwrite_merge_sql",
    "get_limit_sql",
    "get_limit_subquery_sql",
    "get_merge_sql",
    "get_merge_update_columns",
    "get_relation_last_modified",
    "get_rename_sql",
    "get_replace_sql",
    "get_revoke_sql",
    "get_select_subquery",
    "get_show_grant_sql",
    "get_table_columns_and_constraints",
    "get_unit_test_sql",
    "handle_existing_table",
    "information_schema_name",
    "list_relations_without_caching",
    "list_schemas",
    "load_csv_rows",
    "make_backup_relation",
    "make_intermediate_relation",
    "make_temp_relation",
    "persist_docs",
    "post_snapshot",
    "rename_relation",
    "run_hooks",
    "set_sql_header",
    "snapshot_check_strategy",
    "snapshot_get_time",
    "snapshot_hash_arguments",
    "snapshot_merge_sql",
    "snapshot_string_as_time",
    "snapshot_timestamp_strategy",
    "strategy_dispatch",
    "truncate_relation",
    "validate_sql",
    "write_to_file",
];

/// What is to be said of a macro of the project.
///
/// # Errors
/// A macro that would change what tests come to.
pub(super) fn of(name: &str, at: &Location) -> Result<Option<Warning>, Failure> {
    let plain = PREFIXES
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    if REFUSED.contains(&plain) {
        let message = format!("macro {name} is not supported");
        return Err(Failure::new(FailureKind::Project, message)
            .at(at.file.clone(), at.line, 0)
            .cause(
                "it goes over dbt's own, which determines how the failures of tests are counted and kept",
            )
            .note(
                "take it out; tests have fail_calc, limit, warn_if, error_if and store_failures",
            ));
    }
    Ok(WITHOUT_EFFECT.contains(&plain).then(|| {
        Warning::new(
            format!(
                "macro {name} goes over dbt's own in dbt; here nothing but your templates calls it"
            ),
            at.clone(),
        )
    }))
}
