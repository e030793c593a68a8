//! `'%s of %d' % (a, b)` and `'{} of {b:>5}'.format(a, b=b)`.

use super::budget::Budget;
use super::error::Error;
use super::value::{Arguments, Value, float};

/// How a value is to be put: Python's format specification, as far as both ways need it.
#[derive(Debug, Default, Clone)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    plus: bool,
    width: usize,
    comma: bool,
    precision: Option<usize>,
    kind: Option<char>,
}

const WIDTH_MAX: usize = 10_000;

/// Python's `text % value`.
pub(super) fn percent(text: &str, value: &Value, budget: &Budget) -> Result<String, Error> {
    let values = match value {
        Value::Tuple(items) => items.items(),
        other => vec![other.clone()],
    };
    let mut values = values.into_iter();
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut named = None;
        if chars.next_if_eq(&'(').is_some() {
            named = Some(chars.by_ref().take_while(|c| *c != ')').collect::<String>());
        }
        let mut spec = Spec {
            align: Some('>'),
            ..Spec::default()
        };
        while let Some(flag) = chars.next_if(|c| "-+0 #".contains(*c)) {
            match flag {
                '-' => spec.align = Some('<'),
                '+' => spec.plus = true,
                '0' => spec.fill = Some('0'),
                _ => {}
            }
        }
        spec.width = number(&mut chars)?.unwrap_or(0);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars)?.unwrap_or(0));
        }
        let kind = chars.next().ok_or_else(|| {
            Error::unplaced("% at the end of a text: write %% for a percent sign")
        })?;
        let value = match (&named, value) {
            (Some(name), Value::Dict(dict)) => dict.text(name),
            (Some(_), _) => None,
            (None, _) => values.next(),
        };
        let value = value.ok_or_else(|| Error::unplaced("% has not enough values for the text"))?;
        spec.kind = match kind {
            's' => None,
            'r' => {
                let text = value.repr().map_err(Error::unplaced)?;
                out.push_str(&spec.put(&Value::str(text))?);
                continue;
            }
            'd' | 'i' | 'u' => {
                let whole = value.number().ok_or_else(|| {
                    Error::unplaced(format!("%d needs a number, not {}", value.kind()))
                })?;
                out.push_str(&spec.put(&Value::Int(whole.float().trunc() as i64))?);
                continue;
            }
            'f' | 'F' | 'e' | 'g' | 'x' | 'X' | 'o' => Some(kind),
            other => {
                return Err(Error::unplaced(format!(
                    "%{other} is no format: %s, %d and %.2f are"
                )));
            }
        };
        out.push_str(&spec.put(&value)?);
        budget.text(out.len())?;
    }
    if values.next().is_some() && !matches!(value, Value::Dict(_)) {
        return Err(Error::unplaced("% has more values than the text takes"));
    }
    Ok(out)
}

/// Python's `text.format(…)`.
pub(super) fn braces(text: &str, args: &Arguments, budget: &Budget) -> Result<String, Error> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut next = 0usize;
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.next_if_eq(&'{').is_some() => out.push('{'),
            '}' if chars.next_if_eq(&'}').is_some() => out.push('}'),
            '}' => {
                return Err(Error::unplaced(
                    "format: a } without a {; write }} for the character",
                ));
            }
            '{' => {
                let mut field = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) => field.push(c),
                        None => {
                            return Err(Error::unplaced(
                                "format: a { is not closed; write {{ for the character",
                            ));
                        }
                    }
                }
                let (name, spec) = field.split_once(':').unwrap_or((&field, ""));
                let (name, as_repr) = match name.strip_suffix("!r") {
                    Some(name) => (name, true),
                    None => (name.strip_suffix("!s").unwrap_or(name), false),
                };
                let mut parts = name.split(['.', '[']);
                let head = parts.next().unwrap_or_default();
                let value = if head.is_empty() {
                    next += 1;
                    args.positional.get(next - 1).cloned()
                } else if let Ok(at) = head.parse::<usize>() {
                    args.positional.get(at).cloned()
                } else {
                    args.named
                        .iter()
                        .find(|(n, _)| &**n == head)
                        .map(|(_, v)| v.clone())
                };
                let mut value = value.ok_or_else(|| {
                    Error::unplaced(format!("format: there is no value for {{{field}}}"))
                })?;
                for part in parts {
                    value = super::methods::attribute(&value, part.trim_end_matches(']'));
                }
                if as_repr {
                    value = Value::str(value.repr().map_err(Error::unplaced)?);
                }
                out.push_str(&Spec::read(spec)?.put(&value)?);
                budget.text(out.len())?;
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, Error> {
    let mut digits = String::new();
    while let Some(c) = chars.next_if(char::is_ascii_digit) {
        digits.push(c);
    }
    if digits.is_empty() {
        return Ok(None);
    }
    match digits.parse() {
        Ok(n) if n <= WIDTH_MAX => Ok(Some(n)),
        _ => Err(Error::unplaced(format!(
            "a format is at most {WIDTH_MAX} wide"
        ))),
    }
}

impl Spec {
    /// `>10,.2f`
    fn read(text: &str) -> Result<Self, Error> {
        let mut spec = Self::default();
        let mut chars = text.chars().peekable();
        let is_align = |c: &char| "<>^=".contains(*c);
        let second = text.chars().nth(1);
        if second.as_ref().is_some_and(is_align) {
            spec.fill = chars.next();
        }
        spec.align = chars.next_if(is_align);
        spec.plus = chars.next_if(|c| "+- ".contains(*c)) == Some('+');
        if chars.next_if_eq(&'0').is_some() {
            spec.fill = Some('0');
        }
        spec.width = number(&mut chars)?.unwrap_or(0);
        spec.comma = chars.next_if(|c| ",_".contains(*c)).is_some();
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars)?.unwrap_or(0));
        }
        spec.kind = chars.next();
        match spec.kind {
            Some('s') => spec.kind = None,
            None | Some('d' | 'f' | 'F' | 'e' | 'g' | 'x' | 'X' | 'o' | '%')
                if chars.peek().is_none() => {}
            _ => {
                return Err(Error::unplaced(format!(
                    "format: {text:?} is no format that is known"
                )));
            }
        }
        Ok(spec)
    }

    fn put(&self, value: &Value) -> Result<String, Error> {
        let number = value.number();
        let need = || {
            number.ok_or_else(|| {
                Error::unplaced(format!("the format needs a number, not {}", value.kind()))
            })
        };
        let mut text = match (self.kind, value) {
            (Some('f' | 'F'), _) => format!("{:.*}", self.precision.unwrap_or(6), need()?.float()),
            (Some('%'), _) => format!(
                "{:.*}%",
                self.precision.unwrap_or(6),
                need()?.float() * 100.0
            ),
            (Some('e'), _) => {
                let text = format!("{:.*e}", self.precision.unwrap_or(6), need()?.float());
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let exponent: i32 = exponent.parse().unwrap_or(0);
                format!(
                    "{digits}e{}{:02}",
                    if exponent < 0 { '-' } else { '+' },
                    exponent.abs()
                )
            }
            (Some('g'), _) => float(need()?.float()).trim_end_matches(".0").to_string(),
            (Some('x'), Value::Int(n)) => format!("{n:x}"),
            (Some('X'), Value::Int(n)) => format!("{n:X}"),
            (Some('o'), Value::Int(n)) => format!("{n:o}"),
            (Some('d'), Value::Int(n)) => n.to_string(),
            (Some(kind), _) => {
                return Err(Error::unplaced(format!(
                    "format {kind} needs a whole number, not {}",
                    value.kind()
                )));
            }
            (None, Value::Float(n)) if self.precision.is_some() => {
                format!("{n:.*}", self.precision.unwrap_or(6))
            }
            (None, _) => {
                let text = value.printed().map_err(Error::unplaced)?;
                match self.precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text,
                }
            }
        };
        if self.comma {
            text = grouped(&text);
        }
        if self.plus && number.is_some_and(|n| n.float() >= 0.0) {
            text.insert(0, '+');
        }
        let missing = self.width.saturating_sub(text.chars().count());
        let fill = |n: usize| self.fill.unwrap_or(' ').to_string().repeat(n);
        let default = if number.is_some() { '>' } else { '<' };
        Ok(match self.align.unwrap_or(default) {
            _ if missing == 0 => text,
            '<' if self.fill == Some('0') => format!("{text}{}", " ".repeat(missing)),
            '<' => format!("{text}{}", fill(missing)),
            '^' => format!("{}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
            // Zeros go between the sign and the digits.
            _ if self.fill == Some('0') && text.starts_with(['-', '+']) => {
                format!("{}{}{}", &text[..1], fill(missing), &text[1..])
            }
            _ => format!("{}{text}", fill(missing)),
        })
    }
}

fn grouped(text: &str) -> String {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (whole, rest) = digits
        .find('.')
        .map_or((digits, ""), |dot| digits.split_at(dot));
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    format!("{sign}{out}{rest}")
}
