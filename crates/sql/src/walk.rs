//! Walks over a parsed statement, compiled once.
//!
//! sqlparser writes its walk out for each kind of visitor: some thousand functions each, which took most of the time
//! that this crate needed to build. Here all visitors share one walk, behind a trait object.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut,
    Visitor, VisitorMut,
};

/// Walks over a part of a statement until `visitor` ends it.
pub(crate) fn visit<V: Visitor<Break = ()>>(part: &impl Visit, visitor: &mut V) -> ControlFlow<()> {
    part.visit(&mut Dyn(visitor))
}

/// Walks over a part of a statement that `visitor` changes, until it ends the walk.
pub(crate) fn visit_mut<V: VisitorMut>(
    part: &mut impl VisitMut,
    visitor: &mut V,
) -> ControlFlow<V::Break> {
    let mut keeper = Keeper {
        visitor,
        ended: None,
    };
    let walked = part.visit(&mut DynMut(&mut keeper));
    match (walked, keeper.ended) {
        (ControlFlow::Break(()), Some(ended)) => ControlFlow::Break(ended),
        _ => ControlFlow::Continue(()),
    }
}

struct Dyn<'a>(&'a mut dyn Visitor<Break = ()>);

struct DynMut<'a>(&'a mut dyn VisitorMut<Break = ()>);

/// Keeps what a visitor ended with: trait objects of all visitors need one type for it.
struct Keeper<'a, V: VisitorMut> {
    visitor: &'a mut V,
    ended: Option<V::Break>,
}

macro_rules! shared {
    ($($method:ident($node:ty);)*) => {
        impl Visitor for Dyn<'_> {
            type Break = ();

            $(fn $method(&mut self, node: &$node) -> ControlFlow<()> {
                self.0.$method(node)
            })*
        }

        impl VisitorMut for DynMut<'_> {
            type Break = ();

            $(fn $method(&mut self, node: &mut $node) -> ControlFlow<()> {
                self.0.$method(node)
            })*
        }

        impl<V: VisitorMut> VisitorMut for Keeper<'_, V> {
            type Break = ();

            $(fn $method(&mut self, node: &mut $node) -> ControlFlow<()> {
                self.visitor.$method(node).map_break(|ended| self.ended = Some(ended))
            })*
        }
    };
}

shared! {
    pre_visit_query(Query);
    post_visit_query(Query);
    pre_visit_select(Select);
    post_visit_select(Select);
    pre_visit_relation(ObjectName);
    post_visit_relation(ObjectName);
    pre_visit_table_factor(TableFactor);
    post_visit_table_factor(TableFactor);
    pre_visit_expr(Expr);
    post_visit_expr(Expr);
    pre_visit_statement(Statement);
    post_visit_statement(Statement);
    pre_visit_value(ValueWithSpan);
    post_visit_value(ValueWithSpan);
}
