//! Runs a parsed template.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::ast::{Args, Expr, ExprKind, Filter, For, Macro, Stmt, Target, Template};
use super::budget::Budget;
use super::error::{Error, Span};
use super::value::{Arguments, BoundMacro, Host, Key, Object, Value};
use super::{filters, methods, ops, tests};

/// Names that every template of a rendering sees.
pub(crate) type Globals = BTreeMap<Rc<str>, Value>;

/// What a template gave.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) pieces: Vec<PieceOf>,
    /// Names that are not defined and were printed as nothing.
    pub(crate) undefined: Vec<(String, String, Span)>,
}

/// Where a stretch of the text comes from; it goes on to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PieceOf {
    /// Byte offset in the text.
    pub(crate) at: usize,
    /// Byte offset in the template.
    pub(crate) from: usize,
    /// The template's own text, character by character; else what an expression gave.
    pub(crate) is_literal: bool,
}

/// Names of a macro, loop or block, over those around it.
pub(crate) struct Scope {
    names: RefCell<BTreeMap<Rc<str>, Value>>,
    around: Option<Rc<Scope>>,
}

impl Scope {
    fn new(around: Option<Rc<Scope>>) -> Rc<Self> {
        Rc::new(Self {
            names: RefCell::default(),
            around,
        })
    }

    fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.names.borrow().get(name) {
                return Some(value.clone());
            }
            scope = scope.around.as_deref()?;
        }
    }

    fn set(&self, name: &Rc<str>, value: Value) {
        self.names.borrow_mut().insert(Rc::clone(name), value);
    }
}

/// What ends a body before its end.
pub(super) enum Stop {
    Error(Box<Error>),
    /// `return(…)` of dbt.
    Return(Value),
    /// `{% break %}` or `{% continue %}`, which the parser leaves to loops alone.
    Loop {
        goes_on: bool,
    },
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

type Run<T> = Result<T, Stop>;

/// Marks the error with which `return` leaves a macro; its value is kept in the interpreter.
const RETURN: &str = "\u{0}return";

/// One rendering.
pub(crate) struct Interp<'a> {
    pub(super) globals: &'a Globals,
    budget: &'a Budget,
    scope: Rc<Scope>,
    file: Rc<str>,
    /// The call that is running, for messages.
    at: Span,
    line_of: &'a dyn Fn(&str, usize) -> u32,
    returned: Option<Value>,
    undefined: Vec<(String, String, Span)>,
}

impl<'a> Interp<'a> {
    pub(crate) fn new(
        globals: &'a Globals,
        budget: &'a Budget,
        line_of: &'a dyn Fn(&str, usize) -> u32,
    ) -> Self {
        Self {
            globals,
            budget,
            scope: Scope::new(None),
            file: "".into(),
            at: Span::default(),
            line_of,
            returned: None,
            undefined: vec![],
        }
    }

    /// Renders a template.
    pub(crate) fn render(&mut self, template: &Template) -> Result<Output, Error> {
        self.file = Rc::clone(&template.file);
        self.scope = Scope::new(None);
        let mut out = Output::default();
        let ended = self.body(&template.body, &mut out);
        out.undefined = std::mem::take(&mut self.undefined);
        match ended {
            Ok(()) => Ok(out),
            Err(Stop::Error(mut error)) => {
                error.file.get_or_insert_with(|| template.file.to_string());
                Err(*error)
            }
            // As dbt: outside of a macro it ends the template.
            Err(Stop::Return(_)) => Ok(out),
            Err(Stop::Loop { .. }) => Err(outside_of_loops()),
        }
    }

    /// The macros that a template of macros defines.
    pub(crate) fn macros(template: &Template) -> Vec<(Rc<str>, Value, Span)> {
        let macros = template.body.iter().filter_map(|stmt| match stmt {
            Stmt::Macro(m) => {
                let bound = BoundMacro {
                    definition: Rc::clone(m),
                    scope: None,
                };
                Some((Rc::clone(&m.name), Value::Macro(Rc::new(bound)), m.at))
            }
            _ => None,
        });
        macros.collect()
    }

    fn body(&mut self, body: &[Stmt], out: &mut Output) -> Run<()> {
        self.budget.enter()?;
        let mut ended = Ok(());
        for stmt in body {
            ended = self.statement(stmt, out);
            if ended.is_err() {
                break;
            }
        }
        self.budget.depth.leave();
        ended
    }

    /// A body whose text is a value.
    fn captured(&mut self, body: &[Stmt]) -> Run<String> {
        let mut out = Output::default();
        self.body(body, &mut out)?;
        Ok(out.text)
    }

    fn put(&mut self, out: &mut Output, text: &str, from: usize, is_literal: bool) -> Run<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.budget.bytes(text.len())?;
        if out.text.len() + text.len() > super::budget::TEXT_MAX {
            self.budget.text(usize::MAX)?;
        }
        out.pieces.push(PieceOf {
            at: out.text.len(),
            from,
            is_literal,
        });
        out.text.push_str(text);
        Ok(())
    }

    /// Where a name that is not defined counts for something: it prints as nothing, equals nothing, has no items.
    fn note_undefined(&mut self, value: &Value, at: Span) {
        if let Value::Undefined(name) = value
            && !name.is_empty()
            && self.undefined.len() < 100
        {
            self.undefined
                .push((self.file.to_string(), name.to_string(), at));
        }
    }

    /// What has no place of its own, such as a limit that is reached, has that of its statement: a macro's, not its call's.
    fn statement(&mut self, stmt: &Stmt, out: &mut Output) -> Run<()> {
        let ended = self.do_statement(stmt, out);
        match stmt.place() {
            Some(at) => ended.map_err(|stop| placed(stop, at)),
            None => ended,
        }
    }

    fn do_statement(&mut self, stmt: &Stmt, out: &mut Output) -> Run<()> {
        self.budget.step()?;
        match stmt {
            Stmt::Text { text, at } => self.put(out, text, *at, true),
            Stmt::Output { expr, tag } => {
                let value = self.eval(expr)?;
                self.note_undefined(&value, expr.at);
                let text = self.printed(&value).map_err(|e| placed(e, expr.at))?;
                self.put(out, &text, tag.start, false)
            }
            Stmt::Do { expr } => self.eval(expr).map(|_| ()),
            Stmt::If {
                branches,
                otherwise,
            } => {
                for (condition, body) in branches {
                    if self.eval(condition)?.is_true() {
                        return self.body(body, out);
                    }
                }
                self.body(otherwise, out)
            }
            Stmt::For(of) => {
                let iter = self.eval(&of.iter)?;
                self.note_undefined(&iter, of.iter.at);
                self.for_loop(of, &iter, out)
            }
            Stmt::Set { targets, expr } => {
                let value = self.eval(expr)?;
                self.assign_all(targets, value, expr.at)
            }
            Stmt::SetBlock {
                target,
                filters,
                body,
            } => {
                let text = self.in_scope(|me| me.captured(body))?;
                let mut value = Value::str(text);
                for filter in filters {
                    value = self.filter(value, filter)?;
                }
                self.assign(target, value, Span::default())
            }
            Stmt::Macro(definition) => {
                let bound = BoundMacro {
                    definition: Rc::clone(definition),
                    scope: Some(Rc::clone(&self.scope)),
                };
                self.scope
                    .set(&definition.name, Value::Macro(Rc::new(bound)));
                Ok(())
            }
            Stmt::CallBlock { caller, call, tag } => {
                let bound = BoundMacro {
                    definition: Rc::clone(caller),
                    scope: Some(Rc::clone(&self.scope)),
                };
                let caller = Value::Macro(Rc::new(bound));
                let ExprKind::Call(callee, args) = &call.kind else {
                    return Err(Error::new("call needs a call of a macro", call.at).into());
                };
                let mut arguments = self.arguments(args)?;
                arguments.named.push(("caller".into(), caller));
                let value = self.call_expr(callee, arguments, call.at)?;
                let text = self.printed(&value).map_err(|e| placed(e, call.at))?;
                self.put(out, &text, tag.start, false)
            }
            Stmt::FilterBlock { filters, body, tag } => {
                let text = self.in_scope(|me| me.captured(body))?;
                let mut value = Value::str(text);
                for filter in filters {
                    value = self.filter(value, filter)?;
                }
                let text = self.printed(&value)?;
                self.put(out, &text, tag.start, false)
            }
            Stmt::With { sets, body } => self.in_scope(|me| {
                for (target, expr) in sets {
                    let value = me.eval(expr)?;
                    me.assign(target, value, expr.at)?;
                }
                me.body(body, out)
            }),
            Stmt::Break => Err(Stop::Loop { goes_on: false }),
            Stmt::Continue => Err(Stop::Loop { goes_on: true }),
        }
    }

    fn in_scope<T>(&mut self, f: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        let around = Rc::clone(&self.scope);
        self.scope = Scope::new(Some(Rc::clone(&around)));
        let result = f(self);
        self.scope = around;
        result
    }

    fn for_loop(&mut self, of: &For, iter: &Value, out: &mut Output) -> Run<()> {
        let mut items = ops::items(iter, self.budget).map_err(|e| placed(e.into(), of.iter.at))?;
        if let Some(filter) = &of.filter {
            let mut kept = vec![];
            for item in items {
                let keep = self.in_scope(|me| {
                    me.assign_all(&of.targets, item.clone(), of.iter.at)?;
                    me.eval(filter)
                })?;
                if keep.is_true() {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.in_scope(|me| me.body(&of.otherwise, out));
        }
        let items = Rc::new(items);
        let changed = Rc::new(RefCell::new(None));
        for at in 0..items.len() {
            self.budget.step()?;
            let ended = self.in_scope(|me| {
                me.assign_all(&of.targets, items[at].clone(), of.iter.at)?;
                let names = Loop {
                    items: Rc::clone(&items),
                    at,
                    changed: Rc::clone(&changed),
                };
                me.scope.set(&"loop".into(), Value::object(names));
                me.body(&of.body, out)
            });
            match ended {
                Ok(()) | Err(Stop::Loop { goes_on: true }) => {}
                Err(Stop::Loop { goes_on: false }) => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn assign_all(&mut self, targets: &[Target], value: Value, at: Span) -> Run<()> {
        match targets {
            [one] => self.assign(one, value, at),
            many => self.unpack(many, &value, at),
        }
    }

    fn unpack(&mut self, targets: &[Target], value: &Value, at: Span) -> Run<()> {
        let items = ops::items(value, self.budget).map_err(|e| e.placed(at))?;
        if items.len() != targets.len() {
            let cause = format!(
                "cannot unpack {} values into {} names",
                items.len(),
                targets.len()
            );
            return Err(Error::new(cause, at).into());
        }
        for (target, item) in targets.iter().zip(items) {
            self.assign(target, item, at)?;
        }
        Ok(())
    }

    fn assign(&mut self, target: &Target, value: Value, at: Span) -> Run<()> {
        match target {
            Target::Name(name) => {
                self.scope.set(name, value);
                Ok(())
            }
            Target::Tuple(inner) => self.unpack(inner, &value, at),
            Target::Attribute { object, name, at } => match self.name(object) {
                Some(Value::Namespace(namespace)) => {
                    self.budget.bytes(64 + name.len())?;
                    namespace.with(|n| n.insert(Key::Str(Rc::clone(name)), value));
                    Ok(())
                }
                _ => Err(Error::new(
                    format!("{object} is no namespace: only attributes of namespace() can be set"),
                    *at,
                )
                .into()),
            },
        }
    }

    fn name(&self, name: &str) -> Option<Value> {
        self.scope
            .get(name)
            .or_else(|| self.globals.get(name).cloned())
    }

    fn printed(&mut self, value: &Value) -> Run<String> {
        let text = value.printed().map_err(Error::unplaced)?;
        self.budget.text(text.len())?;
        Ok(text)
    }

    pub(super) fn eval(&mut self, expr: &Expr) -> Run<Value> {
        self.budget.step().map_err(|e| e.placed(expr.at))?;
        self.budget.enter().map_err(|e| e.placed(expr.at))?;
        let value = self.eval_kind(expr);
        self.budget.depth.leave();
        value.map_err(|stop| placed(stop, expr.at))
    }

    fn eval_kind(&mut self, expr: &Expr) -> Run<Value> {
        Ok(match &expr.kind {
            ExprKind::None => Value::None,
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::Int(n) => Value::Int(*n),
            ExprKind::Float(n) => Value::Float(*n),
            ExprKind::Str(s) => Value::Str(Rc::clone(s)),
            ExprKind::Name(name) => {
                let value = self
                    .name(name)
                    .unwrap_or_else(|| Value::Undefined(Rc::clone(name)));
                match &value {
                    Value::Object(object) => object.refused().map_or(Ok(value), Err)?,
                    _ => value,
                }
            }
            ExprKind::List(items) => Value::list(self.all(items)?),
            ExprKind::Tuple(items) => Value::tuple(self.all(items)?),
            ExprKind::Dict(entries) => {
                self.budget.bytes(entries.len() * 64)?;
                let mut made = vec![];
                for (key, value) in entries {
                    let key = self.eval(key)?.key().map_err(|e| Error::new(e, key.at))?;
                    made.push((key, self.eval(value)?));
                }
                Value::dict_of(made)
            }
            ExprKind::Attribute(of, name) => {
                let of = self.eval(of)?;
                methods::attribute(&of, name)
            }
            ExprKind::Item(of, index) => {
                let (of, index) = (self.eval(of)?, self.eval(index)?);
                methods::item(&of, &index)?
            }
            ExprKind::Slice(of, parts) => {
                let of = self.eval(of)?;
                let mut bounds = [None, None, None];
                for (bound, part) in bounds.iter_mut().zip(parts) {
                    if let Some(part) = part {
                        match self.eval(part)? {
                            Value::None => {}
                            Value::Int(n) => *bound = Some(n),
                            other => {
                                return Err(Error::new(
                                    format!("a slice needs whole numbers, not {}", other.kind()),
                                    part.at,
                                )
                                .into());
                            }
                        }
                    }
                }
                ops::slice(&of, bounds, self.budget)?
            }
            ExprKind::Call(callee, args) => {
                let args = self.arguments(args)?;
                self.call_expr(callee, args, expr.at)?
            }
            ExprKind::Filter(of, filter) => {
                let of = self.eval(of)?;
                self.filter(of, filter)?
            }
            ExprKind::Test {
                value,
                name,
                args,
                negated,
            } => {
                let value = self.eval(value)?;
                let args = self.arguments(args)?;
                Value::Bool(tests::test(self, name, &value, args)? != *negated)
            }
            ExprKind::Not(inner) => Value::Bool(!self.eval(inner)?.is_true()),
            ExprKind::Neg(inner) => ops::negative(&self.eval(inner)?)?,
            ExprKind::Pos(inner) => {
                let value = self.eval(inner)?;
                match value.number() {
                    Some(_) => value,
                    None => {
                        return Err(Error::unplaced(format!(
                            "+ needs a number, not {}",
                            value.kind()
                        ))
                        .into());
                    }
                }
            }
            ExprKind::And(left, right) => {
                let left = self.eval(left)?;
                if left.is_true() {
                    self.eval(right)?
                } else {
                    left
                }
            }
            ExprKind::Or(left, right) => {
                let left = self.eval(left)?;
                if left.is_true() {
                    left
                } else {
                    self.eval(right)?
                }
            }
            ExprKind::Concat(parts) => {
                let mut text = String::new();
                for part in parts {
                    let value = self.eval(part)?;
                    self.note_undefined(&value, part.at);
                    let more = self.printed(&value)?;
                    self.budget.text(text.len() + more.len())?;
                    text.push_str(&more);
                }
                Value::str(text)
            }
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                ops::binary(*op, &left, &right, self.budget)?
            }
            ExprKind::Compare(first, rest) => {
                let mut left = self.eval(first)?;
                self.note_undefined(&left, first.at);
                for (op, written) in rest {
                    let right = self.eval(written)?;
                    self.note_undefined(&right, written.at);
                    if !ops::compare(*op, &left, &right, self.budget)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Value::Bool(true)
            }
            ExprKind::IfElse {
                condition,
                then,
                otherwise,
            } => {
                if self.eval(condition)?.is_true() {
                    self.eval(then)?
                } else if let Some(otherwise) = otherwise {
                    self.eval(otherwise)?
                } else {
                    // `{{ ',' if not loop.last }}`: nothing, on purpose, and so without a name.
                    Value::Undefined("".into())
                }
            }
        })
    }

    fn all(&mut self, items: &[Expr]) -> Run<Vec<Value>> {
        self.budget.items(items.len() + 2)?;
        items.iter().map(|item| self.eval(item)).collect()
    }

    fn arguments(&mut self, args: &Args) -> Run<Arguments> {
        let mut found = Arguments {
            positional: self.all(&args.positional)?,
            named: vec![],
        };
        for star in &args.star {
            let more = self.eval(star)?;
            found
                .positional
                .extend(ops::items(&more, self.budget).map_err(|e| e.placed(star.at))?);
        }
        for (name, expr) in &args.named {
            found.named.push((Rc::clone(name), self.eval(expr)?));
        }
        for star in &args.star_star {
            let Value::Dict(more) = self.eval(star)? else {
                return Err(Error::new("** needs a dictionary", star.at).into());
            };
            for (key, value) in more.entries() {
                let name = key.value().printed().map_err(Error::unplaced)?;
                found.named.push((name.into(), value));
            }
        }
        Ok(found)
    }

    fn call_expr(&mut self, callee: &Expr, args: Arguments, at: Span) -> Run<Value> {
        if let ExprKind::Attribute(of, name) = &callee.kind {
            let of = self.eval(of)?;
            if let Value::Undefined(undefined) = &of {
                return Err(Error::new(format!("{undefined} is not defined"), at)
                    .token(undefined.to_string())
                    .into());
            }
            let before = std::mem::replace(&mut self.at, at);
            let called = methods::call(self, &of, name, args);
            self.at = before;
            return self.unreturned(called);
        }
        let callee_value = self.eval(callee)?;
        let before = std::mem::replace(&mut self.at, at);
        let called = self.call_value(&callee_value, args);
        self.at = before;
        called
    }

    /// `return(…)` comes through functions as an error.
    fn unreturned(&mut self, called: Result<Value, Error>) -> Run<Value> {
        match called {
            Err(error) if error.cause == RETURN => {
                Err(Stop::Return(self.returned.take().unwrap_or(Value::None)))
            }
            other => other.map_err(Stop::from),
        }
    }

    /// Calls a function, macro or method.
    pub(super) fn call_value(&mut self, callee: &Value, args: Arguments) -> Run<Value> {
        match callee {
            Value::Function(f) if f.name == "return" => {
                let mut args = args;
                Err(Stop::Return(args.take(0, "data").unwrap_or(Value::None)))
            }
            Value::Function(f) => {
                let f = Rc::clone(f);
                let called = (f.call)(self, args);
                self.unreturned(called)
            }
            Value::Macro(m) => self.call_macro(m, args),
            Value::Method(method) => {
                let called = methods::call(self, &method.0, &method.1, args);
                self.unreturned(called)
            }
            Value::Object(object) => match object.call("__call__", args) {
                Some(called) => self.unreturned(called),
                None => Err(Error::unplaced(format!("{} cannot be called", object.print())).into()),
            },
            Value::Undefined(name) => Err(Error::unplaced(format!("{name} is not defined"))
                .token(name.to_string())
                .into()),
            other => Err(Error::unplaced(format!("{} cannot be called", other.kind())).into()),
        }
    }

    fn call_macro(&mut self, bound: &BoundMacro, args: Arguments) -> Run<Value> {
        let definition = Rc::clone(&bound.definition);
        let entered = self.budget.enter_call(&definition.name);
        if let Err(error) = entered {
            self.budget.calls.leave();
            return Err(error.into());
        }
        let scope = Scope::new(bound.scope.clone());
        let around = std::mem::replace(&mut self.scope, scope);
        let file = std::mem::replace(&mut self.file, Rc::clone(&definition.file));
        let result = self
            .bind(&definition, args)
            .and_then(|()| self.captured(&definition.body));
        let inner_file = std::mem::replace(&mut self.file, file);
        self.scope = around;
        self.budget.calls.leave();
        match result {
            Ok(text) => Ok(Value::str(text)),
            // A caller's block is part of the template around it: what it returns, that one returns.
            Err(Stop::Return(value)) if &*definition.name != "caller" => Ok(value),
            Err(stop @ (Stop::Return(_) | Stop::Loop { .. })) => Err(stop),
            Err(Stop::Error(mut error)) => {
                if error.file.is_none() && error.at.is_some() {
                    error.file = Some(inner_file.to_string());
                    if definition.name != "caller".into() && error.notes.len() < 6 {
                        let line = (self.line_of)(&self.file, self.at.start);
                        error.notes.push(format!(
                            "macro {} is called in {}:{line}",
                            definition.name, self.file
                        ));
                    }
                }
                Err(Stop::Error(error))
            }
        }
    }

    fn bind(&mut self, definition: &Macro, mut args: Arguments) -> Run<()> {
        let name = &definition.name;
        let given = std::mem::take(&mut args.positional);
        let mut given = given.into_iter();
        for (param, default) in &definition.params {
            let named = args.named.iter().position(|(n, _)| n == param);
            let value = match (given.next(), named) {
                (Some(_), Some(_)) => {
                    return Err(
                        Error::unplaced(format!("{name} got argument {param} twice")).into(),
                    );
                }
                (Some(value), None) => value,
                (None, Some(at)) => args.named.remove(at).1,
                (None, None) => match default {
                    Some(default) => self.eval(default)?,
                    None => Value::Undefined(Rc::clone(param)),
                },
            };
            self.scope.set(param, value);
        }
        let varargs: Vec<Value> = given.collect();
        let caller = args.named.iter().position(|(n, _)| &**n == "caller");
        if let Some(at) = caller {
            let (name, caller) = args.named.remove(at);
            self.scope.set(&name, caller);
        }
        let uses = |what: &str| uses(&definition.body, what);
        if !varargs.is_empty() && !uses("varargs") {
            let takes = definition.params.len();
            return Err(Error::unplaced(format!(
                "macro {name} takes {takes} arguments and got {}",
                takes + varargs.len()
            ))
            .into());
        }
        if let Some((unknown, _)) = args.named.first().filter(|_| !uses("kwargs")) {
            return Err(
                Error::unplaced(format!("macro {name} has no argument {unknown}"))
                    .token(unknown.to_string())
                    .into(),
            );
        }
        self.scope.set(&"varargs".into(), Value::tuple(varargs));
        self.scope.set(&"kwargs".into(), Value::dict(args.named));
        Ok(())
    }

    fn filter(&mut self, value: Value, filter: &Filter) -> Run<Value> {
        let args = self.arguments(&filter.args)?;
        filters::filter(self, &filter.name, value, args)
            .map_err(|error| Stop::from(error.placed(filter.at)))
    }
}

/// Whether statements name `what`: Jinja gives varargs and kwargs only to macros that use them.
fn uses(body: &[Stmt], what: &str) -> bool {
    // The printed tree holds every name; macros are short.
    format!("{body:?}").contains(&format!("Name({what:?})"))
}

fn outside_of_loops() -> Error {
    Error::unplaced("break or continue stands outside of a for loop")
}

fn placed(stop: Stop, at: Span) -> Stop {
    match stop {
        Stop::Error(mut error) => {
            // An error with a file has its place there.
            if error.file.is_none() {
                error.at.get_or_insert(at);
            }
            Stop::Error(error)
        }
        other => other,
    }
}

impl Host for Interp<'_> {
    fn budget(&self) -> &Budget {
        self.budget
    }

    fn call(&mut self, callee: &Value, args: Arguments) -> Result<Value, Error> {
        match self.call_value(callee, args) {
            Ok(value) => Ok(value),
            Err(Stop::Error(error)) => Err(*error),
            Err(Stop::Return(value)) => {
                self.returned = Some(value);
                Err(Error::unplaced(RETURN))
            }
            Err(Stop::Loop { .. }) => Err(outside_of_loops()),
        }
    }

    fn place(&self) -> (String, u32) {
        (
            self.file.to_string(),
            (self.line_of)(&self.file, self.at.start),
        )
    }
}

/// `loop` inside a for loop.
struct Loop {
    items: Rc<Vec<Value>>,
    at: usize,
    changed: Rc<RefCell<Option<Value>>>,
}

impl Object for Loop {
    fn get(&self, name: &str) -> Option<Value> {
        let (at, length) = (self.at as i64, self.items.len() as i64);
        let neighbour = |i: Option<usize>| i.and_then(|i| self.items.get(i)).cloned();
        Some(match name {
            "index" => Value::Int(at + 1),
            "index0" => Value::Int(at),
            "revindex" => Value::Int(length - at),
            "revindex0" => Value::Int(length - at - 1),
            "first" => Value::Bool(at == 0),
            "last" => Value::Bool(at + 1 == length),
            "length" => Value::Int(length),
            "depth" => Value::Int(1),
            "depth0" => Value::Int(0),
            "previtem" => neighbour(self.at.checked_sub(1))?,
            "nextitem" => neighbour(Some(self.at + 1))?,
            _ => return None,
        })
    }

    fn print(&self) -> String {
        format!("<loop {}/{}>", self.at + 1, self.items.len())
    }

    fn call(&self, method: &str, args: Arguments) -> Option<Result<Value, Error>> {
        match method {
            "cycle" => {
                let args = args.positional;
                if args.is_empty() {
                    return Some(Err(Error::unplaced("loop.cycle needs values")));
                }
                Some(Ok(args[self.at % args.len()].clone()))
            }
            "changed" => {
                let now = Value::tuple(args.positional);
                let before = self.changed.replace(Some(now.clone()));
                Some(Ok(Value::Bool(
                    before.is_none_or(|before| !before.equals(&now)),
                )))
            }
            _ => None,
        }
    }
}
