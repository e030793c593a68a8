use std::collections::HashSet;
use std::path::Path;

use super::*;

fn all() -> &'static Metrics {
    for role in [Role::Scheduler, Role::Executor, Role::Operator] {
        expose(role);
    }
    metrics()
}

#[test]
fn every_metric_of_a_role_is_served_with_its_help() {
    let m = all();
    m.model_last_seconds.set("marts.sales", 1.0);
    m.table_published_timestamp_seconds.set("marts.sales", 1.0);
    for gauge in [
        &m.table_rows,
        &m.table_files,
        &m.table_bytes,
        &m.table_snapshots,
    ] {
        gauge.set("marts.sales", 1.0);
    }
    m.grpc_requests_total
        .with_label_values(&["other", "ok"])
        .inc();
    m.grpc_seconds.with_label_values(&["other"]).observe(1.0);
    m.operator_scaling_decisions_total
        .with_label_values(&["up", "FollowsWork"])
        .inc();
    let text = render();
    for spec in LIST {
        assert!(
            text.contains(&format!("# HELP {} {}", spec.name, spec.help)),
            "{} is missing",
            spec.name
        );
    }
    assert!(text.contains("# TYPE process_resident_memory_bytes gauge"));
}

#[test]
fn what_never_happened_is_shown_as_zero() {
    all();
    let text = render();
    assert!(text.contains("retail_jobs_total{state=\"interrupted\"} 0"));
    assert!(text.contains(
        "retail_object_store_requests_total{operation=\"copy\",outcome=\"not_found\"} 0"
    ));
}

#[test]
fn names_follow_prometheus_and_say_their_unit() {
    let mut seen = HashSet::new();
    for spec in LIST {
        let name = spec.name;
        assert!(seen.insert(name), "{name} is listed twice");
        assert!(name.starts_with("retail_"), "{name}");
        assert_eq!(
            spec.kind == Kind::Counter,
            name.ends_with("_total"),
            "{name}"
        );
        if spec.unit == "second" {
            assert!(name.ends_with("_seconds"), "{name}");
        }
        if spec.unit == "byte" {
            assert!(name.contains("bytes"), "{name}");
        }
        assert_eq!(
            spec.kind == Kind::Histogram,
            !spec.buckets.is_empty(),
            "{name}"
        );
        assert!(spec.help.ends_with('.'), "{name}: {}", spec.help);
        match spec.shown {
            Shown::On(places) => assert!(!places.is_empty(), "{name}"),
            Shown::Nowhere(reason) => assert!(!reason.is_empty(), "{name} is shown nowhere, why?"),
        }
    }
}

#[test]
fn a_project_with_too_many_tables_does_not_fill_prometheus() {
    let spec = LIST.iter().find(|s| s.name == "retail_table_rows").unwrap();
    let gauge = <Capped as family::Family>::new(spec);
    for table in 0..1000 {
        gauge.set(&format!("t{table}"), f64::from(table));
    }
    let series = |gauge: &Capped| gauge.gauges.collect()[0].get_metric().len();
    assert_eq!(series(&gauge), 201, "200 names and other");
    let few = ["t3", "t7"].map(str::to_owned).into_iter().collect();
    gauge.keep(&few);
    assert_eq!(series(&gauge), 2, "a dropped table is forgotten");
    gauge.set("new", 1.0);
    assert_eq!(series(&gauge), 3, "its place is free again");
}

#[test]
fn the_page_matches_the_list() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = page();
    if std::env::var_os("RETAIL_TEST_WRITE").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/metrics.md differs from the list; write it with RETAIL_TEST_WRITE=1 cargo test -p retail-telemetry"
    );
}
