//! Parts of statements: what several rewrites build and read.

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, SelectItem, SetExpr, TableFactor, Value,
};

/// A call of a function by its name.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
        .collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// The arguments of a call that has nothing else.
pub(super) fn plain_args(function: &Function) -> Option<Vec<Expr>> {
    let bare = function.filter.is_none()
        && function.over.is_none()
        && function.within_group.is_empty()
        && function.null_treatment.is_none();
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    if !bare || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    list.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

/// A text as a literal.
pub(super) fn text(of: String) -> Expr {
    Expr::value(Value::SingleQuotedString(of))
}

/// The text of a literal.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            Value::DollarQuotedString(text) => Some(&text.value),
            _ => None,
        },
        _ => None,
    }
}

/// The columns of a relation that names them itself.
pub(super) fn written_columns(factor: &TableFactor) -> Option<Vec<String>> {
    match factor {
        TableFactor::UNNEST { alias: None, .. } => Some(vec!["unnest".to_owned()]),
        TableFactor::UNNEST {
            alias: Some(alias), ..
        } if alias.columns.is_empty() => Some(vec![normal(&alias.name)]),
        TableFactor::UNNEST {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        } if !alias.columns.is_empty() => {
            Some(alias.columns.iter().map(|c| normal(&c.name)).collect())
        }
        TableFactor::Derived { subquery, .. } => match subquery.body.as_ref() {
            SetExpr::Select(select) => select
                .projection
                .iter()
                .map(|item| match item {
                    SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
                    SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(normal(name)),
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                        names.last().map(normal)
                    }
                    _ => None,
                })
                .collect(),
            _ => None,
        },
        _ => None,
    }
}

/// A name as the engine looks it up: small letters, unless it is quoted.
pub(super) fn normal(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// `left = right AND …`
pub(super) fn all_equal(pairs: Vec<(Expr, Expr)>) -> Option<Expr> {
    pairs
        .into_iter()
        .map(|(left, right)| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::Eq,
            right: Box::new(right),
        })
        .reduce(|all, next| Expr::BinaryOp {
            left: Box::new(all),
            op: BinaryOperator::And,
            right: Box::new(next),
        })
}

/// The error that a visitor stopped with.
pub(super) fn ended(flow: ControlFlow<DataFusionError>) -> Result<()> {
    match flow {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}
