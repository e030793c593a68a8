//! Names that distinguish columns and calls: the engine leaves casts and subqueries out of the names of expressions.
//!
//! `sum(x::int)` and `sum(x)` are both `sum(x)` to it, and it refuses to plan two columns of one name. Where names of one SELECT
//! would meet, casts are wrapped in a call that has the type in its name and is gone when the plan is optimized
//! ([`retail_functions::typed`]), and columns without an alias get one.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
    Visitor, VisitorMut,
};

use crate::walk;

use super::ast::{call, text};

/// Longest text of an expression that becomes the name of its column.
const LONGEST_NAME: usize = 60;

/// Distinguishes what the SELECTs of one query, not of its subqueries, name alike.
pub(super) fn distinguish(query: &mut Query) {
    let Query { body, order_by, .. } = query;
    in_set(body, order_by.as_mut());
}

fn in_set(set: &mut SetExpr, order_by: Option<&mut OrderBy>) {
    match set {
        SetExpr::Select(select) => {
            let ordinals = order_by.as_deref().map(ordinals).unwrap_or_default();
            wrap_casts(select, order_by);
            name_columns(select, &ordinals);
        }
        SetExpr::SetOperation { left, right, .. } => {
            in_set(left, None);
            in_set(right, None);
        }
        _ => {}
    }
}

/// Wraps the casts of a SELECT where two of its calls or groups differ in casts alone.
fn wrap_casts(select: &mut Select, mut order_by: Option<&mut OrderBy>) {
    let mut seen = Calls::default();
    for expr in grouped(select) {
        seen.add(expr);
    }
    each_expr(select, order_by.as_deref_mut(), &mut |expr| {
        let _ = walk::visit(&*expr, &mut seen);
    });
    if seen.collide {
        each_expr(select, order_by, &mut |expr| {
            let _ = walk::visit_mut(expr, &mut WrapCasts { below: 0 });
        });
    }
}

fn grouped(select: &Select) -> Vec<&Expr> {
    let GroupByExpr::Expressions(groups, _) = &select.group_by else {
        return vec![];
    };
    let mut found = vec![];
    for group in groups {
        let (Expr::GroupingSets(sets) | Expr::Rollup(sets) | Expr::Cube(sets)) = group else {
            match place(group).and_then(|place| select.projection.get(place)) {
                Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
                    found.push(expr);
                }
                _ => found.push(group),
            }
            continue;
        };
        found.extend(sets.iter().flatten());
    }
    found
}

/// The column that `GROUP BY 1` means, from 0.
fn place(expr: &Expr) -> Option<usize> {
    expr.to_string().parse::<usize>().ok()?.checked_sub(1)
}

fn each_expr(
    select: &mut Select,
    order_by: Option<&mut OrderBy>,
    visit: &mut dyn FnMut(&mut Expr),
) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            visit(expr);
        }
    }
    if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
        groups.iter_mut().for_each(&mut *visit);
    }
    select.having.iter_mut().for_each(&mut *visit);
    select.qualify.iter_mut().for_each(&mut *visit);
    if let Some(Distinct::On(exprs)) = &mut select.distinct {
        exprs.iter_mut().for_each(&mut *visit);
    }
    if let Some(OrderBy {
        kind: OrderByKind::Expressions(exprs),
        ..
    }) = order_by
    {
        exprs.iter_mut().for_each(|by| visit(&mut by.expr));
    }
}

/// Calls of functions, by their text without casts.
#[derive(Default)]
struct Calls {
    by_name: HashMap<String, String>,
    collide: bool,
    /// How many subqueries are open.
    below: usize,
}

impl Calls {
    fn add(&mut self, expr: &Expr) {
        let whole = unnested(expr).to_string();
        if let Some(other) = self.by_name.insert(bare(expr), whole.clone()) {
            self.collide |= other != whole;
        }
    }
}

impl Visitor for Calls {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.below += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.below -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.below == 0 && matches!(expr, Expr::Function(_)) {
            self.add(expr);
        }
        ControlFlow::Continue(())
    }
}

struct WrapCasts {
    below: usize,
}

impl VisitorMut for WrapCasts {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.below += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.below -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.below == 0
            && let Expr::Cast { data_type, .. } = expr
        {
            let name = text(data_type.to_string().to_lowercase());
            let cast = std::mem::replace(expr, super::rows::null());
            *expr = call(retail_functions::typed::NAME, vec![cast, name]);
        }
        ControlFlow::Continue(())
    }
}

/// The columns that `ORDER BY 1, 2` means, from 0.
fn ordinals(order_by: &OrderBy) -> Vec<usize> {
    match &order_by.kind {
        OrderByKind::Expressions(exprs) => exprs.iter().filter_map(|by| place(&by.expr)).collect(),
        OrderByKind::All(_) => vec![],
    }
}

/// Gives columns without a name one of their own, where the engine would call two of them the same, or ORDER BY names them by
/// their place, which the engine does not find beside GROUP BY.
fn name_columns(select: &mut Select, ordinals: &[usize]) {
    let mut times: HashMap<String, usize> = HashMap::new();
    let mut taken: HashSet<String> = HashSet::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => *times.entry(bare(expr)).or_default() += 1,
            SelectItem::ExprWithAlias { alias, .. } => {
                taken.insert(alias.value.to_lowercase());
            }
            _ => {}
        }
    }
    for (at, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let key = bare(expr);
        if times.get(&key).is_none_or(|times| *times < 2) && !ordinals.contains(&at) {
            continue;
        }
        // A column that is there twice by its own name is reported, not renamed.
        if let Expr::Identifier(name) = unnested(expr) {
            taken.insert(name.value.to_lowercase());
            continue;
        }
        if let Expr::CompoundIdentifier(names) = unnested(expr) {
            taken.extend(names.last().map(|name| name.value.to_lowercase()));
            continue;
        }
        let whole = unnested(&untyped(expr)).to_string().to_lowercase();
        let name = if whole.len() > LONGEST_NAME || key.contains(SUBQUERY) {
            key.chars().take(LONGEST_NAME).collect()
        } else {
            whole
        };
        let mut alias = name.clone();
        let mut number = 0;
        while !taken.insert(alias.clone()) {
            number += 1;
            alias = format!("{name}_{number}");
        }
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', alias),
        };
    }
}

/// What stands for a subquery in a name.
const SUBQUERY: &str = "subquery";

/// The text of an expression as the engine would name it: without casts, parentheses and what is in subqueries.
fn bare(expr: &Expr) -> String {
    struct Strip;
    impl VisitorMut for Strip {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let inner = match expr {
                Expr::Cast { expr, .. } | Expr::Nested(expr) => {
                    std::mem::replace(expr.as_mut(), super::rows::null())
                }
                Expr::Subquery(_) => Expr::Identifier(Ident::new(SUBQUERY)),
                Expr::Exists { .. } => Expr::Identifier(Ident::new(format!("exists {SUBQUERY}"))),
                Expr::CompoundIdentifier(names) => match names.last() {
                    Some(last) => Expr::Identifier(last.clone()),
                    None => return ControlFlow::Continue(()),
                },
                _ => return ControlFlow::Continue(()),
            };
            *expr = inner;
            ControlFlow::Continue(())
        }
    }
    let mut bare = untyped(expr);
    let _ = walk::visit_mut(&mut bare, &mut Strip);
    bare.to_string().to_lowercase()
}

/// An expression without the calls that [`wrap_casts`] put around casts.
fn untyped(expr: &Expr) -> Expr {
    struct Unwrap;
    impl VisitorMut for Unwrap {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr
                && function.name.to_string() == retail_functions::typed::NAME
                && let Some(args) = super::ast::plain_args(function)
                && let Some(cast) = args.into_iter().next()
            {
                *expr = cast;
            }
            ControlFlow::Continue(())
        }
    }
    let mut expr = expr.clone();
    let _ = walk::visit_mut(&mut expr, &mut Unwrap);
    expr
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        expr => expr,
    }
}
