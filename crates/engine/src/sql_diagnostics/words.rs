//! The engine's errors in the words of SQL: its types, its literals and the names of its functions are not a person's.

use retail_api::suggest::nearest;

/// Bytes of one length, such as UUIDs in tables, which have no text of their own.
const BYTES: &str = "FixedSizeBinary";
const OF_BYTES: &str = "encode(x, 'hex') makes a text of bytes, of a UUID without its hyphens";

/// A cause in plain words, and the way out where there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) cause: String,
    pub(super) way_out: Option<String>,
}

impl Words {
    fn of(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            way_out: None,
        }
    }

    fn with(cause: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            way_out: Some(way_out.into()),
        }
    }
}

/// The first line of an error of the engine's. `None`: it is to be shown as it is, with [`plain`] types.
pub(super) fn reworded(text: &str) -> Option<Words> {
    let text = text
        .split("This issue was likely caused by a bug")
        .next()
        .unwrap_or(text)
        .trim()
        .trim_start_matches("Internal error: ");
    let rules: [fn(&str) -> Option<Words>; 5] = [call, operator, column, clause, value];
    rules.iter().find_map(|rule| rule(text)).map(|words| Words {
        cause: plain(&words.cause),
        way_out: words.way_out.map(|w| plain(&w)),
    })
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let from = text.find(before)? + before.len();
    let rest = text.get(from..)?;
    Some(&rest[..rest.find(after)?])
}

/// A call that its function does not take.
fn call(text: &str) -> Option<Words> {
    if let Some(of_ours) = text.split("user-defined coercion failed with: ").nth(1) {
        let expected = of_ours.split(" No function matches").next()?;
        let expected = expected
            .trim_start_matches("Error during planning: ")
            .trim_start_matches("Execution error: ")
            .trim_end_matches('.');
        if expected.contains("Fail to find the coerced type") {
            let types = between(text, "argument types '", "'")?;
            return Some(Words::with(
                format!("{types}: the arguments have no common type"),
                "cast one of them, such as cast('2024-03-01' AS timestamp)",
            ));
        }
        return Some(counted(expected).unwrap_or_else(|| Words::of(expected)));
    }
    let is_call = text.contains("failed to match any signature")
        || text.contains("No function matches the given name")
        || text.contains("to satisfy a call to")
        || (text.starts_with("Function '") && text.contains(" requires "));
    if !is_call {
        return None;
    }
    let name = between(text, "unction '", "'")
        .or_else(|| between(text, "call to '", "'"))
        .or_else(|| between(text, "'", "'"))?;
    let mut wanted: Vec<usize> = vec![];
    let mut given = None;
    for part in text.split("expects ").skip(1) {
        let number = |s: &str| s.split_whitespace().next()?.trim_matches('.').parse().ok();
        wanted.extend(number(part).filter(|n| !wanted.contains(n)));
        let got = part.split("received ").nth(1).and_then(|s| {
            let digits: String = s.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<usize>().ok()
        });
        given = given.or(got);
    }
    wanted.sort_unstable();
    // Of the right number, but of another type.
    if let Some(requires) = text.split("requires ").nth(1)
        && let Some((want, rest)) = requires.split_once(", but received ")
    {
        let got = between(rest, "(DataType: ", ").")
            .or_else(|| between(rest, "(DataType: ", ")"))
            .unwrap_or(rest.split_whitespace().next().unwrap_or(rest));
        let got = if got.matches('(').count() > got.matches(')').count() {
            format!("{got})")
        } else {
            got.to_owned()
        };
        let (what, cast) = match want {
            "String" => ("a text", "varchar"),
            "Decimal" | "Integer" | "Float64" | "Float32" | "Numeric" => ("a number", "double"),
            "Binary" => ("a text", "varchar"),
            other => (other, other),
        };
        return Some(Words::with(
            format!("{name} takes {what}, and this is {got}"),
            match got.contains(BYTES) {
                true => OF_BYTES.to_string(),
                false => format!("cast it: {name}(cast(x AS {cast})…)"),
            },
        ));
    }
    if let (Some(given), false) = (given, wanted.is_empty()) {
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        return Some(Words::of(format!(
            "{name} takes {} {}, not {given}",
            wanted.join(" or "),
            if wanted == ["1"] {
                "argument"
            } else {
                "arguments"
            }
        )));
    }
    if text.contains("zero arguments") {
        return Some(Words::of(format!("{name} takes an argument, and has none")));
    }
    if let Some(got) = between(text, "but received ", ".") {
        return Some(Words::with(
            format!("{name} takes a number, and this is {got}"),
            format!("cast it: {name}(cast(x AS double))"),
        ));
    }
    let types = between(text, "argument types '", "'").unwrap_or(name);
    Some(Words::with(
        format!("{types} is no function here: it takes other arguments"),
        format!("cast them to what {name} takes"),
    ))
}

/// `sum function requires 1 argument, got 2`.
fn counted(expected: &str) -> Option<Words> {
    let (name, rest) = expected.split_once(" function requires ")?;
    let (wanted, given) = rest.split_once(", got ")?;
    Some(Words::of(format!("{name} takes {wanted}, not {given}")))
}

/// An operator whose sides it does not take.
fn operator(text: &str) -> Option<Words> {
    if let Some(rest) = text
        .strip_prefix("Cannot coerce arithmetic expression ")
        .and_then(|t| t.strip_suffix(" to valid types"))
    {
        let way_out = if rest.contains("Utf8") {
            "cast the text to a number, such as cast(x AS decimal(12,2)); || joins texts"
        } else if rest.contains("Timestamp") || rest.contains("Date32") {
            "add or subtract an interval, such as interval '1 day'; a date takes a whole number of days"
        } else {
            "cast one side to the type of the other"
        };
        return Some(Words::with(format!("there is no {rest}"), way_out));
    }
    if let Some(rest) = text.strip_prefix("Cannot get result type for temporal operation ") {
        let what = rest.split(": ").next()?;
        return Some(Words::with(
            format!("there is no {what}"),
            "add or subtract an interval, such as interval '1 day'",
        ));
    }
    let infer = text
        .strip_prefix("Cannot infer common argument type for ")
        .or_else(|| text.strip_prefix("Cannot infer common string type for "));
    if let Some((kind, sides)) = infer.and_then(|t| t.split_once(" operation ")) {
        return Some(match kind {
            "logical boolean" => Words::with(
                format!("AND and OR take conditions, and this is {sides}"),
                "compare the side that is none, such as x <> 0",
            ),
            "string concat" => Words::with(
                format!("|| joins texts, and this is {sides}"),
                "cast one side: cast(x AS varchar)",
            ),
            "regex" => Words::with(
                format!("a pattern is for texts, and this is {sides}"),
                "cast it: cast(x AS varchar)",
            ),
            _ => Words::with(
                format!("{sides} cannot be compared"),
                match sides.contains(BYTES) {
                    true => OF_BYTES,
                    false => "cast one side to the type of the other",
                },
            ),
        });
    }
    if let Some(types) = between(text, "common type to coerce ", " in LIKE expression") {
        return Some(Words::with(
            format!("LIKE is for texts, and this is {types}"),
            "cast it: cast(x AS varchar) LIKE …",
        ));
    }
    if text.starts_with("Unary operator '-' only supports") {
        return Some(Words::of(
            "- is for numbers and intervals; cast the text to a number",
        ));
    }
    if let Some(t) = text.strip_prefix("Unary operator 'NOT' requires a boolean expression, got ") {
        return Some(Words::with(
            format!("NOT takes a condition, and this is {t}"),
            "compare it, such as x <> 0",
        ));
    }
    if text.contains("unary operator BitwiseNot") {
        return Some(Words::of("~x is not supported; -x - 1 is the same"));
    }
    if let Some(rest) = text.strip_prefix("Cannot create filter with non-boolean predicate '") {
        let (what, t) = rest.split_once("' returning ")?;
        return Some(Words::with(
            format!("WHERE takes a condition, and {what} is {t}"),
            format!("compare it, such as {what} = …"),
        ));
    }
    None
}

/// A column, or its place.
fn column(text: &str) -> Option<Words> {
    if text.contains("must be in GROUP BY or an aggregate function") {
        let name = between(text, "column \"", "\"")?;
        return Some(Words::with(
            format!("{name} is neither in GROUP BY nor inside an aggregate"),
            format!("add it to GROUP BY, or take one value of each group, such as max({name})"),
        ));
    }
    if let Some(rest) = text.strip_prefix("HAVING clause references: ") {
        let what = rest.split(" must appear").next()?;
        return Some(Words::with(
            format!("HAVING: {what} is neither in GROUP BY nor inside an aggregate"),
            "filter rows with WHERE, and groups with HAVING",
        ));
    }
    if text.starts_with("Projections require unique expression names") {
        let first = between(text, "expression \"", "\" at position")?;
        let name = first.rsplit(" AS ").next().unwrap_or(first);
        let name = if first.contains(" AS ") && !first.ends_with(')') {
            name
        } else {
            first
        };
        return Some(Words::of(format!(
            "column {name} is there twice; give one of them another name with AS"
        )));
    }
    if let Some(rest) = text.strip_prefix("Order by column out of bounds, specified: ") {
        let (place, most) = rest.split_once(", max: ")?;
        return Some(Words::of(format!(
            "ORDER BY {place}: there are {most} columns"
        )));
    }
    if text.starts_with("Order by index starts at 1") {
        return Some(Words::of("ORDER BY 0: columns are counted from 1"));
    }
    if let Some(rest) = text.strip_prefix("Cannot find column with position ") {
        let place = rest.split_whitespace().next()?;
        let most = rest.rsplit(' ').next()?;
        return Some(Words::of(format!(
            "GROUP BY {place}: there are {most} columns"
        )));
    }
    if let Some(rest) =
        text.strip_prefix("Too many columns! The subquery should only return one column")
    {
        let columns = rest.trim_start_matches(':').split(',').count();
        return Some(Words::of(format!(
            "the subquery has {columns} columns, and stands for one value; select one of them"
        )));
    }
    None
}

/// A clause where it cannot stand, or that is not supported.
fn clause(text: &str) -> Option<Words> {
    const HAVING: &str = "WHERE cannot have an aggregate: it chooses rows before they are grouped";
    if text.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        return Some(Words::with(HAVING, "filter groups with HAVING"));
    }
    if text.starts_with("Aggregate function calls cannot be nested") {
        let inner = between(text, ": '", "' is nested")?;
        return Some(Words::with(
            format!("an aggregate cannot be inside another: {inner}"),
            "compute the inner one in a subquery",
        ));
    }
    if text.starts_with("Window function calls cannot be nested") {
        return Some(Words::with(
            "a window function cannot be inside another",
            "compute the inner one in a subquery",
        ));
    }
    if text.starts_with("UNION queries have different number of columns") {
        return Some(Words::of(
            "the queries of the UNION have different numbers of columns",
        ));
    }
    if text.starts_with("QUALIFY clause requires") {
        return Some(Words::with(
            "QUALIFY filters by a window function, and there is none",
            "filter rows with WHERE, and groups with HAVING",
        ));
    }
    if let Some(name) = between(text, "The window ", " is not defined") {
        return Some(Words::with(
            format!("there is no window {name}"),
            format!("define it: WINDOW {name} AS (…), after WHERE and GROUP BY"),
        ));
    }
    if let Some(name) = between(text, "table function '", "' not found") {
        return Some(Words::with(
            format!("there is no function {name} that gives rows"),
            "files are declared as sources of a project; generate_series and unnest give rows",
        ));
    }
    if text == "TOP" {
        return Some(Words::of("TOP is not supported; use LIMIT at the end"));
    }
    if text.starts_with("unnest() can only be applied") {
        return Some(Words::of("unnest takes an array"));
    }
    if let Some(name) = text.strip_prefix("Unsupported SQL type ") {
        const TYPES: [&str; 14] = [
            "smallint",
            "integer",
            "int",
            "bigint",
            "decimal",
            "numeric",
            "real",
            "double",
            "boolean",
            "varchar",
            "text",
            "date",
            "timestamp",
            "timestamptz",
        ];
        let near = nearest(name, TYPES).map(|near| format!("; did you mean {near}?"));
        return Some(Words::of(format!(
            "there is no type {name}{}",
            near.unwrap_or_default()
        )));
    }
    if text.starts_with("Unsupported ast node Pivot") {
        return Some(Words::of(
            "PIVOT is not supported; write an aggregate for each column, such as sum(x) FILTER (WHERE y = 'web')",
        ));
    }
    if text.starts_with("Substring without for/from") {
        return Some(Words::of("substring takes a text and where to begin"));
    }
    if text.contains("undecorrelated Subquery") {
        return Some(Words::with(
            "a LATERAL subquery cannot be planned",
            "write it as a join with GROUP BY",
        ));
    }
    if let Some(what) = text
        .split("physical plan does not support logical expression ")
        .nth(1)
        .or_else(|| {
            text.split("Physical plan does not support logical expression ")
                .nth(1)
        })
    {
        let kind: String = what.chars().take_while(|c| c.is_alphanumeric()).collect();
        let what = match kind.as_str() {
            "WindowFunction" => "a window function",
            "Wildcard" => "*",
            "AggregateFunction" => "an aggregate",
            "Exists" | "InSubquery" | "ScalarSubquery" | "SetComparison" => "a subquery",
            "OuterReferenceColumn" => "a column of the query around",
            _ => "this expression",
        };
        return Some(Words::with(
            format!("{what} cannot stand where it does"),
            "compute it in a subquery of FROM, and name its column here",
        ));
    }
    if text.contains("recursion limit reached") {
        return Some(Words::with(
            "the query nests too many expressions in one another",
            "compute a part of it in a model of its own",
        ));
    }
    if text.starts_with("plan: [") {
        return Some(Words::with(
            "the plan that was made for the query would not keep its order",
            "write ORDER BY in a query around, over a column",
        ));
    }
    None
}

/// A value that does not fit.
fn value(text: &str) -> Option<Words> {
    let text = text
        .trim_start_matches("Arrow error: ")
        .trim_start_matches("Cast error: ")
        .trim_start_matches("Invalid argument error: ");
    if let Some(rest) = text.strip_prefix("Can't cast value ") {
        let (value, t) = rest.split_once(" to type ")?;
        return Some(Words::with(
            format!("{value} does not fit into {t}"),
            "cast to a wider type, or try_cast for NULL instead",
        ));
    }
    if let Some(rest) = text.strip_prefix("Cannot cast string '") {
        let (value, rest) = rest.split_once("' to value of ")?;
        let t = rest.trim_end_matches(" type");
        return Some(Words::with(
            format!("cannot cast '{value}' to {t}"),
            "try_cast gives NULL instead",
        ));
    }
    if let Some((value, rest)) = text.split_once(" is too large to store in a Decimal") {
        let digits = between(rest, "of precision ", ".")?;
        return Some(Words::with(
            format!("{value} has more than the {digits} digits of the decimal that it is cast to"),
            "cast to a decimal of more digits",
        ));
    }
    if let Some(parts) = text.strip_prefix("Unable to parse date from ") {
        return Some(Words::of(format!(
            "there is no day {}",
            parts.replace(", ", "-")
        )));
    }
    if let Some((what, t)) = text.split_once(": the text is not one; try_cast")
        && what.starts_with("cannot cast '")
    {
        let to = what.rsplit(' ').next()?;
        return Some(Words::of(format!(
            "{what}: there is no such {to}; try_cast{t}"
        )));
    }
    None
}

/// A text with the engine's types and literals as SQL writes them.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(c) = rest.chars().next() {
        let starts = (c.is_ascii_alphabetic()) && !previous.is_alphanumeric() && previous != '_';
        let word: String = if starts {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        } else {
            String::new()
        };
        if !word.is_empty() {
            let after = &rest[word.len()..];
            let inner = parenthesized(after);
            let (written, used) = named(&word, inner);
            out.push_str(&written);
            let used = word.len()
                + if used {
                    inner.map_or(0, |i| i.len() + 2)
                } else {
                    0
                };
            previous = out.chars().last().unwrap_or(' ');
            rest = &rest[used..];
            continue;
        }
        out.push(c);
        previous = c;
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// What stands in the parentheses that a text begins with.
fn parenthesized(text: &str) -> Option<&str> {
    if !text.starts_with('(') {
        return None;
    }
    let (mut depth, mut quoted) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (c, quoted) {
            (c, Some(quote)) if c == quote => quoted = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quoted = Some(c),
            ('(', None) => depth += 1,
            (')', None) => {
                depth -= 1;
                if depth == 0 {
                    return text.get(1..at);
                }
            }
            _ => {}
        }
    }
    None
}

/// A word in SQL, and whether its parentheses are a part of it.
fn named(word: &str, inner: Option<&str>) -> (String, bool) {
    let of_type = |name: &str| match inner {
        // `Int64(5)` is a literal.
        Some(value) => (value.to_owned(), true),
        None => (name.to_owned(), false),
    };
    match word {
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => match inner {
            Some(inner) => {
                let parts: Vec<_> = inner.split(',').map(str::trim).collect();
                match parts.as_slice() {
                    [value, _, _] => (
                        value
                            .trim_start_matches("Some(")
                            .trim_end_matches(')')
                            .to_owned(),
                        true,
                    ),
                    [p, s] => (format!("decimal({p},{s})"), true),
                    _ => ("decimal".to_owned(), true),
                }
            }
            None => ("decimal".to_owned(), false),
        },
        "Int64" => of_type("bigint"),
        "Int32" => of_type("integer"),
        "Int16" => of_type("smallint"),
        "Int8" => of_type("tinyint"),
        "UInt64" | "UInt32" | "UInt16" | "UInt8" => of_type("unsigned integer"),
        "Float64" => of_type("double"),
        "Float32" | "Float16" => of_type("real"),
        "Boolean" => of_type("boolean"),
        "Date32" | "Date64" => of_type("date"),
        "Utf8" | "LargeUtf8" | "Utf8View" => match inner {
            Some(value) => (format!("'{}'", value.trim_matches('"')), true),
            None => ("varchar".to_owned(), false),
        },
        "Timestamp" => match inner {
            Some(inner) if inner.contains('"') => ("timestamptz".to_owned(), true),
            Some(_) => ("timestamp".to_owned(), true),
            None => ("timestamp".to_owned(), false),
        },
        "Time32" | "Time64" => ("time".to_owned(), inner.is_some()),
        "Interval" | "Duration" => ("interval".to_owned(), inner.is_some()),
        "List" | "LargeList" | "FixedSizeList" => match inner {
            Some(of) => (format!("{}[]", plain(of)), true),
            None => ("an array".to_owned(), false),
        },
        "checked_add" => operated(inner, "+"),
        "checked_subtract" => operated(inner, "-"),
        "checked_multiply" => operated(inner, "*"),
        "checked_divide" => operated(inner, "/"),
        "checked_modulo" => operated(inner, "%"),
        _ => (word.to_owned(), false),
    }
}

/// `checked_add(a, b)` as `a + b`.
fn operated(inner: Option<&str>, operator: &str) -> (String, bool) {
    let Some(inner) = inner else {
        return (operator.to_owned(), false);
    };
    let (mut depth, mut from) = (0_i32, 0);
    let mut sides = vec![];
    for (at, c) in inner.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                sides.push(plain(inner[from..at].trim()));
                from = at + 1;
            }
            _ => {}
        }
    }
    sides.push(plain(inner[from..].trim()));
    (sides.join(&format!(" {operator} ")), true)
}

/// What other databases call a function, and what to write here.
pub(super) fn instead(function: &str) -> Option<&'static str> {
    Some(match function.to_lowercase().as_str() {
        "div" => "integers divide to integers: a / b; trunc(a / b) of decimals",
        "safe_divide" => "write a / nullif(b, 0)",
        "pg_typeof" | "typeof" => "use arrow_typeof",
        "percentile_disc" => {
            "number the rows with row_number() OVER (ORDER BY x), and take the one at ceil(p * count(*))"
        }
        "mode" => "group by the value, and order by count(*) DESC LIMIT 1",
        "to_number" => "cast the text: cast(replace(x, ',', '') AS decimal(12,2))",
        "len" => "use length",
        "isnull" => "use coalesce, or x IS NULL",
        "getdate" | "sysdate" => "use now() or current_date",
        "make_interval" => "multiply an interval: n * interval '1 day'",
        "justify_days" | "justify_hours" | "justify_interval" => {
            "compare intervals as they are: a month counts as 30 days, a day as 24 hours"
        }
        "isfinite" => "a date here is always finite",
        "array_upper" => "use array_length(x, 1)",
        "sign" => "use signum",
        "group_concat" | "listagg" => "use string_agg(x, ',' ORDER BY x)",
        "charindex" | "instr" | "locate" => "use strpos(text, part)",
        "any_value" => "use min or max, or first_value(x ORDER BY y)",
        "collect_list" | "collect_set" => "use array_agg",
        "add_months" => "write x + n * interval '1 month'",
        "months_between" => "use datediff('month', a, b), or age(a, b)",
        "lag" | "lead" | "row_number" | "rank" | "dense_rank" | "ntile" | "first_value"
        | "last_value" | "nth_value" | "percent_rank" | "cume_dist" => {
            "it is a window function, and takes OVER (PARTITION BY … ORDER BY …)"
        }
        "read_csv" | "read_parquet" | "read_json" => "declare the files as a source of a project",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_literals_are_written_as_in_sql() {
        for (engine, sql) in [
            ("Utf8 + Int64", "varchar + bigint"),
            (
                "Decimal128(18, 2) and Utf8View",
                "decimal(18,2) and varchar",
            ),
            (
                "Timestamp(µs) = Timestamp(µs, \"+00:00\")",
                "timestamp = timestamptz",
            ),
            ("List(Decimal128(2, 2))", "decimal(2,2)[]"),
            (
                "t.x > Int64(5) AND t.w = Utf8(\"a\")",
                "t.x > 5 AND t.w = 'a'",
            ),
            ("sales.price / Decimal128(2.5,2,1)", "sales.price / 2.5"),
            (
                "checked_add(checked_multiply(t.a, Int64(2)), t.b)",
                "t.a * 2 + t.b",
            ),
            ("Interval(MonthDayNano)", "interval"),
            ("my_Int64 is a name", "my_Int64 is a name"),
        ] {
            assert_eq!(plain(engine), sql);
        }
    }

    #[test]
    fn a_call_is_described_by_what_the_function_takes() {
        for (engine, expected) in [
            (
                "Function 'upper' requires String, but received Int64 (DataType: Int64).. No function matches the given name and argument types 'upper(Int64)'. You might need to add explicit type casts.",
                "upper takes a text, and this is bigint",
            ),
            (
                "Function 'upper' requires String, but received FixedSizeBinary(16) (DataType: FixedSizeBinary(16)).",
                "upper takes a text, and this is FixedSizeBinary(16)",
            ),
            (
                "Internal error: Function 'round' failed to match any signature, errors: Error during planning: Function 'round' expects 2 arguments but received 3,Error during planning: Function 'round' expects 1 arguments but received 3",
                "round takes 1 or 2 arguments, not 3",
            ),
            (
                "Function 'sum' user-defined coercion failed with: Error during planning: sum(string) has no meaning: it takes numbers; cast the argument to one. No function matches the given name and argument types 'sum(Utf8)'.",
                "sum(string) has no meaning: it takes numbers; cast the argument to one",
            ),
            (
                "Failed to coerce arguments to satisfy a call to 'corr' function: coercion from Decimal128(12, 2) to the signature Exact(Float64, Float64) failed. No function matches the given name and argument types 'corr(Decimal128(12, 2))'.",
                "corr(decimal(12,2)) is no function here: it takes other arguments",
            ),
        ] {
            assert_eq!(reworded(engine).map(|w| w.cause).as_deref(), Some(expected));
        }
    }
}
