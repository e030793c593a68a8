//! The cause in an engine's error text.
//!
//! Between processes errors travel as texts, each layer's wrapper before the last: what a person needs is inside.

/// Starts the error of a Parquet file that cannot be read, where nothing names the file.
pub const UNREADABLE_PARQUET: &str = "a Parquet file cannot be read";

/// Starts the error of an engine that failed at what it should not have failed at.
pub const ENGINE_FAILED: &str = "the engine failed, which is a fault of its own";

/// Starts the error of a result that cannot be fetched.
pub const RESULT_LOST: &str = "the query's result is lost";

/// Drops the wrappers that each layer puts before a cause ("Job failed due to stage 1 failed: …").
pub fn innermost(raw: &str) -> String {
    const WRAPPERS: [&str; 25] = [
        "DataFusion error: ",
        "Execution error: ",
        "Arrow error: ",
        "External error: ",
        "Error during planning: ",
        "General error: ",
        "Internal error: ",
        "ArrowError: ",
        "DataFusionError(",
        "Context: ",
        "IO error: ",
        "Ballista error: ",
        // As Rust shows them to programmers.
        "Shared(",
        "External(",
        "Execution(",
        "Internal(",
        "ArrowError(",
        "ParquetError(",
        "ObjectStore(",
        "InvalidArgumentError(",
        "General(",
        "EOF(",
        "Parquet error: ",
        "Parquet argument error: ",
        "External: ",
    ];
    let mut rest = raw.trim();
    loop {
        let before = rest;
        for wrapper in WRAPPERS {
            rest = rest.strip_prefix(wrapper).unwrap_or(rest).trim_start();
        }
        if let Some(at) = rest.find("Task failed due to runtime execution error: ") {
            rest = &rest[at + "Task failed due to runtime execution error: ".len()..];
        }
        if rest.starts_with("Job failed due to stage ")
            && let Some(at) = rest.find(": ")
        {
            rest = &rest[at + 2..];
        }
        if rest == before {
            break;
        }
    }
    let rest = rest.split("\n\nbacktrace:").next().unwrap_or(rest);
    let rest = rest.trim_end_matches(['\n', ' ']);
    let text = literal(rest).unwrap_or_else(|| rest.to_owned());
    let text = match text.strip_prefix("External: ") {
        Some(text) => text.to_owned(),
        None => text,
    };
    let text = of_the_engine(&text)
        .or_else(|| of_memory(&text))
        .unwrap_or(text);
    let of_parquet = [
        "Parquet error: ",
        "Parquet argument error: ",
        "ParquetError(",
    ];
    let of_parquet = of_parquet.iter().any(|lead| raw.contains(lead));
    match of_file(&text) {
        Some(text) => text,
        None if of_parquet => format!("{UNREADABLE_PARQUET}: {text}"),
        None => text,
    }
}

/// The engine's message of a fault of its own, without DataFusion's request to report it; none for any other text.
fn of_the_engine(text: &str) -> Option<String> {
    const REQUEST: &str = "This issue was likely caused by a bug in DataFusion";
    let message = match (panicked(text), text.split_once(REQUEST)) {
        (Some(message), _) | (None, Some((message, _))) => message,
        (None, None) => return None,
    };
    let message = message.trim_end_matches(['\n', ' ', '.']);
    Some(format!(
        "{ENGINE_FAILED} and not of the SQL or the rows; write it in another way, and report it: {message}"
    ))
}

/// The text of a panic: of a task of the engine's own, or of an executor's.
fn panicked(text: &str) -> Option<&str> {
    let quoted = match text.split_once(" panicked with message ") {
        Some((_, quoted)) => quoted,
        None => text.strip_prefix("Internal Ballista error: ")?,
    };
    quoted.trim().strip_prefix('"')?.strip_suffix('"')
}

/// That an operator got no memory, in words; none for any other text.
fn of_memory(text: &str) -> Option<String> {
    let (_, refused) = text.split_once("Failed to allocate additional ")?;
    let (needed, rest) = refused.split_once(" for ")?;
    let (consumer, left) = rest.split_once(" - ")?;
    let (left, rest) = left.split_once(" remain")?;
    let size = rest.split_once("pool_size: ")?.1.split_once(')')?.0;
    let operator = match consumer {
        name if name.starts_with("ExternalSorter") => "a sort",
        name if name.contains("Join") => "a join",
        name if name.contains("Aggregate") || name.contains("Grouped") => "a grouping",
        _ => "an operator",
    };
    Some(format!(
        "not enough memory for {operator}: it needs {needed} more, and {left} of the executor's {size} are left"
    ))
}

/// A Parquet file that is gone or was cut off, in words; none for any other text.
fn of_file(text: &str) -> Option<String> {
    let rest = text.strip_prefix("Failed to fetch metadata for file ")?;
    let (file, why) = rest.split_once(": ")?;
    let has = |needles: &[&str]| needles.iter().any(|n| why.contains(n));
    if has(&["not found", "NotFound"]) {
        return Some(format!(
            "data file {file} is not there: it was deleted after its table named it; restore it, or write the table \
             again"
        ));
    }
    has(&[
        "range was invalid",
        "ut of range of file",
        "orrupt footer",
        "footer",
        "EOF",
    ])
    .then(|| {
        format!(
            "data file {file} was cut off or written over after its table named it; restore it, or write the table \
             again"
        )
    })
}

/// The text of a string literal with nothing after it but closing parentheses and `None`s.
fn literal(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.chars();
    let mut found = String::new();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => found.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            other => found.push(other),
        }
    }
    let rest = chars.as_str().replace(", None", "");
    rest.chars().all(|c| c == ')').then_some(found)
}
