//! What does not parse: what was expected, what stands there, and the word that was probably meant.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{SqlPlace, sentence, token_at, tokens};

/// Words that begin a clause.
const CLAUSES: [&str; 14] = [
    "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "JOIN", "UNION", "QUALIFY",
    "WITH", "LEFT", "OFFSET", "INNER",
];

/// The cause and the place of a parser's error.
pub(super) fn diagnose(sql: &str, text: &str) -> (String, Option<SqlPlace>) {
    let text = text.trim_start_matches("sql parser error: ");
    let text = text
        .strip_prefix("ParserError(\"")
        .and_then(|t| t.strip_suffix("\")"))
        .unwrap_or(text);
    let (cause, place) = match text.rsplit_once(" at Line: ") {
        Some((cause, place)) => (cause, place.split_once(", Column: ")),
        None => (text, None),
    };
    let mut found = None;
    if let Some((line, column)) = place
        && let (Ok(line), Ok(column)) = (line.trim().parse(), column.trim().parse())
    {
        found = Some(SqlPlace {
            line,
            column,
            token: token_at(sql, line, column),
        });
    }
    let expected = cause
        .strip_prefix("Expected: ")
        .or_else(|| cause.strip_prefix("Expected "));
    let expected = expected.and_then(|c| c.split_once(", found: "));
    let mut reported = match expected {
        Some((expected, "EOF")) => format!("the SQL ends here; expected {expected}"),
        Some((expected, found)) => format!("expected {expected}, found {found}"),
        None => sentence(cause),
    };
    if cause.ends_with("found: EOF") {
        found = Some(end(sql));
    }
    if let Some((cause, place)) = meant(sql, found.as_ref(), &reported) {
        reported = cause;
        found = place.or(found);
    }
    (reported, found)
}

fn end(sql: &str) -> SqlPlace {
    let sql = sql.trim_end();
    let last = sql.lines().last().map_or(0, |l| l.chars().count()) as u32;
    SqlPlace {
        line: sql.lines().count() as u32,
        column: last.max(1),
        token: String::new(),
    }
}

/// A better cause, where the tokens around show what was meant.
fn meant(sql: &str, at: Option<&SqlPlace>, reported: &str) -> Option<(String, Option<SqlPlace>)> {
    let tokens = tokens(sql);
    let count = |keyword: Keyword| {
        let is = |t: &&TokenWithSpan| matches!(&t.token, Token::Word(w) if w.keyword == keyword);
        tokens.iter().filter(is).count()
    };
    let (cases, whens) = (count(Keyword::CASE), count(Keyword::WHEN));
    if cases > count(Keyword::END) {
        return Some((
            "a CASE has no END".to_owned(),
            place_of(&tokens, Keyword::CASE),
        ));
    }
    if cases > 0 && count(Keyword::THEN) > whens {
        let cause = "a CASE has THEN without WHEN: CASE WHEN x > 1 THEN … END".to_owned();
        return Some((cause, place_of(&tokens, Keyword::CASE)));
    }
    let at = at?;
    let here = tokens.iter().position(|t| {
        t.span.start.line == u64::from(at.line) && t.span.start.column == u64::from(at.column)
    })?;
    let word = |i: usize| match tokens.get(i).map(|t| &t.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => Some(word.clone()),
        _ => None,
    };
    // `8,55`
    let number = |i: usize| matches!(tokens.get(i).map(|t| &t.token), Some(Token::Number(..)));
    if tokens[here].token == Token::Comma && here > 0 && number(here - 1) && number(here + 1) {
        return Some((
            format!("{reported}; a decimal has a point, as in 8.55"),
            None,
        ));
    }
    if reported.starts_with("expected an expression, found from")
        || reported.contains("found: from")
    {
        let comma = tokens.windows(2).find(|w| {
            w[0].token == Token::Comma
                && matches!(&w[1].token, Token::Word(w) if w.keyword == Keyword::FROM)
        })?;
        let cause = "a comma too many: no column stands before FROM".to_owned();
        return Some((cause, Some(place_at(&comma[0]))));
    }
    if !reported.starts_with("expected end of statement")
        && !reported.starts_with("expected an SQL statement")
    {
        return None;
    }
    for i in [Some(here), here.checked_sub(1)].into_iter().flatten() {
        let Some(word) = word(i) else { continue };
        if CLAUSES.contains(&word.value.to_uppercase().as_str()) {
            if i == here && matches!(word.keyword, Keyword::ORDER | Keyword::GROUP) {
                let name = word.value.to_uppercase();
                return Some((format!("{name} is followed by BY"), None));
            }
            continue;
        }
        let upper = word.value.to_uppercase();
        let joined = ["ORDERBY", "GROUPBY", "PARTITIONBY"].contains(&upper.as_str());
        let near = if joined {
            Some(upper.replace("BY", " BY"))
        } else if word.keyword == Keyword::NoKeyword {
            slip(&upper).map(str::to_owned)
        } else {
            None
        };
        if let Some(near) = near {
            let span = tokens[i].span.start;
            let place = SqlPlace {
                line: span.line as u32,
                column: span.column as u32,
                token: word.value.clone(),
            };
            let cause = format!(
                "{} is no word of SQL here; did you mean {near}?",
                word.value
            );
            return Some((cause, Some(place)));
        }
    }
    None
}

/// The word that was written with one letter wrong, missing or too many.
fn slip(word: &str) -> Option<&'static str> {
    CLAUSES
        .into_iter()
        .find(|clause| strsim::osa_distance(word, clause) == 1)
}

fn place_of(tokens: &[TokenWithSpan], keyword: Keyword) -> Option<SqlPlace> {
    let is = |t: &&TokenWithSpan| matches!(&t.token, Token::Word(w) if w.keyword == keyword);
    tokens.iter().find(is).map(place_at)
}

fn place_at(token: &TokenWithSpan) -> SqlPlace {
    SqlPlace {
        line: token.span.start.line as u32,
        column: token.span.start.column as u32,
        token: token.token.to_string(),
    }
}
