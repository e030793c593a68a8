//! Windows that have a name: `OVER w`, `OVER (w ROWS …)`, `WINDOW w AS (…), v AS (w ORDER BY …)`.
//!
//! The engine knows `OVER w` in the SELECT list alone, and reads `OVER (w …)` as if `w` were not written. So each is written
//! out as the window that it stands for, by PostgreSQL's rules of what may be added to a window.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::{Result, plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, VisitMut,
    VisitorMut, WindowSpec, WindowType,
};

use crate::walk;

/// The windows of a SELECT by name.
type Windows = BTreeMap<String, WindowSpec>;

/// Writes out the windows in ORDER BY, which belong to the query's SELECT. Comes before [`in_select`].
///
/// # Errors
/// As [`in_select`].
pub(super) fn in_order_by(query: &mut Query) -> Result<()> {
    let (SetExpr::Select(select), Some(order)) = (query.body.as_ref(), &mut query.order_by) else {
        return Ok(());
    };
    written_out(order, &defined(&select.named_window)?)
}

/// Writes out the windows in the SELECT list and in QUALIFY.
///
/// # Errors
/// A name that no window has, or that two have; a window that changes what the named one defines.
pub(super) fn in_select(select: &mut Select) -> Result<()> {
    let windows = defined(&select.named_window)?;
    select.named_window.clear();
    written_out(&mut select.projection, &windows)?;
    written_out(&mut select.qualify, &windows)
}

fn defined(definitions: &[NamedWindowDefinition]) -> Result<Windows> {
    let mut windows = Windows::new();
    for NamedWindowDefinition(name, window) in definitions {
        let spec = match window {
            NamedWindowExpr::NamedWindow(of) => named(&windows, of)?.clone(),
            NamedWindowExpr::WindowSpec(spec) => whole(spec.clone(), &windows)?,
        };
        if windows.insert(key(name), spec).is_some() {
            return plan_err!("the window {name} is defined twice");
        }
    }
    Ok(windows)
}

fn key(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

fn named<'a>(windows: &'a Windows, name: &Ident) -> Result<&'a WindowSpec> {
    windows.get(&key(name)).ok_or_else(|| {
        plan_datafusion_err!(
            "there is no window {name}; define it: WINDOW {name} AS (…), after WHERE and GROUP BY"
        )
    })
}

/// The window that `spec` stands for: the one that it names, and what it adds.
fn whole(mut spec: WindowSpec, windows: &Windows) -> Result<WindowSpec> {
    let Some(name) = spec.window_name.take() else {
        return Ok(spec);
    };
    let base = named(windows, &name)?.clone();
    if base.window_frame.is_some() {
        return plan_err!(
            "the window {name} has a frame, and ({name} …) cannot build on it; write OVER {name}, or name the window without \
             its frame"
        );
    }
    if !spec.partition_by.is_empty() {
        return plan_err!(
            "({name} PARTITION BY …) changes how the window {name} is partitioned; write the window out"
        );
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        return plan_err!(
            "({name} ORDER BY …) changes the order of the window {name}; write the window out"
        );
    }
    spec.partition_by = base.partition_by;
    if spec.order_by.is_empty() {
        spec.order_by = base.order_by;
    }
    Ok(spec)
}

fn written_out(part: &mut impl VisitMut, windows: &Windows) -> Result<()> {
    match walk::visit_mut(part, &mut WriteOut { windows, depth: 0 }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct WriteOut<'a> {
    windows: &'a Windows,
    /// Of subqueries, which have windows of their own.
    depth: usize,
}

impl VisitorMut for WriteOut<'_> {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let spec = match function.over.take() {
            None => return ControlFlow::Continue(()),
            Some(WindowType::NamedWindow(name)) => named(self.windows, &name).cloned(),
            Some(WindowType::WindowSpec(spec)) => whole(spec, self.windows),
        };
        match spec {
            Ok(spec) => {
                function.over = Some(WindowType::WindowSpec(spec));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}
