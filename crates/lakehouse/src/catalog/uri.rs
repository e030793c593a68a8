//! The catalog's URI: which database it names.

use std::path::{Path, PathBuf};

use retail_storage::redact_uri;
use url::Url;

use crate::error::{LakehouseError, Result};

/// A database as a catalog URI names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite { file: PathBuf },
    Postgres { url: Url },
}

impl Database {
    pub(crate) fn parse(uri: &str) -> Result<Self> {
        let invalid = |reason: &str| LakehouseError::InvalidConfig {
            key: "catalog.uri",
            reason: format!("{}: {reason}", redact_uri(uri)),
        };
        match uri.split_once("://") {
            Some(("sqlite", path)) => {
                let path = path.split('?').next().unwrap_or_default();
                if !Path::new(path).is_absolute() || path.ends_with('/') {
                    return Err(invalid("expected sqlite:///absolute/path/catalog.db"));
                }
                Ok(Self::Sqlite { file: path.into() })
            }
            Some(("postgresql" | "postgres", _)) => {
                // The parser's own text may quote a piece of a password that contains reserved characters.
                let url = Url::parse(uri).map_err(|_| {
                    invalid("it does not parse; percent-encode reserved characters of the password")
                })?;
                Ok(Self::Postgres { url })
            }
            _ => Err(invalid("expected sqlite:///… or postgresql://…")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unparsable_uri_does_not_show_its_password() {
        for uri in [
            "postgresql://etl:s3/c#r@et@db/lake",
            "mysql://etl:s3cret@db/lake",
            "etl:s3cret@db",
        ] {
            let error = Database::parse(uri).unwrap_err().to_string();
            assert!(!error.contains("s3"), "{error}");
        }
    }

    #[test]
    fn only_absolute_files_and_postgresql_are_catalogs() {
        let file = Database::parse("sqlite:///data/catalog.db").unwrap();
        assert_eq!(
            file,
            Database::Sqlite {
                file: "/data/catalog.db".into()
            }
        );
        for uri in [
            "sqlite://catalog.db",
            "sqlite::memory:",
            "/data/catalog.db",
            "http://x/y",
        ] {
            assert!(Database::parse(uri).is_err(), "{uri}");
        }
    }
}
