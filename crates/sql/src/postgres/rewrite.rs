//! Rewrites a parsed statement into one that the engine plans with PostgreSQL's meaning.

use std::ops::ControlFlow;

use datafusion::common::{Result, plan_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CaseWhen, CastKind, DataType, DateTimeField, Expr, Function,
    FunctionArguments, Ident, Interval, LimitClause, ObjectName, Query, Select, SelectItem,
    Subscript, Value, Visitor, VisitorMut,
};

use crate::walk;

use super::ast::{call, literal, plain_args, text};
use super::{bind, clauses, grouping, named_windows, names, patterns, rows, sets, tables};

/// Rewrites a statement in place.
///
/// # Errors
/// The statement has another meaning here than in PostgreSQL, with the way out.
pub(crate) fn rewrite(statement: &mut Parsed) -> Result<()> {
    let inner = match statement {
        Parsed::Statement(statement) => statement.as_mut(),
        Parsed::Explain(explain) => return rewrite(&mut explain.statement),
        _ => return Ok(()),
    };
    let mut rewriter = Rewriter {
        uses_value: tables::names_value(inner),
    };
    match walk::visit_mut(inner, &mut rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter {
    /// The statement names the column `value`, which generate_series has in the engine.
    uses_value: bool,
}

impl Rewriter {
    fn expression(&self, expr: &mut Expr) -> Result<()> {
        if let Some(each) = rows::like_each(expr)? {
            *expr = each;
            let mut again = Rewriter { ..*self };
            return match walk::visit_mut(expr, &mut again) {
                ControlFlow::Break(error) => Err(error),
                ControlFlow::Continue(()) => Ok(()),
            };
        }
        let changed = match expr {
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => Some(call("timezone", vec![take(time_zone), take(timestamp)])),
            Expr::Interval(interval) => {
                plain_interval(interval)?;
                None
            }
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => bind::distinct_first(expr),
            Expr::BinaryOp {
                op: BinaryOperator::And,
                ..
            }
            | Expr::UnaryOp {
                op: ast::UnaryOperator::Not,
                ..
            } => bind::tighter(expr),
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::PGStartsWith => {
                    Some(call("starts_with", vec![take(left), take(right)]))
                }
                BinaryOperator::PGOverlap => {
                    Some(call("array_has_any", vec![take(left), take(right)]))
                }
                op => rows::compared(left, op, right)?,
            },
            Expr::InList {
                expr: of,
                list,
                negated,
            } => rows::in_list(of, list, *negated)?,
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => rows::quantified(left, compare_op, right, true),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => rows::quantified(left, compare_op, right, false),
            Expr::UnaryOp {
                op: ast::UnaryOperator::Minus,
                expr: of,
            } => match of.as_ref() {
                Expr::Interval(interval) => negated(interval),
                _ => None,
            },
            Expr::Cast {
                kind,
                expr: of,
                data_type,
                array: false,
                ..
            } => cast(kind, of, data_type)?,
            Expr::SimilarTo {
                negated,
                expr: of,
                pattern,
                escape_char,
            } => {
                let regex = patterns::similar_to(pattern, escape_char.as_ref())?;
                Some(Expr::BinaryOp {
                    left: Box::new(Expr::Nested(Box::new(take(of)))),
                    op: if *negated {
                        BinaryOperator::PGRegexNotMatch
                    } else {
                        BinaryOperator::PGRegexMatch
                    },
                    right: Box::new(text(regex)),
                })
            }
            Expr::Like {
                pattern,
                escape_char,
                ..
            }
            | Expr::ILike {
                pattern,
                escape_char,
                ..
            } => {
                if let Some(escape) = escape_char.take() {
                    patterns::with_backslash(pattern, &escape)?;
                }
                None
            }
            Expr::Substring {
                expr: of,
                substring_from: Some(from),
                substring_for: None,
                ..
            } if literal(from).is_some() => Some(first_match(take(of), take(from))),
            Expr::Function(function) => self.function(function)?,
            Expr::Value(value) => {
                if let Value::UnicodeStringLiteral(of) = &value.value {
                    value.value = Value::SingleQuotedString(of.clone());
                }
                None
            }
            _ => None,
        };
        if let Some(changed) = changed {
            *expr = changed;
        }
        Ok(())
    }

    fn function(&self, function: &mut Function) -> Result<Option<Expr>> {
        let name = match function.name.0.as_slice() {
            [part] => match part.as_ident() {
                Some(name) if name.quote_style.is_none() => name.value.to_lowercase(),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let name = match engine_name(&name) {
            Some(of_engine) => {
                function.name = ObjectName::from(vec![Ident::new(of_engine)]);
                of_engine.to_owned()
            }
            None => name,
        };
        if name == "array" && matches!(function.args, FunctionArguments::Subquery(_)) {
            return Err(plan_datafusion_err!(
                "ARRAY(SELECT …) is not supported; write (SELECT array_agg(x ORDER BY y) FROM …), which is NULL, not an empty \
                 array, where there are no rows"
            ));
        }
        let Some(mut args) = plain_args(function) else {
            return Ok(None);
        };
        let part_of = |part: &str, of: Expr| Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(call("date_part", vec![text(part.to_owned()), of])),
            data_type: DataType::BigInt(None),
            array: false,
            format: None,
        };
        Ok(match (name.as_str(), args.len()) {
            (
                "year" | "month" | "day" | "hour" | "minute" | "second" | "week" | "quarter"
                | "dayofweek" | "dayofyear" | "weekofyear" | "dayofmonth" | "isodow" | "isoyear",
                1,
            ) => {
                let of = args.remove(0);
                let whole = if name == "second" {
                    call("date_trunc", vec![text("second".to_owned()), of])
                } else {
                    of
                };
                Some(part_of(&name, whole))
            }
            ("monthname", 1) => Some(call(
                "to_char",
                vec![args.remove(0), text("FMMonth".to_owned())],
            )),
            ("dayname", 1) => Some(call(
                "to_char",
                vec![args.remove(0), text("FMDay".to_owned())],
            )),
            ("epoch", 1) => Some(call(
                "date_part",
                vec![text("epoch".to_owned()), args.remove(0)],
            )),
            ("strftime", 2) => Some(call("to_char", args)),
            ("age", 1) => {
                args.insert(0, call("current_date", vec![]));
                Some(call("age", args))
            }
            ("datediff" | "date_diff" | "dateadd" | "timestampdiff" | "timestampadd", 3) => {
                if let Some(Expr::Identifier(part)) = args.first() {
                    args[0] = text(part.value.clone());
                    return Ok(Some(call(&name, args)));
                }
                None
            }
            ("date_add", 2) => Some(binary(args.remove(0), BinaryOperator::Plus, args.remove(0))),
            ("date_sub", 2) => Some(binary(
                args.remove(0),
                BinaryOperator::Minus,
                args.remove(0),
            )),
            ("if" | "iff", 3) => {
                let (otherwise, then, condition) = (args.pop(), args.pop(), args.pop());
                match (condition, then) {
                    (Some(condition), Some(result)) => Some(Expr::Case {
                        case_token: AttachedToken::empty(),
                        end_token: AttachedToken::empty(),
                        operand: None,
                        conditions: vec![CaseWhen { condition, result }],
                        else_result: otherwise.map(Box::new),
                    }),
                    _ => None,
                }
            }
            ("date_trunc", 3) => {
                let (zone, moment, part) = (args.pop(), args.pop(), args.pop());
                let (Some(zone), Some(moment), Some(part)) = (zone, moment, part) else {
                    return Ok(None);
                };
                let moment = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(moment),
                    data_type: DataType::Timestamp(None, ast::TimezoneInfo::WithTimeZone),
                    array: false,
                    format: None,
                };
                let wall = call("timezone", vec![zone.clone(), moment]);
                let cut = call("date_trunc", vec![part, wall]);
                Some(call("timezone", vec![zone, cut]))
            }
            ("regexp_substr", 2) => Some(first_match(args.remove(0), args.remove(0))),
            _ => None,
        })
    }

    fn query(&self, query: &mut Query) -> Result<()> {
        once_only(query)?;
        named_windows::in_order_by(query)?;
        if !query.locks.is_empty() {
            return Err(plan_datafusion_err!(
                "FOR UPDATE and FOR SHARE are not supported: a query reads snapshots and locks nothing; leave it out"
            ));
        }
        if let Some(fetch) = query.fetch.take() {
            if fetch.with_ties || fetch.percent {
                return Err(plan_datafusion_err!(
                    "FETCH … WITH TIES and PERCENT are not supported; filter on rank() over (order by …) in a subquery"
                ));
            }
            let one = Expr::value(Value::Number("1".to_owned(), false));
            let limit = Some(fetch.quantity.unwrap_or(one));
            let offset = match query.limit_clause.take() {
                Some(LimitClause::LimitOffset { offset, .. }) => offset,
                _ => None,
            };
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit,
                offset,
                limit_by: vec![],
            });
        }
        Ok(())
    }

    fn select(&self, select: &mut Select) -> Result<()> {
        named_windows::in_select(select)?;
        grouping::positions(select)?;
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                let unnamed = matches!(expr, Expr::Function(_));
                if series_of_rows(expr)
                    && unnamed
                    && let SelectItem::UnnamedExpr(expr) = item
                {
                    *item = SelectItem::ExprWithAlias {
                        expr: expr.clone(),
                        alias: Ident::new("generate_series"),
                    };
                }
            }
        }
        if let Some(condition) = &mut select.selection {
            clauses::no_window("WHERE", condition)?;
            rows_in(condition)?;
        }
        if let Some(condition) = &select.having {
            clauses::no_window("HAVING", condition)?;
        }
        clauses::joins_have_conditions(&select.from)?;
        tables::from(&mut select.from, self.uses_value)
    }
}

impl VisitorMut for Rewriter {
    type Break = DataFusionError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        flow(self.expression(expr))
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        flow(self.query(query))
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        names::distinguish(query);
        sets::count_duplicates(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        flow(self.select(select))
    }
}

/// What the engine calls a function of PostgreSQL's.
fn engine_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "ceiling" => "ceil",
        "variance" => "var_samp",
        "every" => "bool_and",
        "sign" => "signum",
        // The engine's functions of these names stop at the first.
        "array_remove" => "array_remove_all",
        "array_replace" => "array_replace_all",
        _ => return None,
    })
}

/// A WITH query is planned where it is read: what is random in it would differ from reader to reader.
fn once_only(query: &Query) -> Result<()> {
    let Some(with) = &query.with else {
        return Ok(());
    };
    for cte in &with.cte_tables {
        let mut random = Finds::default();
        let _ = walk::visit(&cte.query, &mut random);
        let Some(function) = random.random else {
            continue;
        };
        let name = &cte.alias.name;
        let mut readers = Finds {
            of: Some(name.value.clone()),
            ..Finds::default()
        };
        let _ = walk::visit(query, &mut readers);
        if readers.times > 1 {
            return Err(plan_datafusion_err!(
                "{name} calls {function}() and is read {} times: each reader would see other values; make {name} a model of \
                 its own",
                readers.times
            ));
        }
    }
    Ok(())
}

/// Finds functions that give other values at each call, or counts how often a relation is read.
#[derive(Default)]
struct Finds {
    of: Option<String>,
    times: usize,
    random: Option<String>,
}

impl Visitor for Finds {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        if let (Some(of), [part]) = (&self.of, relation.0.as_slice())
            && part
                .as_ident()
                .is_some_and(|name| name.value.eq_ignore_ascii_case(of))
        {
            self.times += 1;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_lowercase();
            if ["random", "uuid", "gen_random_uuid"].contains(&name.as_str()) {
                self.random = Some(name);
            }
        }
        ControlFlow::Continue(())
    }
}

fn flow(result: Result<()>) -> ControlFlow<DataFusionError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// `(a, b) IN (SELECT x, y …)` in WHERE, where unknown is as good as false: a row of the subquery that is equal exists.
fn rows_in(condition: &mut Expr) -> Result<()> {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            rows_in(left)?;
            rows_in(right)
        }
        Expr::Nested(inner) => rows_in(inner),
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => {
            let Expr::Tuple(values) = expr.as_mut() else {
                return Ok(());
            };
            let body = std::mem::replace(subquery, Box::new(sets::query(sets::nothing())));
            *condition = sets::has_row(body, std::mem::take(values), *negated);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `generate_series(…)` in a select list gives rows, not one list.
fn series_of_rows(expr: &mut Expr) -> bool {
    match expr {
        Expr::Function(function)
            if function
                .name
                .to_string()
                .eq_ignore_ascii_case("generate_series") =>
        {
            let of = std::mem::replace(expr, Expr::value(Value::Null));
            *expr = call("unnest", vec![of]);
            true
        }
        Expr::Cast { expr, .. } => series_of_rows(expr),
        _ => false,
    }
}

fn take(expr: &mut Box<Expr>) -> Expr {
    std::mem::replace(expr.as_mut(), Expr::value(Value::Null))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }))
}

/// The part of a text that a regular expression matches first: its first group, if it has one.
fn first_match(of: Expr, pattern: Expr) -> Expr {
    let matched = call("regexp_match", vec![of, pattern]);
    Expr::CompoundFieldAccess {
        root: Box::new(Expr::Nested(Box::new(matched))),
        access_chain: vec![ast::AccessExpr::Subscript(Subscript::Index {
            index: Expr::value(Value::Number("1".to_owned(), false)),
        })],
    }
}

/// `interval '1 day 02:03:04'` in words that the engine reads.
fn plain_interval(interval: &mut Interval) -> Result<()> {
    let Some(given) = literal(&interval.value) else {
        return Ok(());
    };
    let unit = match &interval.leading_field {
        None => String::new(),
        Some(DateTimeField::Custom(unit)) => format!(" {unit}"),
        Some(unit) => format!(" {unit}"),
    };
    if interval.last_field.is_some() || interval.leading_precision.is_some() {
        return Ok(());
    }
    let text_of = format!("{given}{unit}");
    let words = retail_functions::time::interval_words(&text_of).ok_or_else(|| {
        plan_datafusion_err!(
            "'{text_of}' is no interval; write one such as '1 month 2 days' or '02:30:00'"
        )
    })?;
    *interval.value = text(words);
    interval.leading_field = None;
    Ok(())
}

/// `-interval '1 month 2 days'`, each part of it.
fn negated(interval: &Interval) -> Option<Expr> {
    let words = retail_functions::time::negated_interval_words(literal(&interval.value)?)?;
    Some(Expr::Interval(Interval {
        value: Box::new(text(words)),
        ..interval.clone()
    }))
}

/// Casts of texts to intervals, and to texts of a length.
fn cast(kind: &CastKind, of: &mut Box<Expr>, data_type: &mut DataType) -> Result<Option<Expr>> {
    if let DataType::Interval { .. } = data_type
        && let Some(given) = literal(of)
        && !matches!(kind, CastKind::TryCast | CastKind::SafeCast)
    {
        let mut interval = Interval {
            value: Box::new(text(given.to_owned())),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        };
        plain_interval(&mut interval)?;
        return Ok(Some(Expr::Interval(interval)));
    }
    let length = match data_type {
        DataType::Varchar(length)
        | DataType::CharacterVarying(length)
        | DataType::CharVarying(length)
        | DataType::Nvarchar(length)
        | DataType::Char(length)
        | DataType::Character(length) => match length.take() {
            Some(ast::CharacterLength::IntegerLength { length, .. }) => length,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let whole = Expr::Cast {
        kind: kind.clone(),
        expr: Box::new(take(of)),
        data_type: DataType::Varchar(None),
        array: false,
        format: None,
    };
    let length = Expr::value(Value::Number(length.to_string(), false));
    Ok(Some(call("left", vec![whole, length])))
}
