//! Holds `docs/files.md` to the reader: every line of every table of the page is tried.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;

use super::tests::Shop;

const PAGE: &str = include_str!("../../../../docs/files.md");

/// The rows of the table below a heading, or behind a text below it.
fn table(heading: &str, columns: &str) -> Vec<Vec<String>> {
    let below = PAGE
        .split_once(&format!("\n## {heading}"))
        .unwrap_or_else(|| panic!("no heading {heading}"))
        .1;
    let below = below.split("\n## ").next().unwrap();
    let rows = below
        .split_once(columns)
        .unwrap_or_else(|| panic!("{heading} has no table {columns}"))
        .1;
    let rows: Vec<Vec<String>> = rows
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|c| c.trim().to_string()).collect()
        })
        .collect();
    assert!(rows.len() > 3, "{heading} has {} rows", rows.len());
    rows
}

/// The texts in backticks; `(empty)` and `null` stand for none.
fn texts(cell: &str) -> Vec<Option<String>> {
    let mut out = vec![];
    let mut rest = cell;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix('`') {
            let (text, after) = after.split_once('`').unwrap();
            out.push(Some(text.replace('␠', " ")));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("(empty)").or(rest.strip_prefix("null")) {
            out.push(None);
            rest = after;
        } else {
            assert_eq!(c, ' ', "{cell}");
            rest = &rest[1..];
        }
    }
    out
}

fn text(cell: &str) -> Option<String> {
    let mut all = texts(cell);
    assert_eq!(all.len(), 1, "{cell}");
    all.remove(0)
}

/// What the page has must be part of what is reported, `…` being anything.
fn matches(reported: &str, refusal: &str) -> bool {
    let expected = refusal.trim_start_matches("refused: ");
    reported.contains(expected.trim_start_matches("… "))
}

/// One row per line, in the order of the files: `<value>` or `null`.
const VALUES: &str = "select coalesce('<' || cast(v as varchar) || '>', 'null') from orders";

async fn outcome(shop: &Shop, query: &str) -> Result<Vec<Option<String>>, String> {
    let rows = shop.outcome(query).await?;
    let value = |row: String| {
        let bare = row.strip_prefix('<').and_then(|r| r.strip_suffix('>'));
        bare.map(str::to_string)
    };
    Ok(rows.into_iter().map(value).collect())
}

async fn expect(what: &str, shop: &Shop, expected: &str, wrong: &mut Vec<String>) {
    match (
        outcome(shop, VALUES).await,
        expected.starts_with("refused: "),
    ) {
        (Ok(rows), false) if rows == texts(expected) => {}
        (Err(reported), true) if matches(&reported, expected) => {}
        (found, _) => wrong.push(format!("{what}: the page has {expected}, it is {found:?}")),
    }
}

fn declared(data_type: &str) -> String {
    format!(
        "        columns: [{{name: k, data_type: integer}}, {{name: v, data_type: '{data_type}'}}]\n"
    )
}

/// A field as CSV writes it.
fn field(text: &str) -> String {
    match text.contains(',') {
        true => format!("\"{text}\""),
        false => text.to_string(),
    }
}

fn none_of(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn csv_cells_of_declared_columns_become_what_the_page_states() {
    let mut wrong = vec![];
    for row in table("CSV: cells", "| declared | field | becomes |") {
        let data_type = text(&row[0]).unwrap();
        let cell = text(&row[1]).unwrap_or_default();
        let shop = Shop::new("o.csv", &declared(&data_type))
            .file("o.csv", &format!("k,v\n1,{}\n", field(&cell)));
        expect(&row.join(" "), &shop, &row[2], &mut wrong).await;
        if cell.is_empty() {
            let shop = Shop::new("o.csv", &declared(&data_type)).file("o.csv", "k,v\n1,\"\"\n");
            expect(&row.join(" quoted "), &shop, &row[2], &mut wrong).await;
        }
    }
    none_of(wrong);
}

#[tokio::test]
async fn csv_columns_are_guessed_as_the_page_states() {
    let mut wrong = vec![];
    for row in table("CSV: columns", "| fields | column is | reads as |") {
        let cells = texts(&row[0]).into_iter().map(Option::unwrap_or_default);
        let lines: String = cells.map(|c| format!("k,{}\n", field(&c))).collect();
        let shop = Shop::new("o.csv", "").file("o.csv", &format!("k,v\n{lines}"));
        let types = shop.types().await;
        if types != format!("k VARCHAR, v {}", text(&row[1]).unwrap()) {
            wrong.push(format!("{}: {types}", row.join(" ")));
        }
        expect(&row.join(" "), &shop, &row[2], &mut wrong).await;
    }
    none_of(wrong);
}

#[tokio::test]
async fn cells_behind_the_first_rows_are_never_bent() {
    let mut wrong = vec![];
    for row in table("CSV: columns", "| first | later | becomes |") {
        let (first, later) = (text(&row[0]).unwrap(), text(&row[1]).unwrap());
        let lines = format!("k,{first}\n").repeat(1000);
        let shop = Shop::new("o.csv", "").file("o.csv", &format!("k,v\n{lines}later,{later}\n"));
        let query = format!("{VALUES} where k = 'later'");
        let found = outcome(&shop, &query).await;
        let fine = match &found {
            Ok(rows) => *rows == texts(&row[2]),
            Err(reported) => matches(reported, &row[2]) && reported.contains("row 1,001"),
        };
        if !fine {
            wrong.push(format!("{}: {found:?}", row.join(" ")));
        }
    }
    none_of(wrong);
}

#[tokio::test]
async fn json_values_of_declared_columns_become_what_the_page_states() {
    let mut wrong = vec![];
    for row in table("JSON: values", "| declared | value | becomes |") {
        let value = text(&row[1]).unwrap_or("null".into());
        let shop = Shop::new("o.json", &declared(&text(&row[0]).unwrap()))
            .file("o.json", &format!("{{\"k\":1,\"v\":{value}}}\n"));
        // A text that is empty, between two backticks.
        let expected = if row[2] == "``" { "`` " } else { &row[2] };
        expect(&row.join(" "), &shop, expected, &mut wrong).await;
    }
    none_of(wrong);
}

#[tokio::test]
async fn json_columns_are_guessed_as_the_page_states() {
    let mut wrong = vec![];
    for row in table("JSON: columns", "| values | column is | reads as |") {
        let values = texts(&row[0])
            .into_iter()
            .map(|v| v.unwrap_or("null".into()));
        let lines: String = values.map(|v| format!("{{\"v\": {v}}}\n")).collect();
        let shop = Shop::new("o.json", "").file("o.json", &lines);
        if row[1].starts_with("refused: ") {
            expect(&row.join(" "), &shop, &row[1], &mut wrong).await;
            continue;
        }
        let types = shop.types().await;
        if types != format!("v {}", text(&row[1]).unwrap()) {
            wrong.push(format!("{}: {types}", row.join(" ")));
        }
        expect(&row.join(" "), &shop, &row[2], &mut wrong).await;
    }
    none_of(wrong);
}

#[tokio::test]
async fn parquet_columns_become_what_the_page_states() {
    let mut wrong = vec![];
    for row in table("Parquet:", "| in the file | declared | becomes |") {
        let value = text(&row[0]).unwrap();
        let shop = Shop::new("o.parquet", &declared(&text(&row[1]).unwrap()))
            .parquet("o.parquet", &format!("select 1 as k, {value} as v"))
            .await;
        expect(&row.join(" "), &shop, &row[2], &mut wrong).await;
    }
    none_of(wrong);
}

/// A line of the last table: what is in the files, and a query over them.
async fn case(what: &str) -> Option<(Shop, &'static str)> {
    const PRICED: &str = "        columns: [{name: id}, {name: price, data_type: bigint}]\n";
    const OPTIONAL: &str = "        columns: [{name: id}, {name: price, data_type: 'bigint?'}]\n";
    const TYPED: &str =
        "        columns: [{name: id, data_type: varchar}, {name: price, data_type: bigint}]\n";
    const STRICT: &str =
        "        meta: {strict_columns: true}\n        columns: [{name: a, data_type: bigint}]\n";
    const PAIRS: &str =
        "select id || ' ' || coalesce(cast(price as varchar), 'null') from orders order by id";
    const ALL: &str = "select * from orders order by 1";
    const COUNT: &str = "select count(*) from orders";
    let csv = |text: &str| Shop::new("o.csv", "").file("o.csv", text);
    let json = |text: &str| Shop::new("o.json", "").file("o.json", text);
    let days = |rest: &str, one: &str, two: &str| {
        Shop::new("day=*/o.csv", rest)
            .file("day=1/o.csv", one)
            .file("day=2/o.csv", two)
    };
    let folder = |name: &str| {
        Shop::new("region=*/o.csv", "").file(&format!("region={name}/o.csv"), "id\na\n")
    };
    Some(match what {
        "a header in other case on another day" => (
            days("", "sku,amount\na,10\nb,20\n", "Sku,Amount\na,40\nc,80\n"),
            "select count(*), sum(amount) from orders",
        ),
        "columns in another order on another day" => (
            days("", "id,price\na,10\n", "price,id\n20,b\n"),
            "select count(*), sum(price) from orders",
        ),
        "a new column on a later day" => (days("", "id\na\n", "id,price\nb,7\n"), PAIRS),
        "a declared column is missing" => (days(PRICED, "id,price\na,1\n", "id\nb\n"), PAIRS),
        "an optional column is missing on a day" => {
            (days(OPTIONAL, "id\na\n", "id,price\nb,7\n"), PAIRS)
        }
        "a column is a number on one day and text on the next" => (
            days("", "id,v\na,1\n", "id,v\nb,x\n"),
            "select v from orders order by id",
        ),
        "a name stands twice in a header" => (csv("id,id\n1,2\n"), ALL),
        "names of one file differ only in case" => (csv("id,ID\n1,2\n"), ALL),
        "names of one Parquet file differ only in case" => (
            Shop::new("o.parquet", "")
                .parquet("o.parquet", "select 1 as id, 2 as \"ID\"")
                .await,
            ALL,
        ),
        "spaces around the names of a header" => (csv("id , price\na, 5\n"), PAIRS),
        "a header ends with a comma" => (
            csv("id,price,\na,5,\n"),
            "select id || ' ' || price || ' ' || coalesce(column_3, 'null') from orders",
        ),
        "a byte order mark" => (csv("\u{feff}id,price\na,1\n"), PAIRS),
        "a file in UTF-16" => {
            let text: Vec<u8> = "\u{feff}id\n1\n"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            (Shop::new("o.csv", "").bytes("o.csv", &text), ALL)
        }
        "a file in UTF-16 without a mark" => {
            let text: Vec<u8> = "id\n1\n"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            (Shop::new("o.csv", "").bytes("o.csv", &text), ALL)
        }
        "a file in Latin-1" | "Latin-1 in a column that is not read" => (
            Shop::new("o.csv", "").bytes("o.csv", b"id,name\n1,M\xfcller\n"),
            if what == "a file in Latin-1" {
                ALL
            } else {
                COUNT
            },
        ),
        "a NUL byte in a field" => (csv("id\na\0b\n"), ALL),
        "a row has more fields than the header" => (csv("id,price\na,1\nb,1,000\n"), ALL),
        "a row has fewer fields than the header" => (csv("id,price\na\n"), ALL),
        "a quoted field with line ends, delimiters and quotes" => (
            csv("id,name\n1,\"a,\n\"\"b\"\"\r\nc\"\n"),
            "select count(*) from orders where name = concat('a,', chr(10), '\"b\"', chr(13), chr(10), 'c')",
        ),
        "a quoted line end where newlines_in_values is false" => (
            Shop::new("o.csv", "        meta: {newlines_in_values: false}\n")
                .file("o.csv", "id,name\n1,\"a\nb\"\n"),
            COUNT,
        ),
        "semicolons without delimiter: ';'" => (
            Shop::new("o.csv", PRICED).file("o.csv", "id;price\na;1\n"),
            ALL,
        ),
        "a quote that is never closed" => (csv("id,name\n1,\"a\n2,b\n3,c\n"), COUNT),
        "text behind a quoted value" => (csv("id,name\n1,\"a\"b\n"), COUNT),
        "quotes within a value that is not quoted" => {
            (csv("id,name\n1,5\" wide\n"), "select name from orders")
        }
        "the same, and no column is declared" => (csv("id;price\n1;2,5\n"), ALL),
        "Excel's first line sep=;" => (csv("sep=;\r\nid;price\r\n1;2\r\n"), ALL),
        "a workbook, a ZIP archive" => (csv("PK\u{3}\u{4}rows"), ALL),
        "a packed file without the ending for it" => {
            (Shop::new("o.csv", "").bytes("o.csv", &gzip("id\n1\n")), ALL)
        }
        "a page of HTML" => (csv("<!DOCTYPE html>\n<title>404</title>\n"), ALL),
        "a name stands twice in a Parquet file" => {
            use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
            let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
            let field = Field::new("id", ids.data_type().clone(), true);
            let schema = Arc::new(Schema::new(vec![field.clone(), field]));
            let rows = RecordBatch::try_new(schema, vec![Arc::clone(&ids), ids]).unwrap();
            let mut file = vec![];
            let writer = ArrowWriter::try_new(&mut file, rows.schema(), None);
            let mut writer = writer.unwrap();
            writer.write(&rows).unwrap();
            writer.close().unwrap();
            (Shop::new("o.parquet", "").bytes("o.parquet", &file), ALL)
        }
        "JSON objects without keys, in all files" => (json("{}\n{}\n"), COUNT),
        "a folder day=1 where the pattern has *" => {
            (Shop::new("*/o.csv", "").file("day=1/o.csv", "id\n1\n"), ALL)
        }
        "a folder day=1 where the files have a column Day" => (days("", "Day\n2\n", "Day\n"), ALL),
        "a pattern `*=*`" => (
            Shop::new("*=*/o.csv", "").file("day=1/o.csv", "id\n1\n"),
            ALL,
        ),
        "lines that end with CR LF" => (csv("id,price\r\na,5\r\n"), PAIRS),
        "blank lines" => (csv("id\na\n\n\nb\n\n"), COUNT),
        "a field of a million characters" => (
            csv(&format!("id,name\n1,{}\n", "x".repeat(1_000_000))),
            "select length(name) from orders",
        ),
        "a CSV file of 0 bytes, of a header, of blank lines" => (
            days("", "id,price\na,1\n", "")
                .file("day=3/o.csv", "id,price\n")
                .file("day=4/o.csv", "id,price")
                .file("day=5/o.csv", "\n\n"),
            COUNT,
        ),
        "a JSON file of 0 bytes and of blank lines" => (
            Shop::new("day=*/o.json", "")
                .file("day=1/o.json", "{\"id\": 1}\n")
                .file("day=2/o.json", "")
                .file("day=3/o.json", "\n \n"),
            COUNT,
        ),
        "only empty files, columns are declared" => (days(TYPED, "", "\n"), COUNT),
        "only empty files, columns are not declared" => (days("", "", "\n"), COUNT),
        "a gzip file of several members" => {
            let members = [gzip("id\n1\n"), gzip("2\n")].concat();
            (Shop::new("o.csv.gz", "").bytes("o.csv.gz", &members), COUNT)
        }
        "a gzip file of nothing" => (
            Shop::new("*.csv.gz", "")
                .gzip("a.csv.gz", "id\n1\n")
                .gzip("b.csv.gz", ""),
            COUNT,
        ),
        "a gzip file of 0 bytes" => (
            Shop::new("*.csv.gz", "")
                .gzip("a.csv.gz", "id\n1\n")
                .bytes("b.csv.gz", b""),
            COUNT,
        ),
        "a gzip file that is cut off" => {
            let text: String = (0..9999)
                .map(|n| format!("{}\n", n * 7919 % 10007))
                .collect();
            let whole = gzip(&format!("id\n{text}"));
            let cut = &whole[..whole.len() / 2];
            (Shop::new("o.csv.gz", "").bytes("o.csv.gz", cut), COUNT)
        }
        "a Parquet file without rows" => (
            Shop::new("*.parquet", "")
                .parquet("a.parquet", "select 1 as id")
                .await
                .parquet("b.parquet", "select 1 as id where false")
                .await,
            COUNT,
        ),
        "a Parquet file of 0 bytes" => (
            Shop::new("*.parquet", "")
                .parquet("a.parquet", "select 1 as id")
                .await
                .bytes("b.parquet", b""),
            COUNT,
        ),
        "fields of objects of Parquet files differ in case from day to day" => (
            Shop::new("*.parquet", "")
                .parquet("a.parquet", "select named_struct('price', 1, 'n', 1) as v")
                .await
                .parquet("b.parquet", "select named_struct('Price', 2, 'n', 2) as v")
                .await,
            "select sum(v['price']) from orders",
        ),
        "a Parquet file with a damaged page" | "a Parquet file with a damaged footer" => {
            let shop = Shop::new("a.parquet", "").parquet("a.parquet", "select 1 as id");
            let shop = shop.await;
            let mut file = shop.read("a.parquet");
            let end = file.len() - 8;
            let footer = u32::from_le_bytes(file[end..end + 4].try_into().unwrap());
            let at = match what.ends_with("page") {
                true => 4,
                false => end - footer as usize,
            };
            file[at..at + 24].fill(0);
            (shop.bytes("a.parquet", &file), ALL)
        }
        "a JSON key in other case" => (
            json("{\"a\": 1}\n{\"A\": 2}\n"),
            "select sum(a) from orders",
        ),
        "a JSON key twice in an object" => (json("{\"a\": 1, \"a\": 2}\n"), ALL),
        "a JSON key in two cases in an object" => (json("{\"a\": 1, \"A\": 2}\n"), ALL),
        "a JSON key that first comes behind the first 1,000 rows"
        | "the same key, with strict_columns" => {
            let text = format!("{}{{\"a\": 2, \"late\": 3}}\n", "{\"a\": 1}\n".repeat(1000));
            let rest = if what.starts_with("the same") {
                STRICT
            } else {
                ""
            };
            (Shop::new("o.json", rest).file("o.json", &text), COUNT)
        }
        "one JSON array" => (json("[{\"a\": 1}]\n"), ALL),
        "a JSON object over several lines" => (json("{\n\"a\": 1\n}\n"), ALL),
        "two JSON objects in a line" => (json("{\"a\": 1} {\"a\": 2}\n"), ALL),
        "count(*) over a cell that is wrong" => (
            Shop::new("o.csv", PRICED).file("o.csv", "id,price\na,x\nb,1\n"),
            COUNT,
        ),
        "count(*) over a row that is wrong" => (csv("id,price\na,1,2\n"), COUNT),
        "a folder region=North%20West" => (folder("North%20West"), "select region from orders"),
        "a folder region=50%" => (folder("50%"), "select region from orders"),
        "a folder region=__HIVE_DEFAULT_PARTITION__" => (
            Shop::new("region=*/o.parquet", "")
                .parquet(
                    "region=__HIVE_DEFAULT_PARTITION__/o.parquet",
                    "select 1 as id",
                )
                .await,
            "select count(region), count(*) from orders",
        ),
        "a folder day=1 where some files have a column day" => (
            days("", "id,day\na,7\n", "id\nb\n"),
            "select day from orders",
        ),
        "a folder Day=1 where day is declared" => (
            Shop::new(
                "Day=*/o.csv",
                "        columns: [{name: id}, {name: day, data_type: integer}]\n",
            )
            .file("Day=1/o.csv", "id\na\n"),
            "select day from orders",
        ),
        "a link whose target is gone" => {
            let shop = Shop::new("*.csv", "").file("a.csv", "id\na\n");
            std::os::unix::fs::symlink("/gone", shop.path("b.csv")).ok()?;
            (shop, COUNT)
        }
        "folders of one key within each other" => (
            Shop::new("day=*/day=*/o.csv", "").file("day=1/day=2/o.csv", "id\na\n"),
            ALL,
        ),
        "a folder day=x where day is an integer" => (
            Shop::new(
                "day=*/o.csv",
                "        columns: [{name: id}, {name: day, data_type: integer}]\n",
            )
            .file("day=x/o.csv", "id\n1\n"),
            ALL,
        ),
        _ => return None,
    })
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn files_headers_rows_and_folders_are_read_as_the_page_states() {
    let mut wrong = vec![];
    for row in table("Files,", "| in the files | what happens |") {
        let (what, expected) = (row[0].as_str(), row[1].as_str());
        let Some((shop, query)) = case(what).await else {
            wrong.push(format!("{what}: nobody tries it"));
            continue;
        };
        let found = shop.outcome(query).await;
        let fine = match (&found, expected.split_once(": ")) {
            (Err(reported), Some(("refused", _))) => matches(reported, expected),
            (Ok(rows), _) if !expected.starts_with("refused") => {
                let values = &expected[expected.find('`').unwrap()..];
                let values: Vec<String> = texts(values).into_iter().flatten().collect();
                *rows == values
            }
            _ => false,
        };
        if !fine {
            wrong.push(format!("{what}: the page has {expected}, it is {found:?}"));
        }
    }
    none_of(wrong);
}

#[test]
fn every_type_of_the_page_is_one() {
    let mut seen = BTreeSet::new();
    for row in table("Types in YAML", "| `data_type` | is |") {
        for name in texts(&row[0].replace("`, `", "` `")).into_iter().flatten() {
            let text = name.replace("(p,s)", "(12,2)").replace("(n)", "(5)");
            super::types::of_cells(&text, false).unwrap_or_else(|e| panic!("{e}"));
            seen.insert(name);
        }
    }
    assert!(seen.len() > 25, "{seen:?}");
    for refused in [
        "ubigint",
        "integer unsigned",
        "hugeint",
        "interval",
        "timestamp(3)",
        "timestamptz(9)",
        "time(0)",
        "decimal(39,0)",
        "decimal(5,6)",
        "varchar(3)[]",
        "struct(a varchar(3))",
        "struct(a timestamp(3))",
        "money",
        "integer x",
    ] {
        assert!(super::types::of_cells(refused, false).is_err(), "{refused}");
    }
}
