//! A plan as an indented tree that is the same in every run.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr,
};
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::windows::WindowUDFExpr;
use datafusion::physical_plan::{ExecutionPlan, WindowExpr};

use crate::nodes::one_task::OneTaskExec;
use crate::nodes::planned_join::PlannedJoinExec;
use crate::round_trip::window_exprs;

/// A line per node. Where files are and how they are called is left out, but for the folder of their partition. Besides
/// what nodes show, there is what a sealed join and a window are, and what is within one task.
pub(super) fn tree(plan: &Arc<dyn ExecutionPlan>) -> String {
    let mut text = String::new();
    write_node(plan, 0, &mut text);
    without_paths(text.trim_end())
}

fn write_node(plan: &Arc<dyn ExecutionPlan>, depth: usize, text: &mut String) {
    let shown = DisplayableExecutionPlan::new(plan.as_ref()).one_line();
    let (line, inputs) = if let Some(task) = plan.downcast_ref::<OneTaskExec>() {
        (plan.name().to_owned(), vec![task.plan()])
    } else if plan.is::<PlannedJoinExec>() {
        (format!("{} of {shown}", plan.name()), plan.children())
    } else if let Some(calls) = window_exprs(plan) {
        let calls: Vec<String> = calls.iter().map(call).collect();
        (
            format!("{}: {}", plan.name(), calls.join(", ")),
            plan.children(),
        )
    } else {
        (shown.to_string(), plan.children())
    };
    let indent = depth * 2;
    writeln!(text, "{:indent$}{}", "", line.trim_end()).unwrap();
    for input in inputs {
        write_node(input, depth + 1, text);
    }
}

/// The function that a window calls, on what, over which rows.
fn call(window: &Arc<dyn WindowExpr>) -> String {
    let any = window.as_any();
    let standard = any.downcast_ref::<StandardWindowExpr>();
    let function = standard.map(|window| window.get_standard_func_expr().as_any());
    let plain = any.downcast_ref::<PlainAggregateWindowExpr>();
    let sliding = any.downcast_ref::<SlidingAggregateWindowExpr>();
    let aggregate = plain
        .map(PlainAggregateWindowExpr::get_aggregate_expr)
        .or_else(|| sliding.map(SlidingAggregateWindowExpr::get_aggregate_expr));
    let name = function
        .and_then(|function| function.downcast_ref::<WindowUDFExpr>())
        .map(|function| function.fun().name())
        .or_else(|| aggregate.map(|aggregate| aggregate.fun().name()))
        .unwrap_or_else(|| window.name());
    let list = |parts: Vec<String>| parts.join(", ");
    format!(
        "{name}({}) over (partition by [{}] order by [{}] {})",
        list(
            window
                .expressions()
                .iter()
                .map(ToString::to_string)
                .collect()
        ),
        list(
            window
                .partition_by()
                .iter()
                .map(ToString::to_string)
                .collect()
        ),
        list(window.order_by().iter().map(ToString::to_string).collect()),
        window.get_window_frame(),
    )
}

fn without_paths(tree: &str) -> String {
    let is_end = |c: char| "[], \n".contains(c);
    let words = tree.split_inclusive(is_end).map(|word| {
        let path = word.trim_end_matches(is_end);
        let kinds = [".parquet", ".csv"];
        let Some(kind) = kinds.iter().find(|kind| path.ends_with(**kind)) else {
            return word.to_owned();
        };
        let folder = path
            .rsplit('/')
            .nth(1)
            .filter(|folder| folder.contains('='));
        let folder = folder
            .map(|folder| format!("{folder}/"))
            .unwrap_or_default();
        format!("{folder}*{kind}{}", &word[path.len()..])
    });
    words.collect()
}
