//! The catalog's statements. `$1` placeholders and `ON CONFLICT` mean the same to SQLite and PostgreSQL.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, Row};

use super::database::{Db, Failure, kind};
use super::{ledger, owner};
use crate::error::Result;
use retail_api::TableName;

/// One row of `iceberg_tables`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) metadata_location: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    View,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::View => "VIEW",
        }
    }

    /// Engines before schema version 1 wrote no type: all they had were tables.
    fn parse(text: Option<&str>) -> Self {
        match text {
            Some("VIEW") => Self::View,
            _ => Self::Table,
        }
    }
}

const CREATE: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL,
        table_namespace VARCHAR(255) NOT NULL,
        table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000),
        previous_metadata_location VARCHAR(1000),
        iceberg_type VARCHAR(5),
        PRIMARY KEY (catalog_name, table_namespace, table_name))",
    "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL,
        namespace VARCHAR(255) NOT NULL,
        property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000),
        PRIMARY KEY (catalog_name, namespace, property_key))",
    ledger::CREATE,
    owner::CREATE,
];
const PROBE: [&str; 4] = [
    "SELECT iceberg_type FROM iceberg_tables WHERE 1 = 0",
    "SELECT property_key FROM iceberg_namespace_properties WHERE 1 = 0",
    ledger::PROBE,
    owner::PROBE,
];
const ADD_TYPE: &str = "ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)";

const ENTRIES: &str = "SELECT table_namespace, table_name, metadata_location, iceberg_type \
     FROM iceberg_tables WHERE catalog_name = $1 AND metadata_location IS NOT NULL";
const ENTRY: &str = "SELECT metadata_location, iceberg_type FROM iceberg_tables \
     WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3";
const DELETE: &str = "DELETE FROM iceberg_tables \
     WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3";
const SWAP: &str = "UPDATE iceberg_tables \
     SET metadata_location = $1, previous_metadata_location = $2, iceberg_type = $8 \
     WHERE catalog_name = $3 AND table_namespace = $4 AND table_name = $5 \
     AND metadata_location = $6 AND COALESCE(iceberg_type, 'TABLE') = $7";
const INSERT: &str = "INSERT INTO iceberg_tables \
     (catalog_name, table_namespace, table_name, metadata_location, previous_metadata_location, iceberg_type) \
     VALUES ($1, $2, $3, $4, NULL, $5) ON CONFLICT DO NOTHING";
const NAMESPACE: &str = "INSERT INTO iceberg_namespace_properties \
     (catalog_name, namespace, property_key, property_value) \
     VALUES ($1, $2, 'exists', 'true') ON CONFLICT DO NOTHING";

/// Creates the tables that are absent, and brings those of an older engine to schema version 1.
///
/// Changes nothing when they are as they should be: the role may have no right to create tables.
pub(crate) async fn create_tables(db: &Db) -> Result<()> {
    let mut outcome = Ok(());
    // Another process may be doing the same: whoever comes second fails, and finds everything in place.
    for _ in 0..2 {
        if probe(db).await? {
            return Ok(());
        }
        outcome = create(db).await.map_err(|e| db.failed(CREATING, &e));
    }
    match probe(db).await? {
        true => Ok(()),
        false => outcome,
    }
}

/// All in one transaction: nobody finds some of them.
async fn create(db: &Db) -> sqlx::Result<()> {
    // An older engine's table lacks a column; read outside of it, since a refusal ends PostgreSQL's transactions.
    let has_tables = answers(db, "SELECT table_name FROM iceberg_tables WHERE 1 = 0").await;
    let has_types = answers(db, PROBE[0]).await;
    let mut transaction = db.begin().await?;
    for statement in CREATE {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    if has_tables && !has_types {
        sqlx::query(ADD_TYPE).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn answers(db: &Db, statement: &str) -> bool {
    sqlx::query(statement).fetch_all(&db.pool).await.is_ok()
}

const CREATING: &str = "create the catalog's tables";

/// Whether all tables are there with their columns.
async fn probe(db: &Db) -> Result<bool> {
    for statement in PROBE {
        match sqlx::query(statement).fetch_all(&db.pool).await {
            Ok(_) => {}
            Err(e) if kind(&e) == Failure::Other => return Ok(false),
            Err(e) => return Err(db.failed(CREATING, &e)),
        }
    }
    Ok(true)
}

pub(crate) async fn entries(db: &Db, catalog: &str) -> Result<BTreeMap<TableName, Entry>> {
    const DOING: &str = "read the tables";
    db.check_present()?;
    let rows = sqlx::query(ENTRIES).bind(catalog).fetch_all(&db.pool).await;
    let mut entries = BTreeMap::new();
    for row in rows.map_err(|e| db.failed(DOING, &e))? {
        let read = || {
            let name = TableName::new(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?);
            let kind = row.try_get::<Option<String>, _>(3)?;
            let entry = Entry {
                metadata_location: row.try_get(2)?,
                kind: Kind::parse(kind.as_deref()),
            };
            Ok((name, entry))
        };
        let (name, entry) = read().map_err(|e| db.failed(DOING, &e))?;
        entries.insert(name, entry);
    }
    Ok(entries)
}

/// Deletes a row; whether there was one.
pub(crate) async fn delete(db: &Db, catalog: &str, name: &TableName) -> Result<bool> {
    const DOING: &str = "drop a table";
    db.check_present()?;
    let run = async {
        let mut transaction = db.begin().await?;
        let done = sqlx::query(DELETE)
            .bind(catalog)
            .bind(&name.namespace)
            .bind(&name.name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    };
    run.await.map_err(|e| db.failed(DOING, &e))
}

/// The row of one table, inside a transaction or out of it.
pub(crate) async fn entry(
    connection: &mut AnyConnection,
    catalog: &str,
    name: &TableName,
) -> sqlx::Result<Option<Entry>> {
    let row = sqlx::query(ENTRY)
        .bind(catalog)
        .bind(&name.namespace)
        .bind(&name.name)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let kind = row.try_get::<Option<String>, _>(1)?;
    Ok(Some(Entry {
        metadata_location: row.try_get::<Option<String>, _>(0)?.unwrap_or_default(),
        kind: Kind::parse(kind.as_deref()),
    }))
}

/// Points a table at `new` if it still points at `base`; a table without base must not exist. Whether it did.
pub(crate) async fn swap(
    connection: &mut AnyConnection,
    catalog: &str,
    name: &TableName,
    base: Option<&Entry>,
    new: &Entry,
) -> sqlx::Result<bool> {
    let query = match base {
        Some(base) => sqlx::query(SWAP)
            .bind(&new.metadata_location)
            .bind(&base.metadata_location)
            .bind(catalog)
            .bind(&name.namespace)
            .bind(&name.name)
            .bind(&base.metadata_location)
            .bind(base.kind.as_str())
            .bind(new.kind.as_str()),
        None => {
            sqlx::query(NAMESPACE)
                .bind(catalog)
                .bind(&name.namespace)
                .execute(&mut *connection)
                .await?;
            sqlx::query(INSERT)
                .bind(catalog)
                .bind(&name.namespace)
                .bind(&name.name)
                .bind(&new.metadata_location)
                .bind(new.kind.as_str())
        }
    };
    Ok(query.execute(connection).await?.rows_affected() == 1)
}
