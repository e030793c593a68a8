//! A statement's rows as Arrow IPC, cut into messages.

use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::record_batch::RecordBatch;
use retail_api::{Failure, FailureKind};
use retail_engine::statement::StatementRows;
use retail_proto::v1::sql_response::Response;

use super::sql::{Out, send};

/// Largest piece of Arrow IPC in one message; well below what a message may have.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Rows as one Arrow IPC stream, cut into messages. The schema comes first, even without rows.
pub(super) async fn send_rows(mut rows: StatementRows, out: &Out) -> Result<(), Box<Failure>> {
    let mut ipc = Ipc::new(&rows.schema())?;
    send_bytes(ipc.taken(), out).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 {
            send_bytes(ipc.write(&batch)?, out).await?;
        }
    }
    send_bytes(ipc.finish()?, out).await
}

/// An Arrow IPC stream in the making.
struct Ipc {
    writer: StreamWriter<Vec<u8>>,
}

impl Ipc {
    fn new(schema: &Schema) -> Result<Self, Box<Failure>> {
        Ok(Self {
            writer: StreamWriter::try_new(Vec::new(), schema).map_err(not_encoded)?,
        })
    }

    fn taken(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, Box<Failure>> {
        self.writer.write(batch).map_err(not_encoded)?;
        Ok(self.taken())
    }

    fn finish(&mut self) -> Result<Vec<u8>, Box<Failure>> {
        self.writer.finish().map_err(not_encoded)?;
        Ok(self.taken())
    }
}

fn not_encoded(error: datafusion::arrow::error::ArrowError) -> Box<Failure> {
    Box::new(
        Failure::new(FailureKind::Internal, "cannot send the rows")
            .cause(error.to_string())
            .caused_by(&error),
    )
}

async fn send_bytes(bytes: Vec<u8>, out: &Out) -> Result<(), Box<Failure>> {
    if bytes.len() <= CHUNK_BYTES {
        return match bytes.is_empty() {
            true => Ok(()),
            false => send(out, Response::ArrowIpc(bytes)).await,
        };
    }
    for chunk in bytes.chunks(CHUNK_BYTES) {
        send(out, Response::ArrowIpc(chunk.to_vec())).await?;
    }
    Ok(())
}
