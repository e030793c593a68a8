//! A text scan on the wire. Its files travel with the stock scan below it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::protobuf;
use prost::Message;
use retail_proto::v1::{self, text_column, text_scan};

use super::{
    CellRule, CsvFormat, JsonFormat, Origin, TextColumn, TextFormat, TextScan, TextScanExec,
};

/// The node as it travels; none for any other node.
///
/// # Errors
/// A column's type cannot be written.
pub fn encode(node: &Arc<dyn ExecutionPlan>) -> Result<Option<v1::TextScan>> {
    let Some(node) = node.downcast_ref::<TextScanExec>() else {
        return Ok(None);
    };
    let read = &node.read;
    let format = match &read.format {
        TextFormat::Csv(csv) => text_scan::Format::Csv(v1::CsvText {
            delimiter: u32::from(csv.delimiter),
            quote: u32::from(csv.quote),
            header: csv.header,
            newlines_in_values: csv.newlines_in_values,
            null_values: csv.null_values.clone(),
            names: csv.names.clone(),
        }),
        TextFormat::Json(json) => text_scan::Format::Json(v1::JsonText {
            names: json.names.clone(),
            ignore_others: json.ignore_others,
            null_values: json.null_values.clone(),
        }),
    };
    let columns = read.columns.iter().map(|column| v1::TextColumn {
        from: Some(match column.from {
            Origin::File(index) => text_column::From::File(index as u32),
            Origin::Path(index) => text_column::From::Path(index as u32),
            Origin::Missing => text_column::From::Missing(true),
        }),
        guessed: column.rule.guessed,
        max_chars: column.rule.max_chars,
    });
    let schema = protobuf::Schema::try_from(read.schema().as_ref())
        .map_err(|e| DataFusionError::Plan(format!("a text scan's columns do not travel: {e}")))?;
    Ok(Some(v1::TextScan {
        columns: columns.collect(),
        schema: schema.encode_to_vec(),
        compression: compression_name(read.compression).to_string(),
        format: Some(format),
    }))
}

/// The node over the scan that travelled below it.
///
/// # Errors
/// The payload is damaged or comes from another version.
pub fn decode(node: v1::TextScan, scan: Arc<dyn ExecutionPlan>) -> Result<TextScanExec> {
    let damaged = |what: String| DataFusionError::Plan(format!("a text scan is damaged: {what}"));
    let schema = protobuf::Schema::decode(node.schema.as_slice())
        .map_err(|e| damaged(e.to_string()))
        .and_then(|s| Schema::try_from(&s).map_err(|e| damaged(e.to_string())))?;
    if schema.fields().len() != node.columns.len() {
        return Err(damaged("it has columns without types".into()));
    }
    let byte = |value: u32| u8::try_from(value).map_err(|e| damaged(e.to_string()));
    let format = match node.format {
        Some(text_scan::Format::Csv(csv)) => TextFormat::Csv(CsvFormat {
            delimiter: byte(csv.delimiter)?,
            quote: byte(csv.quote)?,
            header: csv.header,
            newlines_in_values: csv.newlines_in_values,
            null_values: csv.null_values,
            names: csv.names,
        }),
        Some(text_scan::Format::Json(json)) => TextFormat::Json(JsonFormat {
            names: json.names,
            ignore_others: json.ignore_others,
            null_values: json.null_values,
        }),
        None => return Err(damaged("it has no format".into())),
    };
    let names = format.names().len();
    let column = |(field, column): (&Arc<Field>, v1::TextColumn)| {
        Ok(TextColumn {
            name: field.name().clone(),
            from: match column.from {
                Some(text_column::From::File(index)) if (index as usize) < names => {
                    Origin::File(index as usize)
                }
                Some(text_column::From::Path(index)) => Origin::Path(index as usize),
                Some(text_column::From::Missing(_)) => Origin::Missing,
                _ => return Err(damaged("a column comes from nowhere".into())),
            },
            rule: CellRule {
                data_type: field.data_type().clone(),
                guessed: column.guessed,
                max_chars: column.max_chars,
            },
        })
    };
    let columns = schema.fields().iter().zip(node.columns).map(column);
    let read = TextScan {
        columns: columns.collect::<Result<_>>()?,
        compression: compression_named(&node.compression)?,
        format,
    };
    TextScanExec::try_new(scan, Arc::new(read))
}

pub(super) fn compression_name(compression: FileCompressionType) -> &'static str {
    match compression {
        FileCompressionType::GZIP => "gzip",
        FileCompressionType::ZSTD => "zstd",
        FileCompressionType::BZIP2 => "bzip2",
        FileCompressionType::XZ => "xz",
        _ => "",
    }
}

fn compression_named(name: &str) -> Result<FileCompressionType> {
    Ok(match name {
        "" => FileCompressionType::UNCOMPRESSED,
        "gzip" => FileCompressionType::GZIP,
        "zstd" => FileCompressionType::ZSTD,
        "bzip2" => FileCompressionType::BZIP2,
        "xz" => FileCompressionType::XZ,
        other => {
            return Err(DataFusionError::Plan(format!(
                "this executor cannot unpack {other}"
            )));
        }
    })
}
