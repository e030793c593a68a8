//! What a template is parsed to.

use std::rc::Rc;

use super::error::Span;

/// A parsed template: its file, its text and what it does.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) file: Rc<str>,
    pub(super) body: Vec<Stmt>,
}

#[derive(Debug)]
pub(super) enum Stmt {
    Text {
        text: Rc<str>,
        at: usize,
    },
    Output {
        expr: Expr,
        tag: Span,
    },
    Do {
        expr: Expr,
    },
    If {
        branches: Vec<(Expr, Vec<Stmt>)>,
        otherwise: Vec<Stmt>,
    },
    For(Box<For>),
    Set {
        targets: Vec<Target>,
        expr: Expr,
    },
    /// `{% set x %}…{% endset %}`, `filters` over what is inside.
    SetBlock {
        target: Target,
        filters: Vec<Filter>,
        body: Vec<Stmt>,
    },
    Macro(Rc<Macro>),
    CallBlock {
        caller: Rc<Macro>,
        call: Expr,
        tag: Span,
    },
    FilterBlock {
        filters: Vec<Filter>,
        body: Vec<Stmt>,
        tag: Span,
    },
    With {
        sets: Vec<(Target, Expr)>,
        body: Vec<Stmt>,
    },
    /// `{% break %}`, inside of a loop.
    Break,
    /// `{% continue %}`, inside of a loop.
    Continue,
}

impl Stmt {
    /// Where a person looks for it; none for what only declares.
    pub(super) fn place(&self) -> Option<Span> {
        match self {
            Self::Text { at, .. } => Some(Span::new(*at, 1)),
            Self::Output { tag, .. }
            | Self::CallBlock { tag, .. }
            | Self::FilterBlock { tag, .. } => Some(*tag),
            Self::Do { expr } | Self::Set { expr, .. } => Some(expr.at),
            Self::If { branches, .. } => branches.first().map(|(condition, _)| condition.at),
            Self::For(of) => Some(of.iter.at),
            Self::With { sets, .. } => sets.first().map(|(_, expr)| expr.at),
            Self::SetBlock { .. } | Self::Macro(_) | Self::Break | Self::Continue => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) targets: Vec<Target>,
    pub(super) iter: Expr,
    pub(super) filter: Option<Expr>,
    pub(super) body: Vec<Stmt>,
    pub(super) otherwise: Vec<Stmt>,
}

#[derive(Debug, Clone)]
pub(super) enum Target {
    Name(Rc<str>),
    /// `ns.total`
    Attribute {
        object: Rc<str>,
        name: Rc<str>,
        at: Span,
    },
    /// `(a, b)` inside a for loop's targets.
    Tuple(Vec<Target>),
}

/// A parameter of a macro and its default.
pub(super) type Param = (Rc<str>, Option<Expr>);

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Rc<str>,
    pub(super) params: Vec<Param>,
    pub(super) body: Vec<Stmt>,
    pub(super) file: Rc<str>,
    pub(super) at: Span,
}

#[derive(Debug)]
pub(super) struct Filter {
    pub(super) name: Rc<str>,
    pub(super) args: Args,
    pub(super) at: Span,
}

#[derive(Debug)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) at: Span,
}

#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) positional: Vec<Expr>,
    pub(super) named: Vec<(Rc<str>, Expr)>,
    pub(super) star: Vec<Expr>,
    pub(super) star_star: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug)]
pub(super) enum ExprKind {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    Name(Rc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attribute(Box<Expr>, Rc<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Box<Args>),
    Filter(Box<Expr>, Box<Filter>),
    Test {
        value: Box<Expr>,
        name: Rc<str>,
        args: Box<Args>,
        negated: bool,
    },
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    /// `a < b < c`
    Compare(Box<Expr>, Vec<(Op, Expr)>),
    IfElse {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Option<Box<Expr>>,
    },
}
