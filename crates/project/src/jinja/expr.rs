//! Expressions, with Jinja's precedence.

use std::rc::Rc;

use super::ast::{Args, Expr, ExprKind, Filter, Op};
use super::error::{Error, Span};
use super::lexer::{Tok, Token};

/// Expressions inside each other, at most: more would be a stack too deep.
const DEPTH_MAX: usize = 80;
/// Operators, calls and filters in a row, at most: each is an expression inside the next.
const CHAIN_MAX: usize = 600;

/// The tokens of one tag, from the left.
pub(super) struct Tokens {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    chain: usize,
    tag: Span,
}

impl Tokens {
    pub(super) fn new(tokens: Vec<Token>, tag: Span) -> Self {
        Self {
            tokens,
            next: 0,
            depth: 0,
            chain: 0,
            tag,
        }
    }

    pub(super) fn peek(&self) -> Token {
        let end = Token {
            tok: Tok::End,
            at: self.tag,
        };
        self.tokens.get(self.next).cloned().unwrap_or(end)
    }

    fn tok(&self) -> Option<&Tok> {
        self.tokens.get(self.next).map(|t| &t.tok)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    pub(super) fn here(&self) -> Span {
        self.peek().at
    }

    pub(super) fn is_end(&self) -> bool {
        matches!(self.tok(), None | Some(Tok::End))
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self.tok(), Some(Tok::Op(o)) if *o == op)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.tok(), Some(Tok::Name(n)) if n == name)
    }

    pub(super) fn take(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        self.next += usize::from(found);
        found
    }

    pub(super) fn take_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.next += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, op: &str) -> Result<(), Error> {
        if self.take(op) {
            Ok(())
        } else {
            Err(self.unexpected(op))
        }
    }

    pub(super) fn expect_name(&mut self, name: &str) -> Result<(), Error> {
        if self.take_name(name) {
            Ok(())
        } else {
            Err(self.unexpected(name))
        }
    }

    pub(super) fn name(&mut self, what: &str) -> Result<String, Error> {
        match self.peek().tok {
            Tok::Name(name) => {
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// `a.b.c`
    pub(super) fn dotted(&mut self, what: &str) -> Result<Rc<str>, Error> {
        let mut name = self.name(what)?;
        while self.is_op(".") {
            self.next += 1;
            name = format!("{name}.{}", self.name(what)?);
        }
        Ok(name.into())
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Error {
        let token = self.peek();
        let found = match token.tok {
            Tok::Name(name) => name,
            Tok::Str(_) => "a text".to_string(),
            Tok::Int(n) => n.to_string(),
            Tok::Float(n) => n.to_string(),
            Tok::Op(op) => op.to_string(),
            Tok::End => "the tag's end".to_string(),
        };
        Error::new(format!("unexpected {found}, expected {wanted}"), token.at)
    }

    fn deeper(&mut self) -> Result<(), Error> {
        self.depth += 1;
        match self.depth > DEPTH_MAX {
            true => Err(Error::new(
                "the expression is too long or nested too deeply",
                self.tag,
            )),
            false => Ok(()),
        }
    }

    fn longer(&mut self) -> Result<(), Error> {
        self.chain += 1;
        match self.chain > CHAIN_MAX {
            true => Err(Error::new("the expression is too long", self.tag)),
            false => Ok(()),
        }
    }

    /// An expression, or several with commas: a tuple.
    pub(super) fn tuple_or_expr(&mut self) -> Result<Expr, Error> {
        self.tuple(true)
    }

    /// As [`Self::tuple_or_expr`], where a following `if` is not the expression's.
    pub(super) fn tuple_or_expr_no_if(&mut self) -> Result<Expr, Error> {
        self.tuple(false)
    }

    fn tuple(&mut self, with_if: bool) -> Result<Expr, Error> {
        let first = if with_if { self.expr()? } else { self.or()? };
        if !self.is_op(",") {
            return Ok(first);
        }
        let at = first.at;
        let mut items = vec![first];
        while self.take(",") {
            if self.is_end() || self.is_op(")") {
                break;
            }
            items.push(if with_if { self.expr()? } else { self.or()? });
        }
        let last = items.last().map_or(at, |e| e.at);
        Ok(Expr {
            kind: ExprKind::Tuple(items),
            at: at.to(last),
        })
    }

    pub(super) fn expr(&mut self) -> Result<Expr, Error> {
        let depth = self.depth;
        self.deeper()?;
        let mut expr = self.or()?;
        while self.take_name("if") {
            self.longer()?;
            let condition = self.or()?;
            let otherwise = if self.take_name("else") {
                Some(Box::new(self.expr()?))
            } else {
                None
            };
            let at = expr
                .at
                .to(otherwise.as_ref().map_or(condition.at, |e| e.at));
            let kind = ExprKind::IfElse {
                condition: Box::new(condition),
                then: Box::new(expr),
                otherwise,
            };
            expr = Expr { kind, at };
        }
        self.depth = depth;
        Ok(expr)
    }

    fn or(&mut self) -> Result<Expr, Error> {
        let mut left = self.and()?;
        while self.take_name("or") {
            self.longer()?;
            let right = self.and()?;
            let at = left.at.to(right.at);
            left = Expr {
                kind: ExprKind::Or(Box::new(left), Box::new(right)),
                at,
            };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Error> {
        let mut left = self.not()?;
        while self.take_name("and") {
            self.longer()?;
            let right = self.not()?;
            let at = left.at.to(right.at);
            left = Expr {
                kind: ExprKind::And(Box::new(left), Box::new(right)),
                at,
            };
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Error> {
        let at = self.here();
        if !self.take_name("not") {
            return self.compare();
        }
        self.deeper()?;
        let inner = self.not()?;
        let at = at.to(inner.at);
        Ok(Expr {
            kind: ExprKind::Not(Box::new(inner)),
            at,
        })
    }

    fn compare(&mut self) -> Result<Expr, Error> {
        let first = self.sum()?;
        let mut rest = vec![];
        loop {
            let op = match self.tok() {
                Some(Tok::Op("==")) => Op::Eq,
                Some(Tok::Op("!=")) => Op::Ne,
                Some(Tok::Op("<")) => Op::Lt,
                Some(Tok::Op("<=")) => Op::Le,
                Some(Tok::Op(">")) => Op::Gt,
                Some(Tok::Op(">=")) => Op::Ge,
                Some(Tok::Name(n)) if n == "in" => Op::In,
                Some(Tok::Name(n)) if n == "not" && self.follows("in") => {
                    self.next += 1;
                    Op::NotIn
                }
                _ => break,
            };
            self.next += 1;
            rest.push((op, self.sum()?));
        }
        let Some((_, last)) = rest.last() else {
            return Ok(first);
        };
        let at = first.at.to(last.at);
        Ok(Expr {
            kind: ExprKind::Compare(Box::new(first), rest),
            at,
        })
    }

    fn follows(&self, name: &str) -> bool {
        matches!(self.tokens.get(self.next + 1), Some(Token { tok: Tok::Name(n), .. }) if n == name)
    }

    fn sum(&mut self) -> Result<Expr, Error> {
        let mut left = self.concat()?;
        loop {
            let op = match self.tok() {
                Some(Tok::Op("+")) => Op::Add,
                Some(Tok::Op("-")) => Op::Sub,
                _ => return Ok(left),
            };
            self.next += 1;
            self.longer()?;
            left = binary(op, left, self.concat()?);
        }
    }

    fn concat(&mut self) -> Result<Expr, Error> {
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let at = first.at;
        let mut parts = vec![first];
        while self.take("~") {
            parts.push(self.product()?);
        }
        let last = parts.last().map_or(at, |e| e.at);
        Ok(Expr {
            kind: ExprKind::Concat(parts),
            at: at.to(last),
        })
    }

    fn product(&mut self) -> Result<Expr, Error> {
        let mut left = self.power()?;
        loop {
            let op = match self.tok() {
                Some(Tok::Op("*")) => Op::Mul,
                Some(Tok::Op("/")) => Op::Div,
                Some(Tok::Op("//")) => Op::FloorDiv,
                Some(Tok::Op("%")) => Op::Rem,
                _ => return Ok(left),
            };
            self.next += 1;
            self.longer()?;
            left = binary(op, left, self.power()?);
        }
    }

    fn power(&mut self) -> Result<Expr, Error> {
        let mut left = self.unary(true)?;
        while self.take("**") {
            self.longer()?;
            left = binary(Op::Pow, left, self.unary(true)?);
        }
        Ok(left)
    }

    fn unary(&mut self, with_filters: bool) -> Result<Expr, Error> {
        let start = self.here();
        let depth = self.depth;
        let mut expr = if self.take("-") {
            self.deeper()?;
            let inner = self.unary(false)?;
            let at = start.to(inner.at);
            Expr {
                kind: ExprKind::Neg(Box::new(inner)),
                at,
            }
        } else if self.take("+") {
            self.deeper()?;
            let inner = self.unary(false)?;
            let at = start.to(inner.at);
            Expr {
                kind: ExprKind::Pos(Box::new(inner)),
                at,
            }
        } else {
            self.primary()?
        };
        expr = self.postfix(expr)?;
        if with_filters {
            expr = self.filters(expr)?;
        }
        self.depth = depth;
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let token = self.next();
        let at = token.at;
        let kind = match token.tok {
            Tok::Name(name) => match name.as_str() {
                "true" | "True" => ExprKind::Bool(true),
                "false" | "False" => ExprKind::Bool(false),
                "none" | "None" => ExprKind::None,
                "if" | "else" | "in" | "not" | "and" | "or" | "is" => {
                    self.next -= 1;
                    return Err(self.unexpected("an expression"));
                }
                _ => ExprKind::Name(name.into()),
            },
            Tok::Str(mut text) => {
                // Texts side by side are one, as in Python.
                while let Some(Tok::Str(more)) = self.tok() {
                    text.push_str(more);
                    self.next += 1;
                }
                ExprKind::Str(text.into())
            }
            Tok::Int(n) => ExprKind::Int(n),
            Tok::Float(n) => ExprKind::Float(n),
            Tok::Op("(") => return self.parenthesis(at),
            Tok::Op("[") => {
                let items = self.list("]")?;
                let end = self.tokens.get(self.next - 1).map_or(at, |t| t.at);
                return Ok(Expr {
                    kind: ExprKind::List(items),
                    at: at.to(end),
                });
            }
            Tok::Op("{") => return self.dict(at),
            _ => {
                self.next -= 1;
                return Err(self.unexpected("an expression"));
            }
        };
        Ok(Expr { kind, at })
    }

    fn parenthesis(&mut self, at: Span) -> Result<Expr, Error> {
        self.deeper()?;
        if self.take(")") {
            return Ok(Expr {
                kind: ExprKind::Tuple(vec![]),
                at,
            });
        }
        let mut inner = self.tuple_or_expr()?;
        let end = self.here();
        self.expect(")")?;
        inner.at = at.to(end);
        Ok(inner)
    }

    fn list(&mut self, close: &str) -> Result<Vec<Expr>, Error> {
        self.deeper()?;
        let mut items = vec![];
        while !self.take(close) {
            items.push(self.expr()?);
            if !self.take(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn dict(&mut self, at: Span) -> Result<Expr, Error> {
        self.deeper()?;
        let mut items = vec![];
        let mut end = self.here();
        while !self.take("}") {
            let key = self.expr()?;
            self.expect(":")?;
            items.push((key, self.expr()?));
            end = self.here();
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expr {
            kind: ExprKind::Dict(items),
            at: at.to(end),
        })
    }

    fn postfix(&mut self, mut expr: Expr) -> Result<Expr, Error> {
        loop {
            let start = expr.at;
            if self.take(".") {
                self.longer()?;
                let token = self.next();
                expr = match token.tok {
                    Tok::Name(name) => Expr {
                        kind: ExprKind::Attribute(Box::new(expr), name.into()),
                        at: start.to(token.at),
                    },
                    Tok::Int(n) => {
                        let index = Expr {
                            kind: ExprKind::Int(n),
                            at: token.at,
                        };
                        Expr {
                            kind: ExprKind::Item(Box::new(expr), Box::new(index)),
                            at: start.to(token.at),
                        }
                    }
                    _ => {
                        self.next -= 1;
                        return Err(self.unexpected("a name after the dot"));
                    }
                };
            } else if self.take("[") {
                self.longer()?;
                expr = self.subscript(expr)?;
            } else if self.is_op("(") {
                expr = self.call(expr)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn call(&mut self, callee: Expr) -> Result<Expr, Error> {
        self.longer()?;
        let start = callee.at;
        let args = self.args()?;
        let end = self.tokens.get(self.next - 1).map_or(start, |t| t.at);
        Ok(Expr {
            kind: ExprKind::Call(Box::new(callee), Box::new(args)),
            at: start.to(end),
        })
    }

    fn subscript(&mut self, of: Expr) -> Result<Expr, Error> {
        let start = of.at;
        let mut parts: [Option<Box<Expr>>; 3] = [None, None, None];
        let mut colons = 0;
        while !self.is_op("]") {
            if self.take(":") {
                colons += 1;
                if colons > 2 {
                    return Err(self.unexpected("]"));
                }
            } else {
                parts[colons] = Some(Box::new(self.tuple_or_expr()?));
                if !self.is_op(":") && !self.is_op("]") {
                    return Err(self.unexpected("]"));
                }
            }
        }
        let at = start.to(self.here());
        self.expect("]")?;
        if colons > 0 {
            return Ok(Expr {
                kind: ExprKind::Slice(Box::new(of), parts),
                at,
            });
        }
        match parts[0].take() {
            Some(index) => Ok(Expr {
                kind: ExprKind::Item(Box::new(of), index),
                at,
            }),
            None => Err(Error::new("[] needs an index", at)),
        }
    }

    pub(super) fn args(&mut self) -> Result<Args, Error> {
        self.expect("(")?;
        let mut args = Args::default();
        while !self.take(")") {
            if self.take("**") {
                args.star_star.push(self.expr()?);
            } else if self.take("*") {
                args.star.push(self.expr()?);
            } else if matches!(self.tok(), Some(Tok::Name(_)))
                && matches!(
                    self.tokens.get(self.next + 1),
                    Some(Token {
                        tok: Tok::Op("="),
                        ..
                    })
                )
            {
                let at = self.here();
                let name: Rc<str> = self.name("an argument")?.into();
                self.next += 1;
                if args.named.iter().any(|(n, _)| *n == name) {
                    return Err(Error::new(format!("argument {name} is given twice"), at));
                }
                args.named.push((name, self.expr()?));
            } else {
                if !args.named.is_empty() {
                    return Err(Error::new(
                        "an argument without a name follows one with a name",
                        self.here(),
                    ));
                }
                args.positional.push(self.expr()?);
            }
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(args)
    }

    fn filters(&mut self, mut expr: Expr) -> Result<Expr, Error> {
        loop {
            let start = expr.at;
            if self.take("|") {
                self.longer()?;
                let at = self.here();
                let name = self.dotted("the name of a filter")?;
                let args = if self.is_op("(") {
                    self.args()?
                } else {
                    Args::default()
                };
                let filter = Filter { name, args, at };
                expr = Expr {
                    kind: ExprKind::Filter(Box::new(expr), Box::new(filter)),
                    at: start.to(at),
                };
            } else if self.take_name("is") {
                self.longer()?;
                expr = self.test(expr)?;
            } else if self.is_op("(") {
                expr = self.call(expr)?;
            } else if self.is_op(".") || self.is_op("[") {
                // `(x | list)[0]` needs the brackets in Jinja; without them it is taken all the same.
                expr = self.postfix(expr)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn test(&mut self, value: Expr) -> Result<Expr, Error> {
        let start = value.at;
        let negated = self.take_name("not");
        let name_at = self.here();
        let name = self.dotted("the name of a test")?;
        let mut args = Args::default();
        if self.is_op("(") {
            args = self.args()?;
        } else {
            let takes_one = match self.tok() {
                Some(Tok::Name(n)) => !matches!(
                    n.as_str(),
                    "else" | "or" | "and" | "is" | "if" | "not" | "in" | "recursive"
                ),
                Some(Tok::Str(_) | Tok::Int(_) | Tok::Float(_)) => true,
                Some(Tok::Op(op)) => matches!(*op, "[" | "{"),
                _ => false,
            };
            if takes_one {
                let inner = self.primary()?;
                args.positional.push(self.postfix(inner)?);
            }
        }
        let kind = ExprKind::Test {
            value: Box::new(value),
            name,
            args: Box::new(args),
            negated,
        };
        Ok(Expr {
            kind,
            at: start.to(name_at),
        })
    }
}

fn binary(op: Op, left: Expr, right: Expr) -> Expr {
    let at = left.at.to(right.at);
    Expr {
        kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
        at,
    }
}
