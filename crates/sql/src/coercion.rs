//! The engine's type coercion, with PostgreSQL's rules for numbers before and after it.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRewriter};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{
    Between, BinaryExpr, Case, InList, InSubquery, ScalarFunction, SetComparison,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{Join, Union};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Subquery,
};
use datafusion::optimizer::analyzer::AnalyzerRule;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::guard::{filtered, filtered_window};
use super::texts;
use crate::trees::step;
use retail_functions::decimal::MAX_DIGITS;
use retail_functions::type_name;
use retail_functions::{arithmetic, casts};

/// The rule that this one takes the place of.
pub(super) const NAME: &str = "type_coercion";

/// Functions whose arguments get one common type.
const COMMON_TYPE: [&str; 8] = [
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "nvl",
    "ifnull",
    "nvl2",
    "make_array",
];

/// Functions whose second argument is a number of digits, which decides the type of a decimal result.
const DIGITS: [&str; 2] = ["round", "trunc"];

/// Coerces types from the leaves up. At every expression:
///
/// 1. decimals that meet a double become double, where the engine would cut the double to 15 digits after the point;
/// 2. the engine's own rules;
/// 3. casts and negations become functions that round and check, and arguments of aggregates are evaluated behind FILTER.
#[derive(Debug)]
pub(super) struct NumericCoercion;

impl AnalyzerRule for NumericCoercion {
    fn name(&self) -> &str {
        NAME
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(step(&mut coerce))?.data)
    }
}

fn coerce(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        let table =
            DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&table);
    }
    let plan = match plan {
        LogicalPlan::Filter(mut filter) => {
            filter.predicate = filter.predicate.cast_to(&DataType::Boolean, &schema)?;
            LogicalPlan::Filter(filter)
        }
        LogicalPlan::Join(join) => LogicalPlan::Join(join_keys(join, &schema)?),
        LogicalPlan::Union(union) => LogicalPlan::Union(union_columns(texts::union_alike(union)?)?),
        plan => plan,
    };
    let names = NamePreserver::new(&plan);
    let mut own = TypeCoercionRewriter::new(&schema);
    let plan = plan
        .map_expressions(step(&mut |expr| {
            let name = names.save(&expr);
            let mut rewriter = Numbers {
                schema: &schema,
                engine: TypeCoercionRewriter::new(&schema),
            };
            let coerced = expr.rewrite(&mut rewriter)?;
            let checked = coerced.transform_data(|expr| {
                expr.transform_up(step(&mut |expr| checked_casts(expr, &schema)))
            })?;
            Ok(checked.update_data(|expr| name.restore(expr)))
        }))?
        .map_data(|plan| own.coerce_plan(plan))?
        .map_data(|plan| plan.recompute_schema())?;
    Ok(plan)
}

struct Numbers<'a> {
    schema: &'a DFSchema,
    engine: TypeCoercionRewriter<'a>,
}

impl TreeNodeRewriter for Numbers<'_> {
    type Node = Expr;

    fn f_up(&mut self, expr: Expr) -> Result<Transformed<Expr>> {
        let expr = floats_win(expr, self.schema)?;
        self.engine.f_up(expr)
    }
}

fn checked_casts(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        // `round(x, 2)` has a type of its own for each number of digits, and has to receive it before types are read.
        Expr::Cast(Cast { expr: of, field }) if is_integer_literal(&of, field.data_type()) => {
            match *of {
                Expr::Literal(value, metadata) => {
                    let value = value.cast_to(field.data_type())?;
                    Ok(Transformed::yes(Expr::Literal(value, metadata)))
                }
                of => Ok(Transformed::no(of)),
            }
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if DIGITS.contains(&func.name()) && args.len() == 2 =>
        {
            let digits = args.pop();
            args.extend(digits.map(constant).transpose()?);
            let call = ScalarFunction::new_udf(func, args);
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        Expr::AggregateFunction(call) => {
            let call = filtered(call, schema)?;
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        Expr::WindowFunction(call) => {
            let call = filtered_window(*call, schema)?;
            Ok(Transformed::yes(Expr::from(call)))
        }
        Expr::Cast(Cast { expr: ref of, .. }) => {
            let from = of.get_type(schema)?;
            casts::checked(expr, &from).map(Transformed::yes)
        }
        Expr::TryCast(ref cast) => {
            let from = cast.expr.get_type(schema)?;
            casts::checked(expr, &from).map(Transformed::yes)
        }
        Expr::Negative(of) => {
            let t = of.get_type(schema)?;
            if super::planner::is_exact(&t) {
                return Ok(Transformed::yes(arithmetic::negate(*of)));
            }
            Ok(Transformed::no(Expr::Negative(of)))
        }
        expr => Ok(Transformed::no(expr)),
    }
}

/// A bigint literal that has a value in another type of integers too.
fn is_integer_literal(expr: &Expr, to: &DataType) -> bool {
    match expr {
        Expr::Literal(value @ ScalarValue::Int64(Some(_)), _) if to.is_integer() => {
            value.cast_to(to).is_ok_and(|v| !v.is_null())
        }
        _ => false,
    }
}

/// The value of an expression without columns; the expression, if it has some or cannot be evaluated now.
fn constant(expr: Expr) -> Result<Expr> {
    if matches!(expr, Expr::Literal(..)) || expr.any_column_refs() {
        return Ok(expr);
    }
    let info = SimplifyContext::builder()
        .with_schema(Arc::new(DFSchema::empty()))
        .build();
    ExprSimplifier::new(info).simplify(expr)
}

/// Makes decimals double where they are compared or combined with doubles.
fn floats_win(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let [left, right] = comparable([*left, *right], schema)?;
            Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let [expr, low, high] = comparable([*expr, *low, *high], schema)?;
            Expr::Between(Between::new(
                Box::new(expr),
                negated,
                Box::new(low),
                Box::new(high),
            ))
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) => {
            let mut all = list;
            all.insert(0, *expr);
            let mut all = comparable_all(alike_all(all, schema)?, schema)?;
            let expr = Box::new(all.remove(0));
            Expr::InList(InList::new(expr, all, negated))
        }
        Expr::Case(case) => Expr::Case(case_alike(case, schema)?),
        Expr::ScalarFunction(ScalarFunction { func, args })
            if COMMON_TYPE.contains(&func.name()) =>
        {
            let args = match func.name() {
                // The first decides; a comparison reads a text as it would elsewhere.
                "nvl2" | "nullif" => args,
                name => texts::alike(args, schema, name)?,
            };
            let args = alike_all(args, schema)?;
            Expr::ScalarFunction(ScalarFunction::new_udf(func, args))
        }
        Expr::ScalarFunction(call) => {
            texts::check_call(call.func.name(), &call.args, schema)?;
            Expr::ScalarFunction(call)
        }
        Expr::InSubquery(InSubquery {
            expr,
            subquery,
            negated,
        }) => {
            let (expr, subquery) = subquery_alike(expr, subquery, schema)?;
            Expr::InSubquery(InSubquery::new(expr, subquery, negated))
        }
        Expr::SetComparison(SetComparison {
            expr,
            subquery,
            op,
            quantifier,
        }) => {
            let (expr, subquery) = subquery_alike(expr, subquery, schema)?;
            Expr::SetComparison(SetComparison::new(expr, subquery, op, quantifier))
        }
        expr => expr,
    })
}

fn case_alike(case: Case, schema: &DFSchema) -> Result<Case> {
    let Case {
        expr,
        when_then_expr,
        else_expr,
    } = case;
    let (mut whens, mut thens): (Vec<_>, Vec<_>) = when_then_expr
        .into_iter()
        .map(|(when, then)| (*when, *then))
        .unzip();
    let mut expr = expr.map(|e| *e);
    if let Some(of) = expr.take() {
        whens.insert(0, of);
        whens = alike_all(whens, schema)?;
        expr = Some(whens.remove(0));
    } else {
        for when in &whens {
            let t = when.get_type(schema)?;
            if !matches!(t, DataType::Boolean | DataType::Null) {
                return plan_err!(
                    "CASE WHEN takes a condition, and {when} is {}; compare it, such as {when} <> 0",
                    type_name(&t)
                );
            }
        }
    }
    let has_else = else_expr.is_some();
    thens.extend(else_expr.map(|e| *e));
    let thens = texts::alike(thens, schema, "CASE")?;
    let mut thens = alike_all(thens, schema)?;
    let else_expr = if has_else { thens.pop() } else { None };
    let pairs = whens.into_iter().zip(thens);
    Ok(Case::new(
        expr.map(Box::new),
        pairs
            .map(|(when, then)| (Box::new(when), Box::new(then)))
            .collect(),
        else_expr.map(Box::new),
    ))
}

fn subquery_alike(
    expr: Box<Expr>,
    subquery: Subquery,
    schema: &DFSchema,
) -> Result<(Box<Expr>, Subquery)> {
    let outer = expr.get_type(schema)?;
    let inner = subquery.subquery.schema().field(0).data_type().clone();
    if !mixed([&outer, &inner].into_iter()) {
        return Ok((expr, subquery));
    }
    let expr = Box::new(as_double(*expr, &outer));
    if !inner.is_decimal() {
        return Ok((expr, subquery));
    }
    let Subquery {
        subquery: plan,
        outer_ref_columns,
        spans,
    } = subquery;
    let subquery = Subquery {
        subquery: Arc::new(columns_as_double(plan.as_ref().clone(), &[0])?),
        outer_ref_columns,
        spans,
    };
    Ok((expr, subquery))
}

fn join_keys(mut join: Join, schema: &DFSchema) -> Result<Join> {
    join.on = join
        .on
        .into_iter()
        .map(|(l, r)| {
            let [l, r] = comparable([l, r], schema)?;
            Ok((l, r))
        })
        .collect::<Result<_>>()?;
    Ok(join)
}

fn union_columns(mut union: Union) -> Result<Union> {
    let columns = union.schema.fields().len();
    let mut to_change = vec![];
    for column in 0..columns {
        let mut types = vec![];
        for input in &union.inputs {
            if let Some(field) = input.schema().fields().get(column) {
                types.push(field.data_type());
            }
        }
        if mixed(types.into_iter()) {
            to_change.push(column);
        }
    }
    if !to_change.is_empty() {
        union.inputs = union
            .inputs
            .into_iter()
            .map(|input| columns_as_double(input.as_ref().clone(), &to_change).map(Arc::new))
            .collect::<Result<_>>()?;
        // The engine counts the types of the union itself among those of its inputs.
        let fields = union
            .schema
            .iter()
            .enumerate()
            .map(|(i, (qualifier, field))| {
                let field = if to_change.contains(&i) {
                    Arc::new(field.as_ref().clone().with_data_type(DataType::Float64))
                } else {
                    Arc::clone(field)
                };
                (qualifier.cloned(), field)
            });
        let metadata = union.schema.metadata().clone();
        union.schema = Arc::new(DFSchema::new_with_metadata(fields.collect(), metadata)?);
    }
    Ok(union)
}

/// The plan with some of its decimal columns as double.
fn columns_as_double(plan: LogicalPlan, columns: &[usize]) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let projected = schema.iter().enumerate().map(|(i, (qualifier, field))| {
        let column = Expr::from((qualifier, field));
        if columns.contains(&i) && field.data_type().is_decimal() {
            as_double(column, field.data_type()).alias_qualified(qualifier.cloned(), field.name())
        } else {
            column
        }
    });
    LogicalPlanBuilder::from(plan)
        .project(projected.collect::<Vec<_>>())?
        .build()
}

fn comparable<const N: usize>(exprs: [Expr; N], schema: &DFSchema) -> Result<[Expr; N]> {
    let alike = comparable_all(alike_all(exprs.to_vec(), schema)?, schema)?;
    Ok(<[Expr; N]>::try_from(alike).unwrap_or(exprs))
}

/// Decimals whose common type would need more than 38 digits are compared with 76, so that no value has to be cut.
fn comparable_all(exprs: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = types_of(&exprs, schema)?;
    texts::comparable(&types)?;
    let Some(wide) = wide(&types) else {
        return Ok(exprs);
    };
    let pairs = exprs.into_iter().zip(&types);
    Ok(pairs
        .map(|(expr, t)| match t {
            DataType::Null => expr,
            _ => Expr::Cast(Cast::new(Box::new(expr), wide.clone())),
        })
        .collect())
}

fn wide(types: &[DataType]) -> Option<DataType> {
    let (mut before, mut after, mut decimal) = (0, 0, false);
    for t in types {
        let (precision, scale) = match t {
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => {
                decimal = true;
                (i16::from(*p), i16::from(*s))
            }
            // The least bigint has 19 digits.
            t if t.is_integer() => (19, 0),
            DataType::Null => continue,
            _ => return None,
        };
        before = before.max(precision - scale);
        after = after.max(scale);
    }
    let digits = u8::try_from(before + after).ok()?;
    let scale = i8::try_from(after).ok()?;
    (decimal && digits > MAX_DIGITS).then_some(DataType::Decimal256(digits, scale))
}

fn alike_all(exprs: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = types_of(&exprs, schema)?;
    if !mixed(types.iter()) {
        return Ok(exprs);
    }
    let pairs = exprs.into_iter().zip(&types);
    Ok(pairs.map(|(expr, t)| as_double(expr, t)).collect())
}

fn types_of(exprs: &[Expr], schema: &DFSchema) -> Result<Vec<DataType>> {
    exprs.iter().map(|e| e.get_type(schema)).collect()
}

fn mixed<'a>(types: impl Iterator<Item = &'a DataType>) -> bool {
    let (mut decimal, mut float) = (false, false);
    for t in types {
        decimal |= t.is_decimal();
        float |= t.is_floating();
    }
    decimal && float
}

/// A decimal as double: a literal through its text, so that `0.1` is the double that `0.1` means.
fn as_double(expr: Expr, t: &DataType) -> Expr {
    if !t.is_decimal() {
        return expr;
    }
    if let Expr::Literal(value @ ScalarValue::Decimal128(Some(_), ..), _) = &expr {
        let text = datafusion::arrow::util::display::array_value_to_string;
        let parsed = value
            .to_array()
            .ok()
            .and_then(|array| text(&array, 0).ok())
            .and_then(|text| text.parse::<f64>().ok());
        if let Some(parsed) = parsed {
            return Expr::Literal(ScalarValue::Float64(Some(parsed)), None);
        }
    }
    Expr::Cast(Cast::new(Box::new(expr), DataType::Float64))
}
