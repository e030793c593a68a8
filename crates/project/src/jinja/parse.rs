//! Templates: statements. Expressions are in `expr`.

use std::rc::Rc;

use super::ast::{Args, ExprKind, Filter, For, Macro, Param, Stmt, Target, Template};
use super::error::{Error, Span};
use super::expr::Tokens;
use super::lexer::{Piece, Tok, pieces};

/// Blocks inside blocks, at most.
const DEPTH_MAX: usize = 64;

/// Parses a template.
///
/// # Errors
/// The first thing that is no Jinja, at its place.
pub(crate) fn parse(file: &str, text: &str) -> Result<Template, Error> {
    let mut parser = Parser {
        pieces: pieces(text)?.into_iter(),
        file: file.into(),
        depth: 0,
        loops: 0,
    };
    let (body, end) = parser.body(&[])?;
    match end {
        Some(end) => Err(end.unexpected()),
        None => Ok(Template {
            file: parser.file,
            body,
        }),
    }
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    file: Rc<str>,
    depth: usize,
    /// Loops around, within the same macro or caller's block.
    loops: usize,
}

/// The tag that ended a body.
struct EndTag {
    name: String,
    tokens: Tokens,
    at: Span,
}

impl EndTag {
    fn unexpected(&self) -> Error {
        let cause = match self.name.as_str() {
            name if name.starts_with("end") => {
                format!("{name} without a {} before it", &name[3..])
            }
            name @ ("else" | "elif") => format!("{name} without an if or for before it"),
            name => unknown_tag(name),
        };
        Error::new(cause, self.at).token(self.name.clone())
    }
}

fn unknown_tag(name: &str) -> String {
    match name {
        "include" | "import" | "from" | "extends" | "block" => {
            format!("{name} is not there in dbt's Jinja: macros of macros/ can be called by name")
        }
        "snapshot" | "test" | "materialization" | "docs" | "data_test" => {
            format!("a {name} block does not belong here")
        }
        _ => format!("there is no tag {name}"),
    }
}

type Body = (Vec<Stmt>, Option<EndTag>);

impl Parser {
    /// Statements up to a tag of `ends`, or to the end of the template where there are none.
    fn body(&mut self, ends: &[&str]) -> Result<Body, Error> {
        self.depth += 1;
        let mut body = vec![];
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text { text, at } => body.push(Stmt::Text {
                    text: text.into(),
                    at,
                }),
                Piece::Tag {
                    is_output: true,
                    tokens,
                    at,
                } => {
                    let mut tokens = Tokens::new(tokens, at);
                    let expr = tokens.tuple_or_expr()?;
                    tokens.end()?;
                    body.push(Stmt::Output { expr, tag: at });
                }
                Piece::Tag { tokens, at, .. } => {
                    let mut tokens = Tokens::new(tokens, at);
                    let name = tokens.name("a tag")?;
                    if self.depth > DEPTH_MAX {
                        return Err(Error::new(
                            format!("blocks are nested deeper than {DEPTH_MAX}"),
                            at,
                        ));
                    }
                    if ends.contains(&name.as_str()) {
                        self.depth -= 1;
                        return Ok((body, Some(EndTag { name, tokens, at })));
                    }
                    body.push(self.statement(&name, tokens, at)?);
                }
            }
        }
        self.depth -= 1;
        match ends.last() {
            Some(end) => Err(Error::new(
                format!("{} is not closed with {{% {end} %}}", &end[3..]),
                Span::default(),
            )),
            None => Ok((body, None)),
        }
    }

    /// The body of a block that nothing but its end tag ends.
    fn block(&mut self, end: &str, at: Span) -> Result<Vec<Stmt>, Error> {
        let (body, tag) = self.closed(&[end], at)?;
        let mut tokens = tag.tokens;
        // `{% endmacro name %}` may repeat the name.
        if matches!(end, "endmacro" | "endtest" | "enddata_test" | "endcall") {
            tokens.skip_to_end();
        }
        tokens.end()?;
        Ok(body)
    }

    fn closed(&mut self, ends: &[&str], at: Span) -> Result<(Vec<Stmt>, EndTag), Error> {
        match self.body(ends) {
            Ok((body, Some(tag))) => Ok((body, tag)),
            Ok((_, None)) => Err(Error::new("a block is not closed", at)),
            // The place of a block that nothing closes is its own tag.
            Err(error) if error.at == Some(Span::default()) => Err(Error {
                at: Some(at),
                ..error
            }),
            Err(error) => Err(error),
        }
    }

    fn statement(&mut self, name: &str, mut tokens: Tokens, at: Span) -> Result<Stmt, Error> {
        match name {
            "if" => self.conditional(tokens, at),
            "for" => self.for_loop(tokens, at),
            "set" => self.set(tokens, at),
            "do" => {
                let expr = tokens.tuple_or_expr()?;
                tokens.end()?;
                Ok(Stmt::Do { expr })
            }
            "macro" | "test" | "data_test" if name == "macro" || self.depth == 1 => {
                // A generic test is a macro of its own kind of name, as in dbt.
                let prefix = if name == "macro" { "" } else { "test_" };
                let end = format!("end{name}");
                let name = format!("{prefix}{}", tokens.name("the name of a macro")?);
                let params = tokens.params()?;
                tokens.end()?;
                let body = self.outside_of_loops(|me| me.block(&end, at))?;
                Ok(Stmt::Macro(Rc::new(Macro {
                    name: name.into(),
                    params,
                    body,
                    file: Rc::clone(&self.file),
                    at,
                })))
            }
            "call" => {
                let params = if tokens.is_op("(") {
                    tokens.params()?
                } else {
                    vec![]
                };
                let call = tokens.expr()?;
                tokens.end()?;
                if !matches!(call.kind, ExprKind::Call(..)) {
                    return Err(Error::new(
                        "call needs a call of a macro: {% call name() %}",
                        call.at,
                    ));
                }
                let body = self.outside_of_loops(|me| me.block("endcall", at))?;
                let caller = Macro {
                    name: "caller".into(),
                    params,
                    body,
                    file: Rc::clone(&self.file),
                    at,
                };
                Ok(Stmt::CallBlock {
                    caller: Rc::new(caller),
                    call,
                    tag: at,
                })
            }
            "filter" => {
                let filters = tokens.filter_names()?;
                tokens.end()?;
                Ok(Stmt::FilterBlock {
                    filters,
                    body: self.block("endfilter", at)?,
                    tag: at,
                })
            }
            "with" => {
                let mut sets = vec![];
                while !tokens.is_end() {
                    let target = tokens.target()?;
                    tokens.expect("=")?;
                    sets.push((target, tokens.expr()?));
                    if !tokens.take(",") {
                        break;
                    }
                }
                tokens.end()?;
                Ok(Stmt::With {
                    sets,
                    body: self.block("endwith", at)?,
                })
            }
            "break" | "continue" => {
                tokens.end()?;
                if self.loops == 0 {
                    let cause = format!("{name} stands outside of a for loop");
                    return Err(Error::new(cause, at).token(name));
                }
                Ok(match name {
                    "break" => Stmt::Break,
                    _ => Stmt::Continue,
                })
            }
            name => Err(EndTag {
                name: name.to_string(),
                tokens,
                at,
            }
            .unexpected()),
        }
    }

    /// Parses a body that runs when it is called, not where it stands.
    fn outside_of_loops<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let around = std::mem::take(&mut self.loops);
        let parsed = parse(self);
        self.loops = around;
        parsed
    }

    fn conditional(&mut self, mut tokens: Tokens, at: Span) -> Result<Stmt, Error> {
        let mut condition = tokens.expr()?;
        tokens.end()?;
        let mut branches = vec![];
        loop {
            let (body, mut tag) = self.closed(&["elif", "else", "endif"], at)?;
            branches.push((condition, body));
            match tag.name.as_str() {
                "elif" => {
                    condition = tag.tokens.expr()?;
                    tag.tokens.end()?;
                }
                "else" => {
                    tag.tokens.end()?;
                    let otherwise = self.block("endif", at)?;
                    return Ok(Stmt::If {
                        branches,
                        otherwise,
                    });
                }
                _ => {
                    tag.tokens.end()?;
                    return Ok(Stmt::If {
                        branches,
                        otherwise: vec![],
                    });
                }
            }
        }
    }

    fn for_loop(&mut self, mut tokens: Tokens, at: Span) -> Result<Stmt, Error> {
        let targets = tokens.targets("in")?;
        tokens.expect_name("in")?;
        let iter = tokens.tuple_or_expr_no_if()?;
        let filter = if tokens.take_name("if") {
            Some(tokens.expr()?)
        } else {
            None
        };
        if tokens.is_name("recursive") {
            let cause = "recursive loops are not supported: write a macro that calls itself";
            return Err(Error::new(cause, tokens.here()));
        }
        tokens.end()?;
        self.loops += 1;
        let closed = self.closed(&["else", "endfor"], at);
        self.loops -= 1;
        let (body, mut tag) = closed?;
        tag.tokens.end()?;
        let otherwise = if tag.name == "else" {
            self.block("endfor", at)?
        } else {
            vec![]
        };
        Ok(Stmt::For(Box::new(For {
            targets,
            iter,
            filter,
            body,
            otherwise,
        })))
    }

    fn set(&mut self, mut tokens: Tokens, at: Span) -> Result<Stmt, Error> {
        let mut targets = tokens.targets("=")?;
        if tokens.take("=") {
            let expr = tokens.tuple_or_expr()?;
            tokens.end()?;
            return Ok(Stmt::Set { targets, expr });
        }
        let mut filters = vec![];
        while tokens.take("|") {
            filters.extend(tokens.filter_names()?);
        }
        tokens.end()?;
        let Some(target) = targets.pop().filter(|_| targets.is_empty()) else {
            return Err(Error::new("a set block has one name", at));
        };
        Ok(Stmt::SetBlock {
            target,
            filters,
            body: self.block("endset", at)?,
        })
    }
}

impl Tokens {
    /// `(a, b=1)` of a macro.
    fn params(&mut self) -> Result<Vec<Param>, Error> {
        self.expect("(")?;
        let mut params: Vec<Param> = vec![];
        while !self.take(")") {
            let name: Rc<str> = self.name("the name of an argument")?.into();
            let default = if self.take("=") {
                Some(self.expr()?)
            } else {
                None
            };
            if default.is_none() && params.last().is_some_and(|(_, d)| d.is_some()) {
                return Err(Error::new(
                    format!("argument {name} needs a default, as the one before it has one"),
                    self.here(),
                ));
            }
            params.push((name, default));
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(params)
    }

    /// `a, (b, c), d` up to the word `end` (not taken).
    fn targets(&mut self, end: &str) -> Result<Vec<Target>, Error> {
        let mut targets = vec![self.target()?];
        let mut is_tuple = false;
        while self.take(",") {
            is_tuple = true;
            if self.is_end() || self.is_name(end) || self.is_op("=") {
                break;
            }
            targets.push(self.target()?);
        }
        // `for a, in pairs` takes one out of each.
        match is_tuple && targets.len() == 1 {
            true => Ok(vec![Target::Tuple(targets)]),
            false => Ok(targets),
        }
    }

    fn target(&mut self) -> Result<Target, Error> {
        if self.take("(") {
            let mut inner = vec![self.target()?];
            while self.take(",") {
                if self.is_op(")") {
                    break;
                }
                inner.push(self.target()?);
            }
            self.expect(")")?;
            return Ok(Target::Tuple(inner));
        }
        let at = self.here();
        let name: Rc<str> = self.name("a name")?.into();
        if self.take(".") {
            let attribute = self.name("the name of an attribute")?.into();
            return Ok(Target::Attribute {
                object: name,
                name: attribute,
                at,
            });
        }
        Ok(Target::Name(name))
    }

    /// `name(args) | name` of a filter block.
    fn filter_names(&mut self) -> Result<Vec<Filter>, Error> {
        let mut filters = vec![];
        loop {
            let at = self.here();
            let name = self.dotted("the name of a filter")?;
            let args = if self.is_op("(") {
                self.args()?
            } else {
                Args::default()
            };
            filters.push(Filter { name, args, at });
            if !self.take("|") {
                return Ok(filters);
            }
        }
    }

    fn skip_to_end(&mut self) {
        while !self.is_end() {
            self.next();
        }
    }

    /// Nothing is left in the tag.
    fn end(&mut self) -> Result<(), Error> {
        match self.peek().tok {
            Tok::End => Ok(()),
            _ => Err(self.unexpected("the end of the tag")),
        }
    }
}
