use std::io::Write;
use std::path::PathBuf;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::prelude::SessionConfig;
use retail_storage::StorageConfig;
use serde_json::json;

use super::*;
use retail_project::testing::{project, shown};

/// A folder of files and one source `raw.orders` over them.
pub(super) struct Shop {
    folder: tempfile::TempDir,
    yaml: String,
}

impl Shop {
    pub(super) fn new(location: &str, rest: &str) -> Self {
        let yaml = format!(
            "sources:\n  - name: raw\n    tables:\n      - name: orders\n        external_location: \
             \"{{{{ var('input') }}}}/{location}\"\n{rest}"
        );
        Self {
            folder: tempfile::tempdir().unwrap(),
            yaml,
        }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(super) fn bytes(self, path: &str, bytes: &[u8]) -> Self {
        std::fs::write(self.path(path), bytes).unwrap();
        self
    }

    pub(super) fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.path(path)).unwrap()
    }

    pub(super) fn file(self, path: &str, text: &str) -> Self {
        std::fs::write(self.path(path), text).unwrap();
        self
    }

    pub(super) fn gzip(self, path: &str, text: &str) -> Self {
        let file = std::fs::File::create(self.path(path)).unwrap();
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap();
        self
    }

    fn zstd(self, path: &str, text: &str) -> Self {
        std::fs::write(
            self.path(path),
            zstd::encode_all(text.as_bytes(), 1).unwrap(),
        )
        .unwrap();
        self
    }

    /// A Parquet file of a query's rows.
    pub(super) async fn parquet(self, path: &str, query: &str) -> Self {
        let frame = SessionContext::new().sql(query).await.unwrap();
        let target = self.path(path).display().to_string();
        frame
            .write_parquet(
                &target,
                datafusion::dataframe::DataFrameWriteOptions::new(),
                None,
            )
            .await
            .unwrap();
        self
    }

    fn root(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn source(&self) -> Source {
        let vars = json!({"input": self.root()});
        let project = project(&[("models/sources.yml", &self.yaml)], vars)
            .unwrap_or_else(|f| panic!("{}", shown(&f)));
        project.sources[0].clone()
    }

    async fn session(&self) -> Result<SessionContext, Failure> {
        self.session_with(SessionConfig::new().with_target_partitions(3))
            .await
    }

    async fn session_with(&self, config: SessionConfig) -> Result<SessionContext, Failure> {
        let stores = ObjectStores::new(StorageConfig::default());
        let runtime = RuntimeEnvBuilder::new()
            .with_object_store_registry(stores.registry())
            .build_arc()
            .unwrap();
        let session = SessionContext::new_with_config_rt(config, runtime);
        let table = provider(&self.source(), &session, &stores).await?;
        session.register_table("orders", table).unwrap();
        Ok(session)
    }

    /// The rows of a query, as text.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let session = self
            .session()
            .await
            .unwrap_or_else(|f| panic!("{}", shown(&f)));
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        let table = pretty_format_batches(&batches).unwrap().to_string();
        table
            .lines()
            .skip(3)
            .filter(|l| l.starts_with('|'))
            .map(trimmed)
            .collect()
    }

    /// The rows of a query, or what a person reads of an error that comes back from an executor.
    async fn outcome_from_executors(&self, sql: &str) -> Result<Vec<String>, String> {
        let text = |error: String| {
            let raw = format!("Task failed due to runtime execution error: {error}\n");
            retail_api::cause::innermost(&raw)
        };
        self.outcome_with(sql, text).await
    }

    /// The rows of a query, or what a person reads.
    pub(super) async fn outcome(&self, sql: &str) -> Result<Vec<String>, String> {
        self.outcome_with(sql, |error| error).await
    }

    async fn outcome_with(
        &self,
        sql: &str,
        text: impl Fn(String) -> String,
    ) -> Result<Vec<String>, String> {
        let session = match self.session().await {
            Ok(session) => session,
            Err(failure) => return Err(shown(&failure).replace(&self.root(), "")),
        };
        let frame = session
            .sql(sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
        let error = match tokio::spawn(frame.collect()).await {
            Ok(Ok(batches)) => {
                let table = pretty_format_batches(&batches).unwrap().to_string();
                let rows = table.lines().skip(3).filter(|l| l.starts_with('|'));
                return Ok(rows.map(trimmed).collect());
            }
            Ok(Err(error)) => text(error.to_string()),
            // Executors catch panics of their tasks.
            Err(panic) => text(panic.to_string()),
        };
        let stores = ObjectStores::new(StorageConfig::default());
        let found = diagnose(&[&self.source()], &stores, &error).await;
        Err(match found {
            Some(failure) => shown(&failure).replace(&self.root(), ""),
            None => format!("nothing was found for {error}"),
        })
    }

    /// The rows of a query over files that are cut into as many parts as there are partitions.
    async fn in_parts(&self, partitions: usize, sql: &str) -> Result<Vec<String>, String> {
        let stores = ObjectStores::new(StorageConfig::default());
        let config = SessionConfig::new()
            .with_target_partitions(partitions)
            .with_repartition_file_min_size(1);
        let session = SessionContext::new_with_config(config);
        let table = provider(&self.source(), &session, &stores)
            .await
            .map_err(|f| shown(&f))?;
        session.register_table("orders", table).unwrap();
        let frame = session.sql(sql).await.unwrap();
        let batches = frame.collect().await.map_err(|e| e.to_string())?;
        let table = pretty_format_batches(&batches).unwrap().to_string();
        let rows = table.lines().skip(3).filter(|l| l.starts_with('|'));
        Ok(rows.map(trimmed).collect())
    }

    /// The rows of a query whose plan was written and read again, as CSV.
    async fn rows_over_the_wire(&self, sql: &str) -> Vec<String> {
        use datafusion_proto::bytes::{
            physical_plan_from_bytes_with_extension_codec as from_bytes,
            physical_plan_to_bytes_with_extension_codec as to_bytes,
        };
        let codec = super::wire::Wire;
        let session = self
            .session()
            .await
            .unwrap_or_else(|f| panic!("{}", shown(&f)));
        let plan = session
            .sql(sql)
            .await
            .unwrap()
            .create_physical_plan()
            .await
            .unwrap();
        let bytes = to_bytes(plan, &codec).unwrap();
        let plan = from_bytes(&bytes, &session.task_ctx(), &codec).unwrap();
        let batches = datafusion::physical_plan::collect(plan, session.task_ctx())
            .await
            .unwrap();
        let mut out = vec![];
        let mut writer = datafusion::arrow::csv::WriterBuilder::new()
            .with_header(false)
            .build(&mut out);
        batches.iter().for_each(|b| writer.write(b).unwrap());
        drop(writer);
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(str::to_string)
            .collect()
    }

    pub(super) async fn types(&self) -> String {
        let session = self
            .session()
            .await
            .unwrap_or_else(|f| panic!("{}", shown(&f)));
        let table = session.table_provider("orders").await.unwrap();
        let schema = table.schema();
        schema
            .fields()
            .iter()
            .map(|f| format!("{} {}", f.name(), types::sql(f.data_type())))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The failure, with the folder's name taken out.
    async fn fails(&self) -> String {
        match self.session().await {
            Ok(_) => panic!("it opened"),
            Err(failure) => shown(&failure).replace(&self.root(), ""),
        }
    }

    /// Runs a query that fails and gives what is found out about it.
    async fn diagnosis(&self, sql: &str) -> String {
        let error = self
            .session()
            .await
            .unwrap()
            .sql(sql)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap_err();
        let stores = ObjectStores::new(StorageConfig::default());
        let found = diagnose(&[&self.source()], &stores, &error.to_string()).await;
        shown(&found.unwrap_or_else(|| panic!("nothing was found for {error}")))
            .replace(&self.root(), "")
    }
}

fn trimmed(line: &str) -> String {
    line.trim_matches('|')
        .split('|')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}

const COLUMNS: &str = "        columns:\n          - {name: id, data_type: varchar}\n          - name: price\n            data_type: \
                       decimal(12,2)\n          - name: bought_at\n            data_type: timestamptz\n          - {name: sent_on, \
                       data_type: date, meta: {optional: true}}\n";

#[tokio::test]
async fn csv_is_read_with_the_declared_types_and_empty_fields_are_null() {
    let shop = Shop::new("orders.csv", COLUMNS)
        .file("orders.csv", "id,price,bought_at,sent_on\n007,1.5,2024-01-02 03:04:05,2024-01-03\n,,,\n\"a,b\",2,2024-01-02T03:04:05+02:00,\n");
    assert_eq!(
        shop.types().await,
        "id VARCHAR, price DECIMAL(12,2), bought_at TIMESTAMPTZ, sent_on DATE"
    );
    assert_eq!(
        shop.rows("select * from orders order by id").await,
        [
            "007 1.50 2024-01-02T03:04:05Z 2024-01-03",
            "a,b 2.00 2024-01-02T01:04:05Z",
            ""
        ]
        .map(|r| r.to_string())
        .map(|r| if r.is_empty() {
            "   ".into()
        } else if r.starts_with('a') {
            format!("{r} ")
        } else {
            r
        })
    );
    assert_eq!(
        shop.rows("select count(*) from orders where id is null")
            .await,
        ["1"]
    );
}

#[tokio::test]
async fn days_may_lack_an_optional_column_and_order_columns_differently() {
    let shop = Shop::new("day=*/orders.csv", COLUMNS)
        .file("day=1/orders.csv", "id,price,bought_at\na,1,2024-01-01\n")
        .file(
            "day=2/orders.csv",
            "bought_at,sent_on,id,price,note\n2024-01-02,2024-01-05,b,2,hello\n",
        )
        .file("day=10/orders.csv", "id,price,bought_at\nc,3,2024-01-03\n");
    assert_eq!(
        shop.types().await,
        "id VARCHAR, price DECIMAL(12,2), bought_at TIMESTAMPTZ, sent_on DATE, note VARCHAR, day VARCHAR"
    );
    assert_eq!(
        shop.rows("select id, price, coalesce(sent_on, date '1970-01-01'), coalesce(note, '-'), day from orders order by id").await,
        ["a 1.00 1970-01-01 - 1", "b 2.00 2024-01-05 hello 2", "c 3.00 1970-01-01 - 10"]
    );
    assert_eq!(
        shop.rows("select day, count(*) from orders group by day order by day")
            .await,
        ["1 1", "10 1", "2 1"]
    );
    assert_eq!(
        shop.rows("select id from orders where day = '2'").await,
        ["b"]
    );
    assert_eq!(shop.rows("select count(*) from orders").await, ["3"]);
}

/// What an executor gets is the plan after its way over the wire, which drops what DataFusion does not write down.
#[tokio::test]
async fn executors_read_the_same_rows() {
    let shop = Shop::new(
        "day=*/orders.csv",
        &format!("{COLUMNS}        meta: {{null_values: [NA]}}\n"),
    )
    .file("day=1/orders.csv", "id,price,bought_at\na,1,2024-01-01\n")
    .file(
        "day=2/orders.csv",
        "bought_at,sent_on,id,price,note\n2024-01-02,NA,b,2,hello\n",
    );
    let rows = [
        "a,1.00,2024-01-01T00:00:00Z,,,1",
        "b,2.00,2024-01-02T00:00:00Z,,hello,2",
    ];
    assert_eq!(
        shop.rows_over_the_wire("select * from orders order by id")
            .await,
        rows
    );
    let shop = Shop::new("day=*/o.parquet", COLUMNS)
        .parquet(
            "day=1/o.parquet",
            "select 7 as id, 1.5 as price, timestamp '2024-01-01 00:00:00' as bought_at",
        )
        .await
        .parquet(
            "day=2/o.parquet",
            "select timestamp '2024-01-02 00:00:00' as bought_at, 8 as price, 'x' as id, 1 as note",
        )
        .await;
    let rows = [
        "7,1.50,2024-01-01T00:00:00Z,,,1",
        "x,8.00,2024-01-02T00:00:00Z,,1,2",
    ];
    assert_eq!(
        shop.rows_over_the_wire("select * from orders order by id")
            .await,
        rows
    );
    let rest = "        columns: [{name: id, data_type: bigint}, {name: b, data_type: 'STRUCT(x DATE)'}]\n";
    let shop =
        Shop::new("*.json", rest).file("a.json", "{\"b\": {\"x\": \"2024-01-02\"}, \"id\": 1}\n");
    assert_eq!(
        shop.rows_over_the_wire("select id, b['x'] from orders")
            .await,
        ["1,2024-01-02"]
    );
}

#[tokio::test]
async fn strict_columns_leave_out_what_is_not_declared() {
    let shop = Shop::new(
        "day=*/orders.csv",
        "        meta: {strict_columns: true}\n        columns: [{name: id, data_type: bigint}]\n",
    )
    .file("day=1/orders.csv", "x,id\nfoo,1\n");
    assert_eq!(shop.types().await, "id BIGINT");
    assert_eq!(shop.rows("select * from orders").await, ["1"]);
}

#[tokio::test]
async fn types_that_nobody_declared_come_from_the_files() {
    let shop = Shop::new("*.csv", "")
        .file("a.csv", "n,f,d,s,mixed,nothing\n1,1.5,2024-01-01,x,1,\n")
        .file("b.csv", "n,f,d,s,mixed,nothing\n2,2,2024-01-02,y,two,\n");
    assert_eq!(
        shop.types().await,
        "n BIGINT, f DOUBLE, d DATE, s VARCHAR, mixed VARCHAR, nothing VARCHAR"
    );
    assert_eq!(
        shop.rows("select sum(n), sum(f), max(mixed) from orders")
            .await,
        ["3 3.5 two"]
    );
}

#[tokio::test]
async fn null_values_and_delimiters_are_options() {
    let shop = Shop::new(
        "orders.txt",
        "        config:\n          format: csv\n          delimiter: ';'\n          null_values: [NA, '-']\n        columns:\n          \
         - {name: id, data_type: varchar}\n          - {name: n, data_type: integer}\n",
    )
    .file("orders.txt", "id;n\nNA;1\nb;-\n");
    assert_eq!(
        shop.rows("select coalesce(id, 'null'), coalesce(n, -1) from orders order by 2")
            .await,
        ["b -1", "null 1"]
    );
}

#[tokio::test]
async fn without_a_header_the_declared_order_counts() {
    let rest = "        meta: {header: false}\n        columns: [{name: id, data_type: varchar}, {name: n, data_type: integer}]\n";
    let shop = Shop::new("orders.csv", rest).file("orders.csv", "a,1\nb,2\n");
    assert_eq!(
        shop.rows("select id, n from orders order by id").await,
        ["a 1", "b 2"]
    );
    let shop = Shop::new("orders.csv", rest).file("orders.csv", "a,1,x\n");
    assert_eq!(
        shop.fails().await,
        "source raw.orders: /orders.csv has 3 columns, 2 are declared\n-> /orders.csv:1\n\
         without a header, columns are found by their position\n\
         = declare all of them in models/sources.yml:4, in the order of the files"
    );
}

#[tokio::test]
async fn packed_csv_and_json_are_read() {
    let csv = "id,price,bought_at\na,1,2024-01-01\n";
    let shop = Shop::new("*.csv.gz", COLUMNS)
        .gzip("a.csv.gz", csv)
        .gzip("b.csv.gz", csv);
    assert_eq!(shop.rows("select sum(price) from orders").await, ["2.00"]);
    let shop = Shop::new("*.csv.zst", COLUMNS).zstd("a.csv.zst", csv);
    assert_eq!(shop.rows("select sum(price) from orders").await, ["1.00"]);
    let shop = Shop::new(
        "day=*/*.json.gz",
        "        columns:\n          - {name: id, data_type: bigint}\n          - name: buyer\n            data_type: STRUCT(name VARCHAR, \
         tags VARCHAR[])\n          - name: items\n            data_type: STRUCT(sku VARCHAR, n INTEGER)[]\n          - {name: at, \
         data_type: 'timestamp?'}\n",
    )
    .gzip("day=1/a.json.gz", "{\"id\": 1, \"buyer\": {\"name\": \"x\", \"tags\": [\"p\", \"q\"]}, \"items\": [{\"sku\": \"s\", \"n\": 2}]}\n")
    .gzip("day=2/b.json.gz", "{\"id\": 2, \"buyer\": null, \"items\": [], \"at\": \"2024-01-01T00:00:00\", \"extra\": 1.5}\n");
    assert_eq!(
        shop.types().await,
        "id BIGINT, buyer STRUCT(name VARCHAR, tags VARCHAR[]), items STRUCT(sku VARCHAR, n INTEGER)[], at TIMESTAMP, extra DOUBLE, \
         day VARCHAR"
    );
    assert_eq!(
        shop.rows("select id, coalesce(buyer['name'], '-'), coalesce(items[1]['n'], 0), coalesce(extra, 0), day from orders order by id").await,
        ["1 x 2 0.0 1", "2 - 0 1.5 2"]
    );
}

#[tokio::test]
async fn parquet_is_cast_to_the_declared_types_and_missing_days_read_as_null() {
    let shop = Shop::new("day=*/orders.parquet", COLUMNS)
        .parquet("day=1/orders.parquet", "select 7 as id, 1.5 as price, timestamp '2024-01-01 00:00:00' as bought_at")
        .await
        .parquet(
            "day=2/orders.parquet",
            "select 'b' as id, cast(2 as decimal(10,1)) as price, timestamp '2024-01-02 00:00:00' as bought_at, date '2024-01-05' as sent_on",
        )
        .await;
    assert_eq!(
        shop.rows("select id, price, bought_at, coalesce(sent_on, date '1970-01-01'), day from orders order by id").await,
        ["7 1.50 2024-01-01T00:00:00Z 1970-01-01 1", "b 2.00 2024-01-02T00:00:00Z 2024-01-05 2"]
    );
    assert_eq!(
        shop.rows("select id from orders where price > 1.9").await,
        ["b"]
    );
    assert_eq!(shop.rows("select count(*) from orders").await, ["2"]);
}

#[tokio::test]
async fn a_parquet_type_that_cannot_become_the_declared_one_is_reported() {
    let shop = Shop::new("a.parquet", COLUMNS)
        .parquet(
            "a.parquet",
            "select 'x' as id, 1.5 as price, 20240101 as bought_at",
        )
        .await;
    assert_eq!(
        shop.fails().await,
        "source raw.orders: bought_at cannot be read as TIMESTAMPTZ\n-> /a.parquet\nthe file holds BIGINT\n\
         = correct data_type in models/sources.yml:11"
    );
}

#[tokio::test]
async fn types_that_postgresql_does_not_have_are_read_as_those_that_hold_them() {
    let one = "select arrow_cast(255, 'UInt8') as a, arrow_cast(65535, 'UInt16') as b, arrow_cast(4294967295, 'UInt32') as c, \
               arrow_cast(18446744073709551615, 'UInt64') as d, arrow_cast(1.25, 'Decimal32(9, 2)') as e, \
               arrow_cast(1.25, 'Decimal256(30, 2)') as f, arrow_cast(1.5, 'Float16') as g, 7 as h, \
               arrow_cast(make_array(1, 2), 'FixedSizeList(2, Int64)') as i";
    let two = "select arrow_cast(1, 'UInt8') as a, arrow_cast(1, 'UInt16') as b, arrow_cast(-1, 'Int32') as c, -1 as d, \
               arrow_cast(2.75, 'Decimal128(12, 2)') as e, arrow_cast(2.75, 'Decimal128(12, 2)') as f, arrow_cast(0.5, 'Float16') as g, \
               arrow_cast(2.125, 'Decimal128(10, 3)') as h, make_array(3) as i";
    let shop = Shop::new("*.parquet", "")
        .parquet("a.parquet", one)
        .await
        .parquet("b.parquet", two)
        .await;
    assert_eq!(
        shop.types().await,
        "a SMALLINT, b INTEGER, c BIGINT, d DECIMAL(20,0), e DECIMAL(12,2), f DECIMAL(30,2), g REAL, h DECIMAL(22,3), \
         i BIGINT[]"
    );
    assert_eq!(
        shop.rows("select sum(a), sum(b), sum(c), sum(d), sum(e), sum(f), sum(g), sum(h), sum(i[1]), min(-c) from orders")
            .await,
        ["256 65536 4294967294 18446744073709551614 4.00 4.00 2.0 9.125 4 -4294967295"]
    );
}

#[tokio::test]
async fn uuids_of_parquet_files_are_texts_and_other_bytes_of_their_length_are_not() {
    use datafusion::parquet::data_type::{ByteArray, FixedLenByteArray, FixedLenByteArrayType};
    use datafusion::parquet::file::writer::SerializedFileWriter;
    use datafusion::parquet::schema::parser::parse_message_type;

    let message = "message m { optional fixed_len_byte_array(16) id (UUID); optional fixed_len_byte_array(16) hash; }";
    let schema = Arc::new(parse_message_type(message).unwrap());
    let bytes: Vec<u8> = (0xf0..=0xff).collect();
    let value = FixedLenByteArray::from(ByteArray::from(bytes));
    let mut written = vec![];
    let mut writer = SerializedFileWriter::new(&mut written, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        let values = column.typed::<FixedLenByteArrayType>();
        let one = std::slice::from_ref(&value);
        values.write_batch(one, Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();

    let shop = Shop::new("o.parquet", "").bytes("o.parquet", &written);
    assert_eq!(
        shop.types().await,
        "id VARCHAR, hash BYTEA of 16 bytes each"
    );
    let query = "select max(id), count(id), count(*), max(encode(hash, 'hex')) from orders \
                 where id = 'f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff' or id is null";
    let row = "f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff 1 2 f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
    assert_eq!(shop.rows(query).await, [row]);
    assert_eq!(
        shop.rows_over_the_wire(query).await,
        [row.replace(' ', ",")]
    );
    let declared =
        "        columns: [{name: id, data_type: uuid}, {name: hash, data_type: uuid}]\n";
    let shop = Shop::new("o.parquet", declared).bytes("o.parquet", &written);
    assert!(
        shop.fails()
            .await
            .starts_with("source raw.orders: hash cannot be read as VARCHAR")
    );
}

#[tokio::test]
async fn a_link_to_a_file_that_is_gone_is_reported() {
    let days = || Shop::new("day=*/*.csv", "").file("day=1/o.csv", "id\n1\n");
    let shop = days();
    std::os::unix::fs::symlink("/gone/o.csv", shop.path("day=1/p.csv")).unwrap();
    std::os::unix::fs::symlink("/gone/o.csv", shop.path("day=1/_old.csv")).unwrap();
    let reported = shop.fails().await;
    assert!(
        reported.starts_with("source raw.orders: cannot read /day=1/p.csv\n")
            && reported.contains("it is a link to /gone/o.csv, which is not there"),
        "{reported}"
    );
    let shop = days();
    std::os::unix::fs::symlink("/gone", shop.path("day=2")).unwrap();
    let reported = shop.fails().await;
    assert!(
        reported.contains("it is a link to /gone, which is not there"),
        "{reported}"
    );
    let shop = days();
    std::os::unix::fs::symlink(shop.path("day=1"), shop.path("day=2")).unwrap();
    assert_eq!(shop.rows("select count(*) from orders").await, ["2"]);
}

#[tokio::test]
async fn a_field_inside_that_no_file_has_is_reported_with_the_nearest_one() {
    let declared = "        columns:\n          - {name: v, data_type: 'struct(lines struct(amuont integer)[])'}\n";
    let line = "{\"v\": {\"lines\": [{\"amount\": 1}]}}\n";
    let shop = Shop::new("o.json", declared).file("o.json", line);
    assert_eq!(
        shop.fails().await,
        "source raw.orders: no file has v.lines.amuont\n-> /o.json\ndid you mean amount?\n\
         = correct data_type in models/sources.yml:7, or let files lack it with meta: {optional: true}"
    );
    let optional = declared.replace("[])'", "[])', meta: {optional: true}");
    let shop = Shop::new("o.json", &optional).file("o.json", line);
    assert_eq!(
        shop.rows("select count(v['lines'][1]['amuont']) from orders")
            .await,
        ["0"]
    );
    let none = "{\"v\": null}\n{}\n";
    let shop = Shop::new("o.json", declared).file("o.json", none);
    assert_eq!(shop.rows("select count(*) from orders").await, ["2"]);
}

#[tokio::test]
async fn what_other_programs_write_for_null_is_reported_with_the_option() {
    let shop = Shop::new("o.csv", COLUMNS).file("o.csv", "id,price,bought_at\na,\\N,\n");
    let reported = shop.diagnosis("select sum(price) from orders").await;
    let option = "= if \\N stands for no value, say null_values: ['\\N'] in models/sources.yml:";
    assert!(reported.contains(option), "{reported}");
}

#[tokio::test]
async fn a_missing_column_is_reported_with_the_nearest_header() {
    let shop = Shop::new("day=*/orders.csv", COLUMNS)
        .file("day=1/orders.csv", "id,price,bought_at\na,1,2024-01-01\n")
        .file("day=2/orders.csv", "id,price,bougth_at\na,1,2024-01-01\n");
    assert_eq!(
        shop.fails().await,
        "source raw.orders: /day=2/orders.csv has no column bought_at\n-> /day=2/orders.csv:1:1\n| id,price,bougth_at\n\
         | ^^^^^^^^^^^^^^^^^^\ndid you mean bougth_at?\n\
         = correct models/sources.yml:11, or let files lack it with meta: {optional: true}"
    );
}

#[tokio::test]
async fn no_file_names_what_is_there_instead() {
    let shop = Shop::new("day=*/order.csv", COLUMNS)
        .file("day=1/orders.csv", "x\n")
        .file("day=1/items.csv", "x\n");
    assert_eq!(
        shop.fails().await,
        "source raw.orders: no file matches /day=*/order.csv\n-> models/sources.yml:4\n\
         /day=1 has no file order.csv; did you mean orders.csv?\n= /day=1 holds items.csv, orders.csv"
    );
    let shop = Shop::new("days/day=*/o.csv", COLUMNS)
        .file("a/x", "x")
        .file("b/x", "x")
        .file("c/x", "x")
        .file("d/x", "x")
        .file("e", "x");
    assert_eq!(
        shop.fails().await,
        "source raw.orders: no file matches /days/day=*/o.csv\n-> models/sources.yml:4\n has no folder days\n\
         =  holds a/, b/, c/ and 2 more"
    );
    let shop = Shop::new("orders.csv", COLUMNS).file("orders.csv/part-1.csv", "x");
    assert_eq!(
        shop.fails().await,
        "source raw.orders: no file matches /orders.csv\n-> models/sources.yml:4\n/orders.csv is a folder\n\
         = to read its files write /orders.csv/*"
    );
    let shop = Shop::new("day=*/o.csv", COLUMNS).file("week=1/o.csv", "x");
    assert!(shop.fails().await.contains(" has no folder day=*"));
}

#[tokio::test]
async fn globs_work_on_every_segment() {
    let row = "id,price,bought_at\na,1,2024-01-01\n";
    let files = |location: &str| {
        Shop::new(location, COLUMNS)
            .file("2024/01/orders_1.csv", row)
            .file("2024/01/orders_22.csv", row)
            .file("2024/02/orders_3.csv", row)
            .file("2023/01/orders_4.csv", row)
            .file("2024/01/_tmp.csv", row)
            .file("2024/01/.orders_5.csv", row)
            .file("2024/01/empty.csv", "")
    };
    for (location, count) in [
        ("2024/01/*.csv", 2),
        ("2024/*/orders_?.csv", 2),
        ("202[34]/*/*.csv", 4),
        ("**/*.csv", 4),
        ("2024/**/*.csv", 3),
        ("2024/01/orders_22.csv", 1),
        ("2024/01/orders_{1,22}.csv", 2),
    ] {
        assert_eq!(
            files(location).rows("select count(*) from orders").await,
            [count.to_string()],
            "{location}"
        );
    }
}

#[tokio::test]
async fn a_bad_cell_of_a_csv_file_is_named_with_row_and_line() {
    let mut text = "id,price,bought_at\n".to_string();
    for n in 0..2000 {
        text.push_str(&format!("{n},1.00,2024-01-01\n"));
    }
    text.push_str("\"two\nlines\",1.00,2024-01-01\nbad,1.00,2024-13-01\n");
    let shop = Shop::new("day=*/orders.csv", COLUMNS)
        .file("day=1/orders.csv", "id,price,bought_at\na,1,2024-01-01\n")
        .file("day=2/orders.csv", &text);
    let expected = "source raw.orders, row 2,002: bought_at is not a timestamp: \"2024-13-01\"\n-> /day=2/orders.csv:2004\n\
                    = fix the file, or correct data_type in models/sources.yml:11";
    assert_eq!(
        shop.diagnosis("select max(bought_at) from orders").await,
        expected
    );
    let shop = Shop::new("orders.csv.gz", COLUMNS).gzip("orders.csv.gz", &text);
    assert_eq!(
        shop.diagnosis("select max(bought_at) from orders").await,
        expected.replace("/day=2/orders.csv", "/orders.csv.gz")
    );
}

#[tokio::test]
async fn a_row_of_a_wrong_length_is_named() {
    let shop = Shop::new("orders.csv", COLUMNS).file(
        "orders.csv",
        "id,price,bought_at\na,1,2024-01-01\nb,1,000,2024-01-01\n",
    );
    assert_eq!(
        shop.diagnosis("select * from orders").await,
        "source raw.orders, row 2: 4 fields, the file has 3 columns\n-> /orders.csv:3\n= fix the file"
    );
}

#[tokio::test]
async fn a_number_that_is_too_large_is_said_to_be() {
    let shop = Shop::new(
        "orders.csv",
        "        columns: [{name: n, data_type: integer}]\n",
    )
    .file("orders.csv", "n\n1\n3000000000\n");
    assert!(
        shop.diagnosis("select * from orders").await.starts_with(
            "source raw.orders, row 2: n is not an INTEGER (too large): \"3000000000\""
        )
    );
}

#[tokio::test]
async fn a_bad_line_of_a_json_file_is_named() {
    let rest = "        columns:\n          - {name: id, data_type: bigint}\n          - {name: buyer, data_type: 'STRUCT(age INTEGER)'}\n";
    let good = "{\"id\": 1, \"buyer\": {\"age\": 3}}\n".repeat(1100);
    let shop = Shop::new("o.jsonl", rest).file(
        "o.jsonl",
        &format!("{good}{{\"id\": 2, \"buyer\": {{\"age\": \"old\"}}}}\n"),
    );
    assert_eq!(
        shop.diagnosis("select * from orders").await,
        "source raw.orders, row 1,101: buyer.age is not an integer: \"old\"\n-> /o.jsonl:1101\n\
         = fix the file, or correct data_type in models/sources.yml:8"
    );
    let shop =
        Shop::new("o.jsonl", rest).file("o.jsonl", &format!("{good}\n{{\"id\": 2, oops}}\n"));
    assert!(
        shop.diagnosis("select * from orders")
            .await
            .starts_with("source raw.orders, row 1,101: the line is not JSON: ")
    );
    let shop = Shop::new("o.json", rest).file("o.json", "[{\"id\": 1}]");
    assert!(
        shop.fails()
            .await
            .ends_with("-> /o.json:1\nthe file is one JSON array; one object per line is read (jq -c '.[]' makes them)")
    );
}

#[tokio::test]
async fn a_type_nobody_knows_is_reported_where_it_is_declared() {
    let shop = Shop::new(
        "orders.csv",
        "        columns:\n          - name: id\n            data_type: varcha\n",
    )
    .file("orders.csv", "id\n1\n");
    assert_eq!(
        shop.fails().await,
        "source raw.orders: cannot read column id\n-> models/sources.yml:8\ntype varcha is not supported; did you mean VARCHAR?"
    );
}

#[tokio::test]
async fn files_that_are_not_what_they_seem_are_reported() {
    let shop = Shop::new("a.parquet", COLUMNS).file("a.parquet", "this is no parquet file at all");
    let text = shop.fails().await;
    assert!(text.starts_with("source raw.orders: cannot read /a.parquet\n-> /a.parquet\nthe file is no Parquet file: "), "{text}");
    let shop = Shop::new("a.csv.gz", COLUMNS).file("a.csv.gz", "id\n1\n");
    let text = shop.fails().await;
    assert!(
        text.contains("the file cannot be unpacked as gzip"),
        "{text}"
    );
    let shop = Shop::new("a.csv", COLUMNS).file("a.csv", "id,id,price\n");
    assert!(shop.fails().await.ends_with("the header names id twice"));
}

/// The wire forgets how files are read; a plan without a codec that knows better must not travel.
#[tokio::test]
async fn a_scan_of_packed_files_travels_with_its_compression() {
    use datafusion_proto::bytes::physical_plan_to_bytes;
    let shop =
        Shop::new("*.csv.gz", COLUMNS).gzip("a.csv.gz", "id,price,bought_at\na,1,2024-01-01\n");
    let session = shop.session().await.unwrap();
    let frame = session.sql("select id from orders").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    assert!(physical_plan_to_bytes(plan).is_err());
    assert_eq!(
        shop.rows_over_the_wire("select id from orders").await,
        ["a"]
    );
}

/// Bounds and counts of footers, and row groups left out by them, must not change an answer: the same rows in memory
/// say what is right.
#[tokio::test]
async fn statistics_of_footers_answer_only_what_the_rows_do() {
    let long = "x".repeat(100);
    let days = [
        (
            "arrow_cast(x, 'Int32') as x, arrow_cast(f, 'Float32') as f, s, arrow_cast(a, 'Decimal128(10, 2)') as a, n, d",
            format!(
                "(1, 5.5, 'b', 1, 1, date '2024-01-01'), (900, 'NaN'::double, '{long}y', 900, null, date '2025-06-01')"
            ),
            "page",
        ),
        (
            "arrow_cast(x, 'Int64') as x, f, s, arrow_cast(a, 'Decimal128(12, 2)') as a, arrow_cast(d, 'Timestamp(Microsecond, None)') as d",
            format!(
                "(5, -0.0, '{long}', 5, 1, date '2024-03-01'), (7, 0.0, 'a', 7, 1, date '2024-04-01')"
            ),
            "page",
        ),
        (
            "arrow_cast(x, 'Int64') as x, f, s, arrow_cast(a, 'Decimal128(12, 2)') as a, n, arrow_cast(d, 'Timestamp(Microsecond, None)') as d",
            "(null::bigint, 1000.0, null, null, null::bigint, null)".to_string(),
            "none",
        ),
    ];
    let shop = Shop::new("region=*/o.parquet", "");
    let mut same = vec![];
    for ((columns, values, statistics), region) in
        days.iter().zip(["__HIVE_DEFAULT_PARTITION__", "b", "c"])
    {
        let rows = format!("select {columns} from (values {values}) t(x, f, s, a, n, d)");
        let path = shop.path(&format!("region={region}/o.parquet"));
        let copy = format!(
            "copy ({rows}) to '{}' stored as parquet options ('format.statistics_enabled' '{statistics}')",
            path.display()
        );
        SessionContext::new()
            .sql(&copy)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        let n = if columns.contains(" n,") { "n" } else { "null" };
        let region = match region.len() {
            1 => format!("'{region}'"),
            _ => "null".to_string(),
        };
        let zoneless = "arrow_cast(d, 'Timestamp(Microsecond, None)')";
        same.push(format!(
            "select arrow_cast(x, 'Int64') as x, arrow_cast(f, 'Float64') + 0.0 as f, s, arrow_cast(a, 'Decimal128(12, 2)') as a, \
             arrow_cast({n}, 'Int64') as n, {zoneless} as d, {region} as region from ({rows})"
        ));
    }
    let session = shop
        .session()
        .await
        .unwrap_or_else(|f| panic!("{}", shown(&f)));
    let same = format!("create table same as {}", same.join(" union all "));
    session.sql(&same).await.unwrap().collect().await.unwrap();
    let mut questions = vec!["count(*) from T".to_string()];
    for column in ["x", "f", "s", "a", "n", "d", "region"] {
        questions.extend([
            format!("max({column}) from T"),
            format!("min({column}) from T"),
            format!("count({column}) from T"),
            format!("max({column}), min({column}), count({column}), count(*) from T"),
            format!("count(*) from T where {column} is null"),
            format!("count(*) from T where {column} is not null"),
            format!("{column} from T order by {column} desc nulls last limit 1"),
            format!("{column} from T order by {column} nulls last limit 2"),
            format!("{column} from T order by {column} desc limit 1"),
            format!("count(*) from T l join T r on l.{column} = r.{column}"),
        ]);
    }
    for condition in [
        "x > 100",
        "x < 6",
        "f > 100",
        "f < 1",
        "f >= 5.5",
        "s > 'c'",
        "a > 100",
        "a = 7",
        "d > '2025-01-01'",
        "n = 1",
        "region = 'b'",
    ] {
        questions.push(format!("count(*) from T where {condition}"));
        questions.push(format!("x from T where {condition} order by x limit 2"));
    }
    let mut wrong = vec![];
    for question in questions {
        let mut answers = vec![];
        for table in ["orders", "same"] {
            let sql = format!("select {}", question.replace("T", table));
            let batches = session.sql(&sql).await.unwrap().collect().await.unwrap();
            let table = pretty_format_batches(&batches).unwrap().to_string();
            let rows = table.lines().skip(3).filter(|l| l.starts_with('|'));
            answers.push(rows.map(trimmed).collect::<Vec<_>>());
        }
        if answers[0] != answers[1] {
            wrong.push(format!("{question}: {answers:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A writer may say that its bounds are wide, which the reader of footers forgets, and old ones compared unsigned numbers as
/// signed ones.
#[tokio::test]
async fn bounds_that_are_not_exact_answer_nothing() {
    use datafusion::parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
    use datafusion::parquet::file::statistics::Statistics as Chunk;
    let wide = |name: &str| match name {
        "x" => Chunk::int64(Some(-1000), Some(1000), None, Some(0), false),
        "swapped" => Chunk::int64(Some(2), Some(1), None, Some(0), false),
        _ => Chunk::int64(Some(i64::MIN + 5), Some(7), None, Some(0), true),
    };
    let big = "arrow_cast(9223372036854775813, 'UInt64')";
    let shop = Shop::new("o.parquet", "");
    let rows = format!(
        "select 1 as x, 1 as swapped, {big} as u union all select 2, 2, arrow_cast(7, 'UInt64')"
    );
    let shop = shop.parquet("o.parquet", &rows).await;
    let path = shop.path("o.parquet");
    let file = std::fs::read(&path).unwrap();
    let mut reader = ParquetMetaDataReader::new();
    reader.try_parse(&bytes::Bytes::from(file.clone())).unwrap();
    let footer = reader.finish().unwrap();
    let groups = footer.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|chunk| {
            let statistics = wide(&chunk.column_path().string());
            let chunk = chunk.clone().into_builder().set_statistics(statistics);
            let chunk = chunk
                .set_column_index_offset(None)
                .set_column_index_length(None);
            chunk.build().unwrap()
        });
        let columns = columns.collect();
        let group = group.clone().into_builder().set_column_metadata(columns);
        group.build().unwrap()
    });
    let groups = groups.collect();
    let footer = footer.clone().into_builder().set_row_groups(groups).build();
    let mut written = file;
    ParquetMetaDataWriter::new(&mut written, &footer)
        .finish()
        .unwrap();
    let shop = shop.bytes("o.parquet", &written);
    for (sql, rows) in [
        ("select max(x), min(x), count(x) from orders", "2 1 2"),
        ("select max(u), min(u) from orders", "9223372036854775813 7"),
        ("select count(*) from orders where u > 100", "1"),
        ("select x from orders where swapped > 1", "2"),
        ("select max(swapped), min(swapped) from orders", "2 1"),
    ] {
        assert_eq!(shop.rows(sql).await, [rows], "{sql}");
    }
}

#[tokio::test]
async fn a_bad_cell_is_not_blamed_for_a_cast_of_the_models_own() {
    let columns =
        "        columns: [{name: id, data_type: varchar}, {name: b, data_type: integer}]\n";
    let shop = Shop::new("o.csv", columns).file("o.csv", "id,b\nx,oops\n");
    let stores = ObjectStores::new(StorageConfig::default());
    let reported = diagnose(&[&shop.source()], &stores, "cannot cast 'x' to integer").await;
    assert!(reported.is_none(), "{}", shown(&reported.unwrap()));
    let of_file = "in/o.csv, row 1 cannot be parsed: b is not an integer: \"oops\"";
    assert!(
        diagnose(&[&shop.source()], &stores, of_file)
            .await
            .is_some()
    );
}

/// Rows as a Parquet file whose pages are packed, or as they are.
fn packed(rows: &RecordBatch, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(compression);
    let mut file = vec![];
    let mut writer =
        ArrowWriter::try_new(&mut file, rows.schema(), Some(properties.build())).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    file
}

/// Only one of two files is damaged, anywhere in it: rows are right in number, or that file is named with what to do. What
/// comes back from an executor is a text without its leading names of errors, and is enough to find the file.
#[tokio::test]
async fn a_damaged_parquet_file_is_named_and_never_loses_rows() {
    let ids: Vec<i64> = (0..600).collect();
    let words: Vec<String> = ids
        .iter()
        .map(|id| format!("words {}", id * 7919))
        .collect();
    let (ids, words): (ArrayRef, ArrayRef) = (
        Arc::new(Int64Array::from(ids)),
        Arc::new(StringArray::from(words)),
    );
    let rows = RecordBatch::try_from_iter([("id", ids), ("words", words)]).unwrap();
    let mut shop = Shop::new("day=*/o.parquet", "");
    for compression in [
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::UNCOMPRESSED,
    ] {
        let good = packed(&rows, compression);
        shop = shop.bytes("day=1/o.parquet", &good);
        let mut damaged = vec![];
        let places = (4..36).step_by(3).chain((36..good.len() - 8).step_by(797));
        for (at, zeroes) in places.flat_map(|at| [(at, false), (at, true)]) {
            let mut bytes = good.clone();
            match zeroes {
                true => bytes[at..(at + 24).min(good.len() - 8)].fill(0),
                false => bytes[at] ^= 0x55,
            }
            damaged.push((format!("{compression} {at} {zeroes}"), bytes));
        }
        for cut in [1, 8, 100, good.len() / 2, good.len()] {
            let bytes = good[..good.len() - cut].to_vec();
            damaged.push((format!("{compression} cut by {cut}"), bytes));
        }
        let mut refused = 0;
        for (what, bytes) in damaged {
            shop = shop.bytes("day=2/o.parquet", &bytes);
            match shop
                .outcome_from_executors("select id, length(words) from orders")
                .await
            {
                Ok(rows) if rows.len() == 1200 => assert!(!what.contains("cut"), "{what}"),
                Err(said) => {
                    refused += 1;
                    assert!(
                        said.contains("cannot read /day=2/o.parquet"),
                        "{what}: {said}"
                    );
                    assert!(said.contains("have it written again"), "{what}: {said}");
                    assert!(!said.contains("panicked"), "{what}: {said}");
                }
                Ok(rows) => panic!("{what}: {} rows", rows.len()),
            }
        }
        assert!(refused > 12, "{compression}: only {refused} were refused");
    }
}

/// However files are cut into parts, every row comes once, and what is refused is refused in each cut.
#[tokio::test]
async fn files_read_in_parts_hold_the_same_rows() {
    let lines: String = (0..500)
        .map(|n| format!("{n},{}\n", "x".repeat(n % 37)))
        .collect();
    let json: String = (0..500)
        .map(|n| format!("{{\"id\": {n}, \"v\": \"{}\"}}\n\n", "x".repeat(n % 37)))
        .collect();
    let unsplit = "        meta: {newlines_in_values: false}\n";
    let question = "select count(*), sum(id), sum(length(v)) from orders";
    for (name, rest, text) in [
        ("o.csv", unsplit, format!("id,v\n{lines}")),
        ("o.json", "", json),
        ("o.csv", "", format!("id,v\n{lines}")),
    ] {
        let shop = Shop::new(name, rest).file(name, &text);
        for partitions in [1, 2, 7, 64] {
            let found = shop.in_parts(partitions, question).await.unwrap();
            assert_eq!(found, ["500 124750 8829"], "{name} in {partitions}");
        }
    }
    let quoted = format!("id,v\n{lines}1000,\"a\nb\"\n{lines}");
    let shop = Shop::new("o.csv", unsplit).file("o.csv", &quoted);
    for partitions in [1, 2, 3, 5, 7, 64] {
        let found = shop
            .in_parts(partitions, "select count(*) from orders")
            .await;
        assert!(found.is_err(), "{found:?} in {partitions}");
    }
    let reported = shop.outcome("select count(*) from orders").await;
    let reported = reported.expect_err("a quoted line end");
    assert!(
        reported.contains("a quoted value holds a line end"),
        "{reported}"
    );
    let shop = Shop::new("o.csv", "").file("o.csv", &quoted);
    let found = shop.in_parts(7, "select count(*) from orders").await;
    assert_eq!(found.unwrap(), ["1001"]);
}

/// The optimizer cuts files of more than a megabyte into parts, by itself.
#[tokio::test]
async fn big_files_that_are_packed_or_have_line_ends_in_values_are_read_whole() {
    let rows: String = (0..500).map(|n| format!("{n},\"a\n{n},b\"\n")).collect();
    let text = format!("id,v\n{rows}");
    let plain: String = (0..500).map(|n| format!("{n},x\n")).collect();
    let plain = format!("id,v\n{plain}");
    let config = SessionConfig::new().with_target_partitions(3);
    let config = config.with_repartition_file_min_size(1);
    for shop in [
        Shop::new("o.csv", "").file("o.csv", &text),
        Shop::new("o.csv.gz", "").gzip("o.csv.gz", &text),
        Shop::new("o.csv.zst", "").zstd("o.csv.zst", &plain),
        Shop::new("o.csv.gz", "        meta: {newlines_in_values: false}\n")
            .gzip("o.csv.gz", &plain),
        Shop::new("o.csv", "        meta: {newlines_in_values: false}\n").file("o.csv", &plain),
    ] {
        let session = shop.session_with(config.clone()).await.unwrap();
        let frame = session.sql("select count(*), sum(id) from orders").await;
        let batches = frame.unwrap().collect().await.unwrap();
        let table = pretty_format_batches(&batches).unwrap().to_string();
        assert!(
            table.contains("| 500      | 124750"),
            "{}\n{table}",
            shop.yaml
        );
    }
}

/// A store that answers every request with one status and one error of S3.
async fn refusing_store(status: &'static str, code: &'static str) -> ObjectStores {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body = format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>"
            );
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    ObjectStores::new(StorageConfig {
        s3: retail_storage::S3Config {
            endpoint: Some(endpoint),
            access_key_id: Some("key".into()),
            secret_access_key: Some("secret".into()),
            allow_http: true,
            ..Default::default()
        },
    })
}

#[tokio::test]
async fn a_bucket_that_cannot_be_read_names_the_reason() {
    let yaml = "sources:\n  - name: raw\n    tables:\n      - name: orders\n        external_location: s3://lake/day=*/orders.csv\n";
    let source = project(&[("models/sources.yml", yaml)], json!({}))
        .unwrap()
        .sources
        .remove(0);
    let session = SessionContext::new();
    let stores = refusing_store("403 Forbidden", "AccessDenied").await;
    assert_eq!(
        shown(&provider(&source, &session, &stores).await.unwrap_err()),
        "source raw.orders: cannot read s3://lake/\n-> models/sources.yml:4\nthe store refuses access to s3://lake (403)\n\
         = check the keys in storage.s3 and the bucket's policy"
    );
    let stores = refusing_store("404 Not Found", "NoSuchBucket").await;
    assert_eq!(
        shown(&provider(&source, &session, &stores).await.unwrap_err()),
        "source raw.orders: cannot read s3://lake/\n-> models/sources.yml:4\nthere is no bucket s3://lake"
    );
}
