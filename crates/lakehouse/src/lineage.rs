//! The source files that a published table was made of, remembered beside its metadata.
//!
//! ```text
//!   snapshot summary   retail.source-files   how many
//!                      retail.source-digest  SHA-256 over their names
//!                      retail.source-list    {location}/metadata/<uuid>-sources.json.gz: the names themselves
//! ```
//!
//! The summary stays small however many files there are. A run that finds the same digest in its base names the
//! base's list again and writes none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use iceberg::spec::Snapshot;
use iceberg::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{LakehouseError, Result};
use crate::lakehouse::Lakehouse;
use crate::table::LakeTable;
use crate::write::WriteTarget;

const COUNT: &str = "retail.source-files";
const DIGEST: &str = "retail.source-digest";
const LIST: &str = "retail.source-list";

/// The files of each source that a table's rows come from, directly or through the tables it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFiles {
    /// By source, as models name it: `raw.orders`.
    sources: BTreeMap<String, Arc<BTreeSet<String>>>,
}

impl SourceFiles {
    /// Adds the files of a source to those that are known of it.
    pub fn add(&mut self, source: &str, files: &Arc<BTreeSet<String>>) {
        match self.sources.get_mut(source) {
            None => {
                self.sources.insert(source.to_owned(), Arc::clone(files));
            }
            Some(known) if known == files => {}
            Some(known) => Arc::make_mut(known).extend(files.iter().cloned()),
        }
    }

    /// Adds everything that another table was made of.
    pub fn extend(&mut self, other: &Self) {
        for (source, files) in &other.sources {
            self.add(source, files);
        }
    }

    /// Each source with its files, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        let sources = self.sources.iter();
        sources.map(|(source, files)| (source.as_str(), files.as_ref()))
    }

    /// The files of one source; none when the table was not made of it.
    pub fn of(&self, source: &str) -> Option<&BTreeSet<String>> {
        self.sources.get(source).map(AsRef::as_ref)
    }

    pub fn is_empty(&self) -> bool {
        self.sources.values().all(|files| files.is_empty())
    }

    fn count(&self) -> usize {
        self.sources.values().map(|files| files.len()).sum()
    }

    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (source, files) in self.iter() {
            for file in files {
                for part in [source, "\0", file, "\n"] {
                    hash.update(part.as_bytes());
                }
            }
        }
        hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            hex.push_str(&format!("{byte:02x}"));
            hex
        })
    }
}

impl Lakehouse {
    /// Writes down what a table is made of, and returns the properties of its snapshot's summary.
    ///
    /// # Errors
    /// The list cannot be written.
    pub async fn remember_sources(
        &self,
        target: &WriteTarget,
        files: &SourceFiles,
    ) -> Result<HashMap<String, String>> {
        if files.is_empty() {
            return Ok(HashMap::new());
        }
        let digest = files.digest();
        let known = target.base().and_then(|base| recorded(base, &digest));
        let list = match known {
            Some(list) => list,
            None => {
                let location = format!(
                    "{}/metadata/{}-sources.json.gz",
                    target.location(),
                    Uuid::new_v4()
                );
                let failed =
                    LakehouseError::metadata(target.name(), "write the list of source files");
                self.write_list(&location, files).await.map_err(failed)?;
                location
            }
        };
        let entries = [
            (COUNT, files.count().to_string()),
            (DIGEST, digest),
            (LIST, list),
        ];
        Ok(entries.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// The source files of the newest snapshot that records them; none for a table without any, or whose list
    /// was removed by another engine's clean-up.
    ///
    /// # Errors
    /// The list is there and cannot be read.
    pub async fn sources_of(&self, table: &LakeTable) -> Result<Option<SourceFiles>> {
        let Some(list) = newest(table).and_then(|snapshot| entry(snapshot, LIST)) else {
            return Ok(None);
        };
        let failed =
            |error| LakehouseError::metadata(table.name(), "read the list of source files")(error);
        let input = self.file_io().new_input(list).map_err(failed)?;
        if !input.exists().await.map_err(failed)? {
            return Ok(None);
        }
        let packed = input.read().await.map_err(failed)?;
        unpack(&packed).map(Some).map_err(failed)
    }

    async fn write_list(&self, location: &str, files: &SourceFiles) -> iceberg::Result<()> {
        let output = self.file_io().new_output(location)?;
        output.write(pack(files)?).await
    }
}

fn pack(files: &SourceFiles) -> iceberg::Result<Bytes> {
    let text = serde_json::to_vec(files)?;
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&text).map_err(invalid)?;
    Ok(packer.finish().map_err(invalid)?.into())
}

fn unpack(packed: &[u8]) -> iceberg::Result<SourceFiles> {
    let mut text = Vec::new();
    GzDecoder::new(packed)
        .read_to_end(&mut text)
        .map_err(invalid)?;
    Ok(serde_json::from_slice(&text)?)
}

fn invalid(error: std::io::Error) -> Error {
    Error::new(ErrorKind::DataInvalid, "the list is no gzip file").with_source(error)
}

/// Where a base keeps a list with this digest.
fn recorded(base: &LakeTable, digest: &str) -> Option<String> {
    let snapshot = newest(base)?;
    (entry(snapshot, DIGEST)? == digest).then(|| entry(snapshot, LIST).map(str::to_owned))?
}

/// The newest snapshot of the current one's line that records its source files: others may have written since.
fn newest(table: &LakeTable) -> Option<&Snapshot> {
    table
        .line()
        .find(|snapshot| entry(snapshot, LIST).is_some())
}

fn entry<'a>(snapshot: &'a Snapshot, key: &str) -> Option<&'a str> {
    let found = snapshot.summary().additional_properties.get(key)?;
    Some(found.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Harness, file, stage, target, two_columns};
    use crate::{DataFiles, Staged, WriteMode};

    fn files(names: &[&str]) -> SourceFiles {
        let mut files = SourceFiles::default();
        let names = names.iter().map(|&name| name.to_owned()).collect();
        files.add("raw.orders", &Arc::new(names));
        files
    }

    /// Publishes a table that records its source files.
    async fn made_of(harness: &Harness, sources: &SourceFiles) {
        let name = "marts.a";
        let base = crate::testing::load(&harness.lakehouse, name).await;
        let target = target(&harness.lakehouse, name, base.as_ref(), &two_columns(), &[]);
        let summary = harness
            .lakehouse
            .remember_sources(&target, sources)
            .await
            .unwrap();
        let files = DataFiles(vec![file(&target, 1, &[])]);
        let staged = harness
            .lakehouse
            .stage(&target, WriteMode::Overwrite, files, summary);
        let staged: Staged = staged.await.unwrap().into();
        harness.lakehouse.publish("p", &[staged]).await.unwrap();
    }

    fn lists(harness: &Harness) -> usize {
        let mut found = 0;
        let mut folders = vec![harness.folder.path().join("warehouse")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.display().to_string();
                found += usize::from(name.ends_with("-sources.json.gz"));
                folders.extend(path.is_dir().then_some(path));
            }
        }
        found
    }

    #[tokio::test]
    async fn a_table_remembers_its_source_files_whoever_writes_after_it() {
        let harness = Harness::new().await;
        made_of(&harness, &files(&["/in/1.csv", "/in/2.csv"])).await;
        let foreign = stage(&harness.lakehouse, "marts.a", WriteMode::Append, 1).await;
        harness
            .lakehouse
            .publish("p", &[foreign.into()])
            .await
            .unwrap();
        let table = harness.load("marts.a").await;
        let found = harness.lakehouse.sources_of(&table).await.unwrap();
        assert_eq!(found, Some(files(&["/in/1.csv", "/in/2.csv"])));

        // The same files again: no second list.
        made_of(&harness, &files(&["/in/1.csv", "/in/2.csv"])).await;
        assert_eq!(lists(&harness), 1);
        made_of(&harness, &files(&["/in/1.csv"])).await;
        assert_eq!(lists(&harness), 2);
        let table = harness.load("marts.a").await;
        let found = harness.lakehouse.sources_of(&table).await.unwrap();
        assert_eq!(found, Some(files(&["/in/1.csv"])));
    }

    #[test]
    fn what_two_tables_were_made_of_adds_up() {
        let mut all = files(&["/in/1.csv"]);
        all.extend(&files(&["/in/2.csv"]));
        assert_eq!(all, files(&["/in/1.csv", "/in/2.csv"]));
        assert_eq!(unpack(&pack(&all).unwrap()).unwrap(), all);
    }
}
