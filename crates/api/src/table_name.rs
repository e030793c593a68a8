//! Names of tables and views: a namespace and a name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that no table can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    pub text: String,
    pub reason: String,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid table name {:?}: {}", self.text, self.reason)
    }
}

impl std::error::Error for InvalidName {}

/// `marts.fact_orders`: the key of a table or view in the catalog.
///
/// The namespace may itself have levels (`lake.marts`); the part after the last dot is the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    pub namespace: String,
    pub name: String,
}

impl TableName {
    /// A name from its two parts, unchecked: catalogs of other engines hold what they hold.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Refuses names that would leave the warehouse's folder, since both parts become folder names.
    pub fn check_creatable(&self) -> Result<(), InvalidName> {
        let invalid = |reason: &str| InvalidName {
            text: self.to_string(),
            reason: reason.to_owned(),
        };
        for level in self.namespace.split('.').chain([self.name.as_str()]) {
            if level.is_empty() {
                return Err(invalid("a part of it is empty"));
            }
            if let Some(bad) = level
                .chars()
                .find(|c| c.is_control() || "/\\%?#:*\"<>|".contains(*c))
            {
                return Err(invalid(&format!("it contains {bad:?}")));
            }
        }
        if self.name.contains('.') {
            return Err(invalid("the name after the namespace contains a dot"));
        }
        Ok(())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

impl FromStr for TableName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.rsplit_once('.') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self::new(namespace, name))
            }
            _ => Err(InvalidName {
                text: text.to_owned(),
                reason: "expected namespace.name".to_owned(),
            }),
        }
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_was_written() {
        let name: TableName = "lake.marts.fact_orders".parse().unwrap();
        assert_eq!(name, TableName::new("lake.marts", "fact_orders"));
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, "\"lake.marts.fact_orders\"");
        assert_eq!(serde_json::from_str::<TableName>(&json).unwrap(), name);
    }

    #[test]
    fn a_name_without_namespace_is_refused() {
        for text in ["orders", ".orders", "marts.", ""] {
            assert!(text.parse::<TableName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_name_that_leaves_the_warehouse_cannot_be_created() {
        for (namespace, name) in [("..", "x"), ("a/../b", "x"), ("a", "../x"), ("a", "b.c")] {
            assert!(TableName::new(namespace, name).check_creatable().is_err());
        }
        assert!(TableName::new("marts", "größe 2").check_creatable().is_ok());
    }
}
