//! Macros by package: the project's own, and those of dbt, `dbt_utils` and `dbt_date` that are built in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use retail_api::{Failure, FailureKind};

use super::super::jinja::{Error, Globals, Interp, Object, Value, parse};
use super::dbt::Adapter;
use retail_api::suggest::did_you_mean;

/// The packages that are built in, as Jinja.
const BUILT_IN: [(&str, &str); 3] = [
    ("dbt", include_str!("../builtin/dbt.sql")),
    ("dbt_utils", include_str!("../builtin/dbt_utils.sql")),
    ("dbt_date", include_str!("../builtin/dbt_date.sql")),
];

/// What `dbt_utils` has that needs rows or columns before anything runs, with the way out.
const NEEDS_DATABASE: [(&str, &str); 14] = [
    ("star", "write the columns, or * EXCLUDE (a, b)"),
    (
        "get_column_values",
        "pass the values with --vars, or write them as a list",
    ),
    (
        "get_filtered_columns_in_relation",
        "write the columns as a list",
    ),
    (
        "get_relations_by_pattern",
        "name the tables with ref and source",
    ),
    (
        "get_relations_by_prefix",
        "name the tables with ref and source",
    ),
    (
        "get_tables_by_pattern_sql",
        "name the tables with ref and source",
    ),
    (
        "get_tables_by_prefix_sql",
        "name the tables with ref and source",
    ),
    (
        "get_query_results_as_dict",
        "write the query as a model and join it",
    ),
    ("get_single_value", "write the query as a model and join it"),
    ("get_columns_in_relation", "write the columns as a list"),
    ("union_relations", "write the SELECTs with UNION ALL"),
    ("unpivot", "write one SELECT a column with UNION ALL"),
    ("get_intervals_between", "use generate_series"),
    (
        "surrogate_key",
        "use dbt_utils.generate_surrogate_key, as dbt_utils has done since 1.0",
    ),
];

/// The prefixes of adapters, in the order in which `dispatch` looks for them.
pub(super) const PREFIXES: [&str; 3] = ["retail__", "postgres__", "default__"];

/// All macros.
#[derive(Default)]
pub(super) struct Macros {
    own: RefCell<BTreeMap<Rc<str>, Value>>,
    built_in: RefCell<BTreeMap<&'static str, BTreeMap<Rc<str>, Value>>>,
    /// `dispatch:` of the project, by package.
    search: RefCell<BTreeMap<String, Vec<String>>>,
    project: RefCell<String>,
}

impl Macros {
    pub(super) fn put(&self, name: &Rc<str>, value: Value) {
        self.own.borrow_mut().insert(Rc::clone(name), value);
    }

    pub(super) fn search(&self, package: &str, order: Vec<String>) {
        self.search.borrow_mut().insert(package.to_string(), order);
    }

    /// Whether the project's macros go before those of a package.
    fn project_first(&self, package: &str) -> bool {
        match self.search.borrow().get(package) {
            Some(order) => order.first() == Some(&*self.project.borrow()),
            None => package == "dbt",
        }
    }

    /// The macro that `adapter.dispatch` gives.
    pub(super) fn dispatch(&self, name: &str, package: &str) -> Result<Value, Error> {
        let own = self.own.borrow();
        for prefix in PREFIXES {
            let full = format!("{prefix}{name}");
            if let Some(value) = own.get(full.as_str()) {
                return Ok(value.clone());
            }
        }
        let built_in = self.built_in.borrow();
        let found = built_in.get(package).and_then(|macros| macros.get(name));
        found.cloned().ok_or_else(|| {
            let wanted = PREFIXES.map(|prefix| format!("{prefix}{name}")).join(", ");
            Error::unplaced(format!("there is no macro {name} for this adapter"))
                .token(name.to_string())
                .note(format!("the macros {wanted} are looked for, in this order"))
        })
    }

    /// A macro of a package that is built in, or the project's that goes over it.
    fn of_package(&self, package: &str, name: &str) -> Option<Value> {
        if self.project_first(package) || self.search.borrow().contains_key(package) {
            let own = self.own.borrow();
            let prefixes = if self.project_first(package) {
                &PREFIXES[..]
            } else {
                &PREFIXES[..2]
            };
            let over = prefixes
                .iter()
                .find_map(|prefix| own.get(format!("{prefix}{name}").as_str()));
            if let Some(value) = over {
                return Some(value.clone());
            }
        }
        self.built_in.borrow().get(package)?.get(name).cloned()
    }
}

/// Puts the packages, the project's own namespace and `adapter` into `globals`.
///
/// # Errors
/// A built-in macro does not parse: a defect of ours.
pub(super) fn add(
    globals: &mut Globals,
    macros: &Rc<Macros>,
    project: &str,
) -> Result<(), Failure> {
    *macros.project.borrow_mut() = project.to_string();
    for (package, text) in BUILT_IN {
        let template = parse(package, text).map_err(|error| {
            Failure::new(
                FailureKind::Internal,
                format!("the macros of {package} do not parse"),
            )
            .cause(error.cause)
        })?;
        let found: BTreeMap<Rc<str>, Value> = Interp::macros(&template)
            .into_iter()
            .map(|(name, value, _)| (name, value))
            .collect();
        if package == "dbt" {
            // As in dbt, these are there without their package's name as well.
            for (name, value) in &found {
                globals
                    .entry(Rc::clone(name))
                    .or_insert_with(|| value.clone());
            }
        }
        macros.built_in.borrow_mut().insert(package, found);
        globals.insert(
            package.into(),
            Value::object(Package {
                name: package.to_string(),
                macros: Rc::clone(macros),
            }),
        );
    }
    let own = Package {
        name: project.to_string(),
        macros: Rc::clone(macros),
    };
    globals
        .entry(project.into())
        .or_insert_with(|| Value::object(own));
    globals.insert("adapter".into(), Value::object(Adapter(Rc::clone(macros))));
    Ok(())
}

/// All names of templates that the page on the format lists.
#[cfg(test)]
pub(super) fn listed_names() -> Vec<String> {
    let macros = BUILT_IN
        .into_iter()
        .filter_map(|(package, text)| parse(package, text).ok());
    let names = macros.flat_map(|template| Interp::macros(&template));
    let names = names
        .map(|(name, ..)| name.to_string())
        .filter(|name| !name.starts_with('_'));
    names.collect()
}

struct Package {
    name: String,
    macros: Rc<Macros>,
}

impl Object for Package {
    fn get(&self, name: &str) -> Option<Value> {
        if self.name == *self.macros.project.borrow() {
            return self.macros.own.borrow().get(name).cloned();
        }
        self.macros.of_package(&self.name, name)
    }

    fn print(&self) -> String {
        format!("package {}", self.name)
    }

    fn call(
        &self,
        method: &str,
        _: super::super::jinja::Arguments,
    ) -> Option<Result<Value, Error>> {
        let full = format!("{}.{method}", self.name);
        if let Some((_, way_out)) = NEEDS_DATABASE.iter().find(|(name, _)| *name == method) {
            let why = match method {
                "surrogate_key" => "is not there any more",
                _ => {
                    "needs the database while templates are rendered, which is before anything runs"
                }
            };
            return Some(Err(Error::unplaced(format!("{full} {why}"))
                .token(method.to_string())
                .note(*way_out)));
        }
        let names = self.names();
        let near = did_you_mean(method, names.iter().map(String::as_str));
        Some(Err(Error::unplaced(format!(
            "{full} is not built in{near}"
        ))
        .token(method.to_string())
        .note(
            "copy the macro to macros/ and call it without the package's name",
        )))
    }

    fn names(&self) -> Vec<String> {
        if self.name == *self.macros.project.borrow() {
            return self
                .macros
                .own
                .borrow()
                .keys()
                .map(|k| k.to_string())
                .collect();
        }
        let built_in = self.macros.built_in.borrow();
        let names = built_in
            .get(self.name.as_str())
            .into_iter()
            .flat_map(|m| m.keys());
        names
            .map(|k| k.to_string())
            .filter(|k| !k.starts_with('_'))
            .collect()
    }
}
