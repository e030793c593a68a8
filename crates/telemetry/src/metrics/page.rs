//! The list as a page for people: docs/metrics.md.

use super::{GRPC_METHODS, Kind, LIST, OTHERS, Role, Shown, Spec, Values};

const HEAD: &str = "# Metrics

What the processes serve at `/metrics` of their admin ports (scheduler 50080, executor 50081, operator 50082). Made from
the list in `crates/telemetry/src/metrics/list.rs`; a test writes this page anew with `RETAIL_TEST_WRITE=1` and fails where it
differs.

Each series of a closed set of labels is there from the start, at 0. `table` and `model` are names of the project, 200 at
most; the rest share `other`. *Shown on* names the dashboard of `grafana/` that has it, or the alerts.
";

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (role, heading) in [
        (Role::Scheduler, "Scheduler"),
        (Role::Executor, "Executors"),
        (Role::Operator, "Operator"),
    ] {
        let own = LIST.iter().filter(|spec| spec.roles == [role]);
        table(&mut page, heading, own);
    }
    let shared = LIST.iter().filter(|spec| spec.roles.len() > 1);
    table(&mut page, "Several of them", shared);
    page += "\n## gRPC methods\n\n";
    page += "Values of `method`; what is not listed counts as `other`: ";
    let methods: Vec<_> = GRPC_METHODS.iter().map(|m| format!("`{m}`")).collect();
    page += &methods.join(", ");
    page += ".\n\n## Of others\n\nBallista's and the process's own, in the same registry.\n\n";
    page += "| metric | meaning | shown on |\n|---|---|---|\n";
    for (name, help, shown) in OTHERS {
        page += &format!("| `{name}` | {help} | {} |\n", places(shown));
    }
    page
}

fn table<'a>(page: &mut String, heading: &str, specs: impl Iterator<Item = &'a Spec>) {
    *page += &format!("\n## {heading}\n\n");
    *page += "| metric | kind | unit | labels | meaning | shown on |\n|---|---|---|---|---|---|\n";
    for spec in specs {
        let kind = match spec.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        *page += &format!(
            "| `{}` | {kind} | {} | {} | {} | {} |\n",
            spec.name,
            spec.unit,
            labels(spec),
            spec.help,
            places(&spec.shown)
        );
    }
}

fn labels(spec: &Spec) -> String {
    let labels = spec.labels.iter().map(|label| match label.values {
        Values::Sparse(values) if values == GRPC_METHODS => format!("`{}`", label.name),
        Values::Closed(values) | Values::Sparse(values) => {
            format!("`{}`: {}", label.name, values.join(", "))
        }
        Values::Capped(_) => format!("`{}`", label.name),
        Values::Build => format!("`{}`", label.name),
    });
    labels.collect::<Vec<_>>().join("; ")
}

fn places(shown: &Shown) -> String {
    match shown {
        Shown::On(places) => places.join(", "),
        Shown::Nowhere(reason) => format!("not shown: {reason}"),
    }
}
