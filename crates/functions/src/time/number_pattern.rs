//! `to_char` of numbers: PostgreSQL's patterns such as `FM999,990.00`.
//!
//! A pattern is walked once. Each digit position writes a digit, a zero, a blank or nothing, and the sign goes in front of the
//! first one that writes a digit.

use datafusion::common::{Result, plan_err};

use super::pattern::{Case, ordinal};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Nine,
    Zero,
    Point,
    Comma,
    Currency,
    Sign,
    Minus,
    Plus,
    Either,
    Ordinal(Case),
    Text(char),
}

/// A pattern of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NumberPattern {
    items: Vec<Item>,
    fill: bool,
    brackets: bool,
    /// Digits before the point, and behind it.
    before: usize,
    behind: usize,
    has_point: bool,
    /// Position, from 0, of the first `0` before the point.
    zero_start: Option<usize>,
    /// Positions up to the last `0`.
    zero_end: usize,
    sign: Option<SignPlace>,
    own_sign: bool,
    plus_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignPlace {
    Before,
    Behind,
}

impl NumberPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The pattern has `RN`, `V`, `EEEE` or `B`, or two points.
    pub(super) fn read(pattern: &str) -> Result<Self> {
        let mut out = Self {
            items: vec![],
            fill: false,
            brackets: false,
            before: 0,
            behind: 0,
            has_point: false,
            zero_start: None,
            zero_end: 0,
            sign: None,
            own_sign: false,
            plus_only: false,
        };
        let mut rest = pattern;
        let mut sign_at = 0;
        while let Some(c) = rest.chars().next() {
            let two: String = rest.chars().take(2).collect::<String>().to_uppercase();
            if let Some(text) = rest.strip_prefix('"') {
                let (quoted, after) = text.split_once('"').unwrap_or((text, ""));
                out.items.extend(quoted.chars().map(Item::Text));
                rest = after;
                continue;
            }
            let (item, length) = match (two.as_str(), c) {
                ("FM", _) => {
                    out.fill = true;
                    (None, 2)
                }
                ("MI", _) => (Some(Item::Minus), 2),
                ("PL", _) => (Some(Item::Plus), 2),
                ("SG", _) => (Some(Item::Either), 2),
                ("PR", _) => {
                    out.brackets = true;
                    (None, 2)
                }
                ("TH", c) => {
                    let case = if c == 'T' { Case::Upper } else { Case::Lower };
                    (Some(Item::Ordinal(case)), 2)
                }
                ("RN", _) | ("EE", _) | (_, 'V' | 'v' | 'B' | 'b') => {
                    return plan_err!(
                        "the pattern '{pattern}' has '{c}…', which is not supported; RN, V, B and EEEE are not"
                    );
                }
                (_, '9') => (Some(Item::Nine), 1),
                (_, '0') => (Some(Item::Zero), 1),
                (_, '.' | 'D' | 'd') => (Some(Item::Point), 1),
                (_, ',' | 'G' | 'g') => (Some(Item::Comma), 1),
                (_, 'L' | 'l') => (Some(Item::Currency), 1),
                (_, 'S' | 's') => (Some(Item::Sign), 1),
                (_, c) => (Some(Item::Text(c)), c.len_utf8()),
            };
            match &item {
                Some(Item::Nine) if out.has_point => out.behind += 1,
                Some(Item::Nine) => out.before += 1,
                Some(Item::Zero) => {
                    if !out.has_point && out.zero_start.is_none() {
                        out.zero_start = Some(out.before);
                    }
                    if out.has_point {
                        out.behind += 1;
                    } else {
                        out.before += 1;
                    }
                    out.zero_end = out.before + out.behind;
                }
                Some(Item::Point) if out.has_point => {
                    return plan_err!("the pattern '{pattern}' has two points");
                }
                Some(Item::Point) => out.has_point = true,
                Some(Item::Sign) => {
                    sign_at = out.before;
                    out.sign = Some(if out.has_point {
                        SignPlace::Behind
                    } else {
                        SignPlace::Before
                    });
                }
                Some(Item::Minus | Item::Either) => out.own_sign = true,
                Some(Item::Plus) => {
                    out.plus_only = !out.own_sign;
                }
                _ => {}
            }
            out.items.extend(item);
            rest = &rest[length..];
        }
        if out.sign == Some(SignPlace::Before) && sign_at == out.before {
            out.sign = Some(SignPlace::Behind);
        }
        Ok(out)
    }

    /// Digits behind the point.
    pub(super) fn scale(&self) -> usize {
        self.behind
    }

    /// Writes a number, given as its digits with [`Self::scale`] digits behind the point.
    pub(super) fn write(&self, digits: &str) -> String {
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, digits),
        };
        let whole = digits.split('.').next().unwrap_or_default();
        let (mut number, blanks): (Vec<char>, usize) = if whole.len() > self.before {
            let mut number = vec!['#'; self.before];
            if self.behind > 0 {
                number.push('.');
                number.extend(std::iter::repeat_n('#', self.behind));
            }
            (number, 0)
        } else {
            (digits.chars().collect(), self.before - whole.len())
        };
        if !self.has_point {
            number.truncate(self.before - blanks);
        } else if !number.contains(&'.') {
            number.push('.');
        }
        Writer::new(self, number, blanks, negative).run()
    }
}

/// One number on its way into a pattern.
struct Writer<'a> {
    pattern: &'a NumberPattern,
    number: Vec<char>,
    /// The next character of the number.
    next: usize,
    blanks: usize,
    negative: bool,
    sign_written: bool,
    digits_begun: bool,
    /// The last character that FM keeps, where it cuts zeros off.
    last_relevant: Option<usize>,
    position: usize,
    end: usize,
    out: String,
}

impl<'a> Writer<'a> {
    fn new(pattern: &'a NumberPattern, number: Vec<char>, blanks: usize, negative: bool) -> Self {
        let sign_written = if pattern.own_sign {
            true
        } else if pattern.plus_only {
            false
        } else {
            !negative && pattern.fill && pattern.sign.is_none()
        };
        let mut count = (pattern.before + pattern.behind).saturating_sub(1);
        let last_relevant = (pattern.fill && pattern.has_point)
            .then(|| last_relevant(&number))
            .flatten()
            .map(|last| {
                if pattern.zero_end > blanks {
                    last.max((number.len() - 1).min(pattern.zero_end - blanks))
                } else {
                    last
                }
            });
        if !sign_written && blanks == 0 {
            count += 1;
        }
        let end = count + usize::from(blanks > 0) + usize::from(pattern.has_point);
        Self {
            pattern,
            number,
            next: 0,
            blanks,
            negative,
            sign_written,
            digits_begun: false,
            last_relevant,
            position: 0,
            end,
            out: String::new(),
        }
    }

    fn run(mut self) -> String {
        for item in &self.pattern.items {
            match item {
                Item::Nine => self.digit(false),
                Item::Zero => self.digit(true),
                Item::Point => self.digit(false),
                Item::Comma if self.digits_begun => self.out.push(','),
                Item::Comma | Item::Currency => {
                    if !self.pattern.fill || *item == Item::Currency {
                        self.out.push(' ');
                    }
                }
                Item::Minus => self.marked(self.negative, '-'),
                Item::Plus => self.marked(!self.negative, '+'),
                Item::Either => self.out.push(if self.negative { '-' } else { '+' }),
                Item::Ordinal(case) => {
                    if !self.negative
                        && !self.pattern.has_point
                        && self.number.first() != Some(&'#')
                    {
                        let digits: String = self.number.iter().collect();
                        self.out.push_str(ordinal(&digits, *case));
                    }
                }
                Item::Sign => {}
                Item::Text(c) => self.out.push(*c),
            }
        }
        self.out
    }

    fn marked(&mut self, is: bool, mark: char) {
        if is {
            self.out.push(mark);
        } else if !self.pattern.fill {
            self.out.push(' ');
        }
    }

    /// A `9`, a `0` or the point.
    fn digit(&mut self, is_zero: bool) {
        let zeros_from = self.pattern.zero_start;
        let in_blanks = self.position < self.blanks;
        if !self.sign_written
            && (!in_blanks || zeros_from == Some(self.position))
            && (!self.is_bare_zero() || self.ends_at_point())
        {
            self.sign();
        }
        if in_blanks {
            if zeros_from.is_some_and(|from| from <= self.position) {
                self.out.push('0');
                self.digits_begun = true;
            } else {
                self.blank();
            }
        } else if let Some(c) = self.number.get(self.next).copied() {
            if c == '.' {
                if !self.ends_at_point() || self.pattern.fill {
                    self.out.push('.');
                }
            } else if self.last_relevant.is_some_and(|last| self.next > last) && !is_zero {
                // FM cuts zeros off that the pattern does not require.
            } else if self.is_bare_zero() {
                if !self.pattern.fill {
                    self.out.push(' ');
                } else if self.ends_at_point() {
                    self.out.push('0');
                }
            } else {
                self.out.push(c);
                self.digits_begun = true;
            }
            self.next += 1;
        }
        let end = if self.last_relevant.is_some_and(|last| last == self.next) {
            self.position
        } else {
            self.end
        };
        if self.position + 1 == end {
            if self.sign_written && self.pattern.brackets {
                self.out.push(if self.negative { '>' } else { ' ' });
            } else if self.pattern.sign == Some(SignPlace::Behind) {
                self.out.push(if self.negative { '-' } else { '+' });
            }
        }
        self.position += 1;
    }

    fn sign(&mut self) {
        if self.pattern.sign == Some(SignPlace::Before) {
            self.out.push(if self.negative { '-' } else { '+' });
        } else if self.pattern.sign.is_some() {
            return;
        } else if self.pattern.brackets {
            if self.negative {
                self.out.push('<');
            } else {
                self.blank();
            }
        } else if self.negative {
            self.out.push('-');
        } else {
            self.blank();
        }
        self.sign_written = true;
    }

    fn blank(&mut self) {
        if !self.pattern.fill {
            self.out.push(' ');
        }
    }

    /// `0.5` in `9.9`: the zero before the point is not written.
    fn is_bare_zero(&self) -> bool {
        self.pattern.zero_start.is_none()
            && self.next == 0
            && self.number.first() == Some(&'0')
            && self.pattern.behind != 0
    }

    fn ends_at_point(&self) -> bool {
        self.last_relevant
            .is_some_and(|last| self.number.get(last) == Some(&'.'))
    }
}

/// The last digit behind the point that is no zero, or the point.
fn last_relevant(number: &[char]) -> Option<usize> {
    let point = number.iter().position(|c| *c == '.')?;
    let last = number.iter().rposition(|c| *c != '0').unwrap_or(point);
    Some(last.max(point))
}
