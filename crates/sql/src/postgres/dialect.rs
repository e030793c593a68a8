//! The grammar: PostgreSQL's, and what warehouses add to it and mean alike.

use std::any::TypeId;

use datafusion::common::{Diagnostic, Result, Span, plan_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span as SqlSpan, Token, Tokenizer};

use super::rows;

/// Parses one statement.
///
/// # Errors
/// The text does not parse, or has none or several statements.
pub(crate) fn parse(state: &SessionState, sql: &str) -> Result<Statement> {
    let limit = state.config().options().sql_parser.recursion_limit.get();
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&Grammar)
        .with_recursion_limit(limit)
        .build()?
        .parse_statements()
        .map_err(in_words)?;
    if statements.len() > 1 {
        let message = format!("there are {} statements here; write one", statements.len());
        let place = second_statement(sql).and_then(Span::try_from_sqlparser_span);
        return Err(plan_datafusion_err!("{message}")
            .with_diagnostic(Diagnostic::new_error(message, place)));
    }
    statements
        .pop_front()
        .ok_or_else(|| plan_datafusion_err!("there is no statement here"))
}

/// Where the second of several statements begins.
fn second_statement(sql: &str) -> Option<SqlSpan> {
    let tokens = Tokenizer::new(&Grammar, sql)
        .tokenize_with_location()
        .ok()?;
    let is_content = |token: &Token| !matches!(token, Token::Whitespace(_) | Token::SemiColon);
    let mut after = tokens
        .iter()
        .skip_while(|t| !is_content(&t.token))
        .skip_while(|t| t.token != Token::SemiColon);
    after.find(|t| is_content(&t.token)).map(|t| t.span)
}

/// What the parser does not know at all, said so; the place stays at the end of its words.
fn in_words(error: DataFusionError) -> DataFusionError {
    const UNKNOWN: [(&str, &str); 3] = [
        (
            "Expected: ), found: exclude",
            "EXCLUDE in the frame of a window is not supported; take the row itself out of the result, such as \
             sum(x) OVER (…) - x",
        ),
        (
            "Expected: IN or BETWEEN after NOT, found: similar",
            "substring(… SIMILAR … ESCAPE …) is not supported; write substring(x from 'a regular expression')",
        ),
        (
            "Expected: ), found: overlaps",
            "OVERLAPS is not supported; write start_1 < end_2 AND start_2 < end_1",
        ),
    ];
    let DataFusionError::SQL(parser, _) = &error else {
        return error;
    };
    let message = parser.to_string();
    let lower = message.to_lowercase();
    for (words, instead) in UNKNOWN {
        if lower.contains(&words.to_lowercase()) {
            let place = message.find(" at Line:").map_or("", |at| &message[at..]);
            let message = ParserError::ParserError(format!("{instead}{place}"));
            return DataFusionError::SQL(Box::new(message), None);
        }
    }
    error
}

/// PostgreSQL's grammar with `SELECT * EXCLUDE (…) REPLACE (…)` and `BETWEEN SYMMETRIC`.
#[derive(Debug)]
struct Grammar;

const POSTGRES: PostgreSqlDialect = PostgreSqlDialect {};

macro_rules! as_postgres {
    ($($name:ident),+ $(,)?) => { $(fn $name(&self) -> bool { POSTGRES.$name() })+ };
}

impl Dialect for Grammar {
    // The parser looks at the dialect by its type in places.
    fn dialect(&self) -> TypeId {
        POSTGRES.dialect()
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRES.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        POSTGRES.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        POSTGRES.is_reserved_for_identifier(kw)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        POSTGRES.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<std::result::Result<u8, ParserError>> {
        POSTGRES.get_next_precedence(parser)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        _: u8,
    ) -> Option<std::result::Result<Expr, ParserError>> {
        const BETWEEN: [Keyword; 2] = [Keyword::BETWEEN, Keyword::SYMMETRIC];
        let negated = parser.parse_keywords(&[Keyword::NOT, Keyword::BETWEEN, Keyword::SYMMETRIC]);
        if !negated && !parser.parse_keywords(&BETWEEN) {
            return None;
        }
        let side = self.prec_value(Precedence::Between);
        let mut sides = || {
            let one = parser.parse_subexpr(side)?;
            parser.expect_keyword_is(Keyword::AND)?;
            Ok((one, parser.parse_subexpr(side)?))
        };
        Some(sides().map(|(one, other)| rows::symmetric(expr.clone(), negated, one, other)))
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        POSTGRES.prec_value(prec)
    }

    // Not `supports_named_fn_args_with_expr_name`: each argument of a call would be parsed as a name first, and then again, so
    // that n calls within each other take 2^n steps.
    as_postgres!(
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_explain_with_utility_options,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_named_fn_args_with_colon_operator,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_geometric_types,
        supports_notnull_operator,
        supports_interval_options,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
    );
}

#[cfg(test)]
mod tests {
    use retail_engine::testing::rows;

    /// At two attempts a level it would not end.
    #[tokio::test]
    async fn forty_calls_within_each_other_are_parsed() {
        let calls = "lower(".repeat(40) + "'A'" + &")".repeat(40);
        assert_eq!(rows(&format!("select {calls} as x")).await, ["a"]);
    }
}
