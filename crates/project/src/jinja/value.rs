//! Values of templates, which behave, compare and print as Python's do.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use indexmap::IndexMap;

use super::ast::Macro;
use super::budget::Budget;
use super::datetime::Moment;
use super::error::Error;

/// A value.
#[derive(Clone, Default)]
pub(crate) enum Value {
    /// Prints as nothing; the name is for messages.
    Undefined(Rc<str>),
    #[default]
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    List(Rc<List>),
    Tuple(Rc<List>),
    Set(Rc<Dict>),
    Dict(Rc<Dict>),
    /// `namespace(…)`: a dictionary whose attributes can be set.
    Namespace(Rc<Dict>),
    Moment(Rc<Moment>),
    Object(Rc<dyn Object>),
    Function(Rc<Function>),
    Macro(Rc<BoundMacro>),
    /// A method of a value: `names.append`.
    Method(Rc<(Value, Rc<str>)>),
    Range(Rc<(i64, i64, i64)>),
}

/// What the program gives to templates beyond Python's values: relations, `target`, `config`.
pub(crate) trait Object {
    /// An attribute or item; `None` is undefined.
    fn get(&self, name: &str) -> Option<Value>;
    /// How it prints.
    fn print(&self) -> String;
    /// Calls a method; `None` if there is none of that name.
    fn call(&self, _method: &str, _args: Arguments) -> Option<Result<Value, Error>> {
        None
    }
    /// Names for "did you mean".
    fn names(&self) -> Vec<String> {
        vec![]
    }
    /// Namespace and name of what is a table.
    fn parts(&self) -> Option<(String, String)> {
        None
    }
    /// Why nothing may be done with it: the error of whoever names it.
    fn refused(&self) -> Option<Error> {
        None
    }
}

/// What a function of the program does with its arguments.
type Call = dyn Fn(&mut dyn Host, Arguments) -> Result<Value, Error>;

/// A function of the program.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) call: Box<Call>,
}

/// What a function of the program may ask of the template that calls it.
pub(crate) trait Host {
    fn budget(&self) -> &Budget;
    /// Calls a value.
    fn call(&mut self, callee: &Value, args: Arguments) -> Result<Value, Error>;
    /// The file of the template or macro that calls, and its 1-based line.
    fn place(&self) -> (String, u32);
}

/// A macro, and for a caller or a macro inside a template, the names around it.
pub(crate) struct BoundMacro {
    pub(super) definition: Rc<Macro>,
    pub(super) scope: Option<Rc<super::interp::Scope>>,
}

/// Arguments of a call.
#[derive(Clone, Default)]
pub(crate) struct Arguments {
    pub(crate) positional: Vec<Value>,
    pub(crate) named: Vec<(Rc<str>, Value)>,
}

impl Arguments {
    /// The argument at `index` or of this name, taken out.
    pub(crate) fn take(&mut self, index: usize, name: &str) -> Option<Value> {
        if let Some(at) = self.named.iter().position(|(n, _)| &**n == name) {
            return Some(self.named.remove(at).1);
        }
        self.positional
            .get_mut(index)
            .map(|slot| std::mem::replace(slot, Value::None))
    }

    /// As [`Self::take`]; one that is missing is an error.
    pub(crate) fn need(&mut self, index: usize, name: &str, of: &str) -> Result<Value, Error> {
        self.take(index, name)
            .ok_or_else(|| Error::unplaced(format!("{of} needs {name}")))
    }
}

/// The items of a list or tuple.
#[derive(Default)]
pub(crate) struct List(RefCell<Vec<Value>>);

impl List {
    pub(crate) fn items(&self) -> Vec<Value> {
        self.0.borrow().clone()
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        f(&mut self.0.borrow_mut())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value> {
        self.0.borrow().get(index).cloned()
    }
}

/// The entries of a dictionary, a namespace or (values unused) a set, in the order they came.
#[derive(Default)]
pub(crate) struct Dict(RefCell<IndexMap<Key, Value>>);

impl Dict {
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut IndexMap<Key, Value>) -> T) -> T {
        f(&mut self.0.borrow_mut())
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Value> {
        self.0.borrow().get(key).cloned()
    }

    pub(crate) fn text(&self, key: &str) -> Option<Value> {
        self.get(&Key::Str(key.into()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(crate) fn keys(&self) -> Vec<Value> {
        self.0.borrow().keys().map(Key::value).collect()
    }

    pub(crate) fn entries(&self) -> Vec<(Key, Value)> {
        self.0
            .borrow()
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }
}

// Values hold values, a million deep if a template likes: they are let go one by one, not each inside the other.
impl Drop for List {
    fn drop(&mut self) {
        release(self.0.take());
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        release(self.0.take().into_values().collect());
    }
}

fn release(mut values: Vec<Value>) {
    while let Some(value) = values.pop() {
        match value {
            Value::List(list) | Value::Tuple(list) => {
                if let Some(list) = Rc::into_inner(list) {
                    values.append(&mut list.0.take());
                }
            }
            Value::Dict(dict) | Value::Set(dict) | Value::Namespace(dict) => {
                if let Some(dict) = Rc::into_inner(dict) {
                    values.extend(dict.0.take().into_values());
                }
            }
            Value::Method(method) => {
                if let Some((of, _)) = Rc::into_inner(method) {
                    values.push(of);
                }
            }
            _ => {}
        }
    }
}

/// A value that can be a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    None,
    Bool(bool),
    Int(i64),
    Float(u64),
    Str(Rc<str>),
    Tuple(Vec<Key>),
}

impl Key {
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::None => Value::None,
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(n) => Value::Int(*n),
            Self::Float(bits) => Value::Float(f64::from_bits(*bits)),
            Self::Str(s) => Value::Str(Rc::clone(s)),
            Self::Tuple(items) => Value::tuple(items.iter().map(Key::value).collect()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Str(s) => 48 + s.len(),
            Self::Tuple(items) => 48 + items.iter().map(Key::bytes).sum::<usize>(),
            _ => 48,
        }
    }
}

/// Deeper than this a value is not printed, compared or made a key of.
const DEPTH_MAX: usize = 64;

impl Value {
    pub(crate) fn str(text: impl Into<Rc<str>>) -> Self {
        Self::Str(text.into())
    }

    pub(crate) fn list(items: Vec<Value>) -> Self {
        Self::List(Rc::new(List(RefCell::new(items))))
    }

    pub(crate) fn tuple(items: Vec<Value>) -> Self {
        Self::Tuple(Rc::new(List(RefCell::new(items))))
    }

    pub(crate) fn dict<K: Into<Rc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (Key::Str(k.into()), v));
        Self::Dict(Rc::new(Dict(RefCell::new(entries.collect()))))
    }

    pub(crate) fn dict_of(entries: impl IntoIterator<Item = (Key, Value)>) -> Self {
        Self::Dict(Rc::new(Dict(RefCell::new(entries.into_iter().collect()))))
    }

    pub(crate) fn set(keys: impl IntoIterator<Item = Key>) -> Self {
        let entries = keys.into_iter().map(|k| (k, Value::None));
        Self::Set(Rc::new(Dict(RefCell::new(entries.collect()))))
    }

    pub(crate) fn namespace(entries: Vec<(Rc<str>, Value)>) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (Key::Str(k), v));
        Self::Namespace(Rc::new(Dict(RefCell::new(entries.collect()))))
    }

    pub(crate) fn function(
        name: &'static str,
        call: impl Fn(&mut dyn Host, Arguments) -> Result<Value, Error> + 'static,
    ) -> Self {
        Self::Function(Rc::new(Function {
            name,
            call: Box::new(call),
        }))
    }

    pub(crate) fn object(object: impl Object + 'static) -> Self {
        Self::Object(Rc::new(object))
    }

    /// From JSON (and so from YAML).
    pub(crate) fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::None,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(n) => Self::Int(n),
                None => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(s) => Self::str(s.as_str()),
            serde_json::Value::Array(items) => {
                Self::list(items.iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(map) => {
                Self::dict(map.iter().map(|(k, v)| (k.as_str(), Self::from_json(v))))
            }
        }
    }

    /// As JSON. The error names what has no JSON form.
    pub(crate) fn to_json(&self) -> Result<serde_json::Value, String> {
        self.json(0)
    }

    fn json(&self, depth: usize) -> Result<serde_json::Value, String> {
        if depth > DEPTH_MAX {
            return Err("a value that is nested too deeply".to_string());
        }
        Ok(match self {
            Self::None => serde_json::Value::Null,
            Self::Bool(b) => (*b).into(),
            Self::Int(n) => (*n).into(),
            Self::Float(n) => serde_json::Number::from_f64(*n)
                .ok_or("a float that is no number")?
                .into(),
            Self::Str(s) => s.to_string().into(),
            Self::List(items) | Self::Tuple(items) => items
                .items()
                .iter()
                .map(|v| v.json(depth + 1))
                .collect::<Result<Vec<_>, _>>()?
                .into(),
            Self::Dict(dict) => {
                let mut map = serde_json::Map::new();
                for (key, value) in dict.entries() {
                    map.insert(key.value().printed()?, value.json(depth + 1)?);
                }
                map.into()
            }
            Self::Object(object) => object.print().into(),
            other => return Err(other.kind().to_string()),
        })
    }

    /// What Python would call it, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "an undefined value",
            Self::None => "None",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Str(_) => "a text",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Set(_) => "a set",
            Self::Dict(_) => "a dictionary",
            Self::Namespace(_) => "a namespace",
            Self::Moment(m) => m.kind(),
            Self::Object(_) => "an object",
            Self::Function(_) => "a function",
            Self::Macro(_) => "a macro",
            Self::Method(_) => "a method",
            Self::Range(_) => "a range",
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(n) => *n != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::List(l) | Self::Tuple(l) => l.len() > 0,
            Self::Set(d) | Self::Dict(d) => d.len() > 0,
            Self::Range(r) => range_len(r) > 0,
            _ => true,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// The value as a key of a dictionary; the error is the cause.
    pub(crate) fn key(&self) -> Result<Key, String> {
        self.key_at(0)
    }

    fn key_at(&self, depth: usize) -> Result<Key, String> {
        Ok(match self {
            Self::None => Key::None,
            Self::Bool(b) => Key::Bool(*b),
            Self::Int(n) => Key::Int(*n),
            Self::Float(n) => Key::Float(n.to_bits()),
            Self::Str(s) => Key::Str(Rc::clone(s)),
            Self::Tuple(items) if depth < DEPTH_MAX => Key::Tuple(
                items
                    .items()
                    .iter()
                    .map(|v| v.key_at(depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Object(object) => Key::Str(object.print().into()),
            other => return Err(format!("{} cannot be a key", other.kind())),
        })
    }

    /// Roughly how much it takes beside what it refers to.
    pub(super) fn key_bytes(key: &Key) -> usize {
        key.bytes()
    }

    /// As `{{ }}` prints it. The error is the cause.
    pub(crate) fn printed(&self) -> Result<String, String> {
        match self {
            Self::Str(s) => Ok(s.to_string()),
            other => {
                let mut out = String::new();
                other.print(&mut out, false, 0)?;
                Ok(out)
            }
        }
    }

    /// As Python's `repr` gives it.
    pub(crate) fn repr(&self) -> Result<String, String> {
        let mut out = String::new();
        self.print(&mut out, true, 0)?;
        Ok(out)
    }

    fn print(&self, out: &mut String, quoted: bool, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX || out.len() > super::budget::TEXT_MAX {
            return Err("a value is too large or nested too deeply to print".to_string());
        }
        let all = |out: &mut String, values: &[Value]| {
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                value.print(out, true, depth + 1)?;
            }
            Ok::<_, String>(())
        };
        match self {
            Self::Undefined(_) => {}
            Self::None => out.push_str("None"),
            Self::Bool(true) => out.push_str("True"),
            Self::Bool(false) => out.push_str("False"),
            Self::Int(n) => out.push_str(&n.to_string()),
            Self::Float(n) => out.push_str(&float(*n)),
            Self::Str(s) if quoted => quote(out, s),
            Self::Str(s) => out.push_str(s),
            Self::List(items) => {
                out.push('[');
                all(out, &items.items())?;
                out.push(']');
            }
            Self::Tuple(items) => {
                out.push('(');
                all(out, &items.items())?;
                out.push_str(if items.len() == 1 { ",)" } else { ")" });
            }
            Self::Set(set) if set.len() == 0 => out.push_str("set()"),
            Self::Set(set) => {
                out.push('{');
                all(out, &set.keys())?;
                out.push('}');
            }
            Self::Dict(dict) | Self::Namespace(dict) => {
                out.push('{');
                for (i, (key, value)) in dict.entries().into_iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    key.value().print(out, true, depth + 1)?;
                    out.push_str(": ");
                    value.print(out, true, depth + 1)?;
                }
                out.push('}');
            }
            Self::Moment(m) => out.push_str(&m.print(quoted)),
            Self::Object(object) => out.push_str(&object.print()),
            Self::Range(r) => out.push_str(&format!("range({}, {})", r.0, r.1)),
            Self::Function(f) => out.push_str(&format!("<function {}>", f.name)),
            Self::Macro(m) => out.push_str(&format!("<macro {}>", m.definition.name)),
            Self::Method(m) => out.push_str(&format!("<method {}>", m.1)),
        }
        Ok(())
    }

    /// Python's `==`.
    pub(crate) fn equals(&self, other: &Value) -> bool {
        self.equals_at(other, 0)
    }

    fn equals_at(&self, other: &Value, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return false;
        }
        match (self, other) {
            (Self::Undefined(_), Self::Undefined(_)) | (Self::None, Self::None) => true,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => {
                Rc::ptr_eq(a, b)
                    || a.len() == b.len()
                        && a.items()
                            .iter()
                            .zip(b.items())
                            .all(|(a, b)| a.equals_at(&b, depth + 1))
            }
            (Self::Dict(a), Self::Dict(b)) | (Self::Set(a), Self::Set(b)) => {
                Rc::ptr_eq(a, b)
                    || a.len() == b.len()
                        && a.entries().iter().all(|(key, value)| {
                            b.get(key)
                                .is_some_and(|other| value.equals_at(&other, depth + 1))
                        })
            }
            (Self::Moment(a), Self::Moment(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a.print() == b.print(),
            (Self::Range(a), Self::Range(b)) => a == b,
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
                _ => false,
            },
        }
    }

    /// Python's order, where there is one.
    pub(crate) fn compare(&self, other: &Value) -> Option<Ordering> {
        self.compare_at(other, 0)
    }

    fn compare_at(&self, other: &Value, depth: usize) -> Option<Ordering> {
        if depth > DEPTH_MAX {
            return None;
        }
        match (self, other) {
            (Self::Str(a), Self::Str(b)) => Some(a.cmp(b)),
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => {
                for (a, b) in a.items().iter().zip(b.items()) {
                    if !a.equals_at(&b, depth + 1) {
                        return a.compare_at(&b, depth + 1);
                    }
                }
                Some(a.len().cmp(&b.len()))
            }
            (Self::Moment(a), Self::Moment(b)) => a.compare(b),
            _ => self.number()?.compare(other.number()?),
        }
    }

    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Self::Bool(b) => Some(Number::Int(i64::from(*b))),
            Self::Int(n) => Some(Number::Int(*n)),
            Self::Float(n) => Some(Number::Float(*n)),
            _ => None,
        }
    }
}

/// An integer or a float.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    pub(crate) fn float(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::Float(n) => n,
        }
    }

    fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            _ => self.float().partial_cmp(&other.float()),
        }
    }
}

pub(crate) fn range_len(range: &(i64, i64, i64)) -> u64 {
    let (start, stop, step) = *range;
    let span = match step > 0 {
        true => i128::from(stop) - i128::from(start),
        false => i128::from(start) - i128::from(stop),
    };
    if span <= 0 {
        return 0;
    }
    let step = i128::from(step).abs().max(1);
    u64::try_from((span + step - 1) / step).unwrap_or(u64::MAX)
}

/// As Python prints a float: `1.0`, `0.1`, `1e+16`.
pub(crate) fn float(n: f64) -> String {
    if n.is_nan() {
        return "nan".to_string();
    }
    if n.is_infinite() {
        return if n > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let magnitude = n.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{n:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => ('-', rest),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    if n.fract() == 0.0 {
        format!("{n:.1}")
    } else {
        n.to_string()
    }
}

fn quote(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr().unwrap_or_else(|_| "…".to_string()))
    }
}

/// Keeps how deep calls are.
#[derive(Debug, Default)]
pub(super) struct Depth(Cell<usize>);

impl Depth {
    pub(super) fn enter(&self, max: usize) -> bool {
        self.0.set(self.0.get() + 1);
        self.0.get() <= max
    }

    pub(super) fn leave(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
