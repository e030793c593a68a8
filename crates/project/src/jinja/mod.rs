//! Jinja, as dbt's projects use it: an interpreter of our own, because a project is somebody's input to a server.
//!
//! Every step, every byte and every call is counted (`budget`), so that no template can stop or take down whoever
//! renders it; values behave and print as Python's (`value`); and each stretch of the output knows its place in the
//! template.

mod ast;
mod budget;
mod builtins;
mod datetime;
mod error;
mod expr;
mod filters;
mod format;
mod interp;
mod lexer;
#[cfg(test)]
mod meaning;
mod methods;
mod ops;
mod parse;
mod tests;
mod value;

pub(crate) use budget::{Budget, Limits};
pub(crate) use builtins::add as add_builtins;
pub(crate) use datetime::Moment;
pub(crate) use error::{Error, Span};
pub(crate) use interp::{Globals, Interp, Output, PieceOf};
pub(crate) use parse::parse;
use retail_api::suggest::did_you_mean;
pub(crate) use value::{Arguments, Object, Value};
