//! What one field of a CSV file or one value of a JSON line becomes, for every type a column can have.
//!
//! A value is taken as it stands, rounded by a rule of `docs/files.md`, or refused; it is never cut, wrapped or
//! replaced by null. A column whose type was guessed takes only texts that mean nothing else: `02139` is an integer
//! where an integer is declared, and refused where one was guessed.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int8Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, StringViewBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DataFusionError, Result, ScalarValue};

/// How the cells of a column are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellRule {
    pub data_type: DataType,
    /// The type comes from the first rows of the files, nobody declared it.
    pub guessed: bool,
    /// `VARCHAR(n)`: longer texts are refused.
    pub max_chars: Option<u32>,
}

/// Why a text is no value of a type, as it stands in brackets behind what was expected.
pub type Misfit = Cow<'static, str>;

const NO_REASON: Misfit = Cow::Borrowed("");
const TOO_LARGE: Misfit = Cow::Borrowed("too large");

/// A column under construction.
#[derive(Debug)]
pub struct CellBuilder {
    rule: CellRule,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder, bool),
    Text(StringBuilder),
    TextView(StringViewBuilder),
}

impl CellBuilder {
    /// An empty column.
    ///
    /// # Errors
    /// No text can be of the type (a list, bytes).
    pub fn new(rule: &CellRule) -> Result<Self> {
        let values = match &rule.data_type {
            DataType::Boolean => Values::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Values::Int8(Int8Builder::new()),
            DataType::Int16 => Values::Int16(Int16Builder::new()),
            DataType::Int32 => Values::Int32(Int32Builder::new()),
            DataType::Int64 => Values::Int64(Int64Builder::new()),
            DataType::Float32 => Values::Float32(Float32Builder::new()),
            DataType::Float64 => Values::Float64(Float64Builder::new()),
            DataType::Decimal128(p, s) => Values::Decimal(
                Decimal128Builder::new().with_precision_and_scale(*p, *s)?,
                *p,
                *s,
            ),
            DataType::Date32 => Values::Date(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => {
                Values::Time(Time64MicrosecondBuilder::new())
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Values::Timestamp(
                TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()),
                zone.is_some(),
            ),
            DataType::Utf8 => Values::Text(StringBuilder::new()),
            DataType::Utf8View => Values::TextView(StringViewBuilder::new()),
            other => {
                return Err(DataFusionError::Plan(format!(
                    "text cannot be read as {other}"
                )));
            }
        };
        Ok(Self {
            rule: rule.clone(),
            values,
        })
    }

    pub fn rule(&self) -> &CellRule {
        &self.rule
    }

    /// Appends a null.
    pub fn null(&mut self) {
        match &mut self.values {
            Values::Boolean(b) => b.append_null(),
            Values::Int8(b) => b.append_null(),
            Values::Int16(b) => b.append_null(),
            Values::Int32(b) => b.append_null(),
            Values::Int64(b) => b.append_null(),
            Values::Float32(b) => b.append_null(),
            Values::Float64(b) => b.append_null(),
            Values::Decimal(b, ..) => b.append_null(),
            Values::Date(b) => b.append_null(),
            Values::Time(b) => b.append_null(),
            Values::Timestamp(b, _) => b.append_null(),
            Values::Text(b) => b.append_null(),
            Values::TextView(b) => b.append_null(),
        }
    }

    /// Appends the value that `text` stands for.
    ///
    /// # Errors
    /// It stands for none; nothing is appended.
    pub fn push(&mut self, text: &str) -> Result<(), Misfit> {
        let guessed = self.rule.guessed;
        // Text keeps its spaces, everything else may stand between some.
        let bare = text.trim_matches([' ', '\t']);
        match &mut self.values {
            Values::Boolean(b) => b.append_value(boolean(bare, guessed)?),
            Values::Int8(b) => b.append_value(narrow(integer(bare, guessed)?)?),
            Values::Int16(b) => b.append_value(narrow(integer(bare, guessed)?)?),
            Values::Int32(b) => b.append_value(narrow(integer(bare, guessed)?)?),
            Values::Int64(b) => b.append_value(integer(bare, guessed)?),
            // Zero has no sign: -0.0 would be sorted before 0.0.
            Values::Float32(b) => b.append_value(real(bare)? + 0.0),
            Values::Float64(b) => b.append_value(double(bare, guessed)? + 0.0),
            Values::Decimal(b, p, s) => b.append_value(decimal(bare, *p, *s)?),
            Values::Date(b) => b.append_value(date(bare)?),
            Values::Time(b) => b.append_value(time(bare)?),
            Values::Timestamp(b, zoned) => b.append_value(timestamp(bare, *zoned, guessed)?),
            Values::Text(b) => {
                short_enough(text, self.rule.max_chars)?;
                b.append_value(text);
            }
            Values::TextView(b) => {
                short_enough(text, self.rule.max_chars)?;
                b.append_value(text);
            }
        }
        Ok(())
    }

    /// The column, and an empty one to go on with.
    pub fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Boolean(b) => Arc::new(b.finish()),
            Values::Int8(b) => Arc::new(b.finish()),
            Values::Int16(b) => Arc::new(b.finish()),
            Values::Int32(b) => Arc::new(b.finish()),
            Values::Int64(b) => Arc::new(b.finish()),
            Values::Float32(b) => Arc::new(b.finish()),
            Values::Float64(b) => Arc::new(b.finish()),
            Values::Decimal(b, ..) => Arc::new(b.finish()),
            Values::Date(b) => Arc::new(b.finish()),
            Values::Time(b) => Arc::new(b.finish()),
            Values::Timestamp(b, _) => Arc::new(b.finish()),
            Values::Text(b) => Arc::new(b.finish()),
            Values::TextView(b) => Arc::new(b.finish()),
        }
    }
}

/// The value of one text, for the values that paths say.
///
/// # Errors
/// The text stands for no value of the type.
pub fn scalar(text: &str, rule: &CellRule) -> Result<ScalarValue, Misfit> {
    let mut builder = CellBuilder::new(rule).map_err(|e| Cow::Owned(e.to_string()))?;
    builder.push(text)?;
    ScalarValue::try_from_array(&builder.finish(), 0).map_err(|e| Cow::Owned(e.to_string()))
}

/// The narrowest type whose guessed column takes this text; `None` for an empty one.
pub fn guess(text: &str) -> Option<DataType> {
    let bare = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        return None;
    }
    Some(match bare.as_bytes().first() {
        Some(b'0'..=b'9' | b'-' | b'.') => {
            let whole = integer(bare, true);
            if whole.is_ok() {
                DataType::Int64
            } else if whole == Err(TOO_LARGE) {
                // Every digit counts where a number identifies something.
                DataType::Utf8
            } else if double(bare, true).is_ok() {
                DataType::Float64
            } else if date(bare).is_ok() && bare.len() == 10 {
                DataType::Date32
            } else if timestamp(bare, false, true).is_ok() {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            } else if timestamp(bare, true, true).is_ok() {
                DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
            } else {
                DataType::Utf8
            }
        }
        Some(b't' | b'T' | b'f' | b'F') if boolean(bare, true).is_ok() => DataType::Boolean,
        _ => DataType::Utf8,
    })
}

fn short_enough(text: &str, max_chars: Option<u32>) -> Result<(), Misfit> {
    match max_chars {
        Some(max) if text.len() > max as usize => {
            let chars = text.chars().count();
            if chars > max as usize {
                return Err(Cow::Owned(format!("{chars} characters")));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn boolean(text: &str, guessed: bool) -> Result<bool, Misfit> {
    let is = |words: &[&str]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
    match guessed {
        _ if is(&["true"]) => Ok(true),
        _ if is(&["false"]) => Ok(false),
        false if is(&["t", "yes", "y", "on", "1"]) => Ok(true),
        false if is(&["f", "no", "n", "off", "0"]) => Ok(false),
        _ => Err(NO_REASON),
    }
}

/// Sign, digits before and behind the point, and the power of ten of a decimal number.
struct Number<'a> {
    negative: bool,
    plus: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    has_point: bool,
    exponent: Option<i32>,
}

fn number(text: &str) -> Result<Number<'_>, Misfit> {
    let mut rest = text.as_bytes();
    let (negative, plus) = match rest.first() {
        Some(b'-') => (true, false),
        Some(b'+') => (false, true),
        _ => (false, false),
    };
    if negative || plus {
        rest = &rest[1..];
    }
    let digits = |bytes: &[u8]| bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let (whole, after) = rest.split_at(digits(rest));
    let (fraction, after, has_point) = match after.split_first() {
        Some((b'.', after)) => {
            let (fraction, after) = after.split_at(digits(after));
            (fraction, after, true)
        }
        _ => (&[][..], after, false),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(NO_REASON);
    }
    let exponent = match after.split_first() {
        None => None,
        Some((b'e' | b'E', power)) => {
            let power = std::str::from_utf8(power).map_err(|_| NO_REASON)?;
            let bare = power.trim_start_matches(['+', '-']);
            if bare.is_empty()
                || power.len() > bare.len() + 1
                || !bare.bytes().all(|b| b.is_ascii_digit())
            {
                return Err(NO_REASON);
            }
            Some(power.parse::<i32>().map_err(|_| TOO_LARGE)?)
        }
        Some((b',', cents)) if !has_point && cents.iter().all(u8::is_ascii_digit) => {
            return Err(Cow::Borrowed(
                "a decimal comma; VARCHAR and replace(…, ',', '.') in SQL take it",
            ));
        }
        Some(_) => return Err(foreign(text)),
    };
    Ok(Number {
        negative,
        plus,
        whole,
        fraction,
        has_point,
        exponent,
    })
}

/// What a text is that begins as a number and is none, where it is a way of writing numbers.
fn foreign(text: &str) -> Misfit {
    let groups = |text: &str| {
        let mut parts = text.trim_start_matches('-').split(',');
        let first = parts.next().is_some_and(|p| (1..=3).contains(&p.len()));
        first && parts.all(|p| p.len() == 3)
    };
    let digits = |text: &str, more: &str| {
        text.chars()
            .all(|c| c.is_ascii_digit() || c == '-' || more.contains(c))
    };
    let (whole, cents) = text.split_once('.').unwrap_or((text, ""));
    if text.contains(',') && digits(whole, ",") && digits(cents, "") && groups(whole) {
        return Cow::Borrowed(
            "commas between thousands; VARCHAR and replace(…, ',', '') in SQL take it",
        );
    }
    match text.char_indices().next_back() {
        Some((at, '-')) if at > 0 && digits(&text[..at], ".,") => Cow::Borrowed(
            "a minus sign behind the digits; VARCHAR and '-' || rtrim(…, '-') in SQL take it",
        ),
        Some((at, '%' | '€' | '$' | '£')) if digits(text[..at].trim_end(), ".,") => {
            Cow::Borrowed("a sign behind the digits; VARCHAR and replace(…) in SQL take it")
        }
        _ => NO_REASON,
    }
}

impl Number<'_> {
    fn leads_with_zero(&self) -> bool {
        self.whole.len() > 1 && self.whole[0] == b'0'
    }

    /// The number times ten to the `scale`, rounded half away from zero, and whether that was exact.
    fn scaled(&self, scale: i32) -> Result<(i128, bool), Misfit> {
        let mut digits = self
            .whole
            .iter()
            .chain(self.fraction)
            .map(|b| i128::from(b - b'0'));
        let exponent = i64::from(self.exponent.unwrap_or(0));
        let kept = self.whole.len() as i64 + exponent + i64::from(scale);
        let mut value: i128 = 0;
        let mut left = kept.max(0);
        while left > 0 {
            let Some(digit) = digits.next() else { break };
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(digit))
                .ok_or(TOO_LARGE)?;
            left -= 1;
        }
        if value != 0 {
            for _ in 0..left {
                value = value.checked_mul(10).ok_or(TOO_LARGE)?;
            }
        }
        let mut exact = true;
        if kept >= 0
            && let Some(first) = digits.next()
        {
            exact = first == 0;
            if first >= 5 {
                value = value.checked_add(1).ok_or(TOO_LARGE)?;
            }
        }
        exact = exact && digits.all(|d| d == 0);
        Ok((if self.negative { -value } else { value }, exact))
    }
}

fn integer(text: &str, guessed: bool) -> Result<i64, Misfit> {
    let number = number(text)?;
    if guessed {
        if number.leads_with_zero() {
            return Err(Cow::Borrowed("it leads with a zero"));
        }
        if number.plus || number.has_point || number.exponent.is_some() {
            return Err(NO_REASON);
        }
    }
    let (value, exact) = number.scaled(0)?;
    if !exact {
        return Err(Cow::Borrowed("it has a fraction"));
    }
    i64::try_from(value).map_err(|_| TOO_LARGE)
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, Misfit> {
    T::try_from(value).map_err(|_| TOO_LARGE)
}

/// A DECIMAL of this precision and scale; digits beyond the scale are rounded half away from zero.
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Result<i128, Misfit> {
    let (value, _) = number(text)?.scaled(i32::from(scale))?;
    match 10i128.checked_pow(u32::from(precision)) {
        Some(limit) if value.abs() >= limit => Err(TOO_LARGE),
        _ => Ok(value),
    }
}

fn special(text: &str) -> bool {
    let bare = text.trim_start_matches(['+', '-']);
    ["nan", "inf", "infinity"]
        .iter()
        .any(|w| bare.eq_ignore_ascii_case(w))
}

fn double(text: &str, guessed: bool) -> Result<f64, Misfit> {
    if special(text) && !guessed {
        return text.parse().map_err(|_| NO_REASON);
    }
    let number = number(text)?;
    let value: f64 = text.parse().map_err(|_| NO_REASON)?;
    if value.is_infinite() {
        return Err(TOO_LARGE);
    }
    if guessed {
        if number.plus || number.leads_with_zero() {
            return Err(Cow::Borrowed("it leads with a zero or plus sign"));
        }
        // 12E4 is more often a code than a number.
        if number.exponent.is_some() && !number.has_point {
            return Err(NO_REASON);
        }
        let all = number.whole.iter().chain(number.fraction);
        let digits = all.skip_while(|b| **b == b'0').count();
        let whole = number.exponent.is_none() && number.fraction.iter().all(|b| *b == b'0');
        let exact = !whole || number.scaled(0)?.0 == value as i128;
        if digits > 17 || !exact {
            return Err(Cow::Borrowed("more digits than a DOUBLE holds"));
        }
    }
    Ok(value)
}

fn real(text: &str) -> Result<f32, Misfit> {
    let value = double(text, false)?;
    let near: f32 = text.parse().map_err(|_| NO_REASON)?;
    if near.is_infinite() && value.is_finite() {
        return Err(TOO_LARGE);
    }
    Ok(near)
}

fn fixed(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |value, b| {
        b.is_ascii_digit().then(|| value * 10 + i64::from(b - b'0'))
    })
}

/// `YYYY-MM-DD` as days since 1970, and what stands behind it.
fn day(text: &str) -> Option<(i64, &[u8])> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        fixed(&bytes[..4])?,
        fixed(&bytes[5..7])?,
        fixed(&bytes[8..10])?,
    );
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if year == 0 || !(1..=last).contains(&day) {
        return None;
    }
    // Days of a civil date, counted from March so that a leap day comes last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Some((days - 719_468, &bytes[10..]))
}

/// `HH:MM[:SS[.ffffff]]` as microseconds, and what stands behind it. Digits beyond microseconds are left out.
fn clock(bytes: &[u8]) -> Option<(i64, &[u8])> {
    if bytes.len() < 5 || bytes[2] != b':' {
        return None;
    }
    let (hour, minute) = (fixed(&bytes[..2])?, fixed(&bytes[3..5])?);
    let (mut second, mut micros, mut rest) = (0, 0, &bytes[5..]);
    if rest.first() == Some(&b':') {
        if rest.len() < 3 {
            return None;
        }
        second = fixed(&rest[1..3])?;
        rest = &rest[3..];
        if let Some((b'.' | b',', after)) = rest.split_first() {
            let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            for place in 0..6 {
                micros = micros * 10
                    + after
                        .get(place)
                        .filter(|_| place < digits)
                        .map_or(0, |b| i64::from(b - b'0'));
            }
            rest = &after[digits..];
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((
        ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros,
        rest,
    ))
}

/// `Z`, `UTC`, `±HH`, `±HHMM`, `±HH:MM` as minutes east of UTC.
fn zone(bytes: &[u8]) -> Option<i64> {
    let bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
    if matches!(bytes, b"Z" | b"z" | b"UTC") {
        return Some(0);
    }
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match &bytes[1..] {
        [a, b] => (fixed(&[*a, *b])?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (fixed(&[*a, *b])?, fixed(&[*c, *d])?),
        _ => return None,
    };
    (hours <= 15 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn date(text: &str) -> Result<i32, Misfit> {
    let (days, rest) = day(text).ok_or_else(|| not_iso(text))?;
    let days = i32::try_from(days).map_err(|_| TOO_LARGE)?;
    match rest.split_first() {
        None => Ok(days),
        Some((b'T' | b' ', after)) => match clock(after) {
            Some((0, b"")) => Ok(days),
            Some((0, after)) if zone(after) == Some(0) => Ok(days),
            Some(_) => Err(Cow::Borrowed("it has a time of day")),
            None => Err(NO_REASON),
        },
        Some(_) => Err(NO_REASON),
    }
}

fn time(text: &str) -> Result<i64, Misfit> {
    match clock(text.as_bytes()) {
        Some((micros, b"")) => Ok(micros),
        _ => Err(NO_REASON),
    }
}

fn timestamp(text: &str, zoned: bool, guessed: bool) -> Result<i64, Misfit> {
    let (days, rest) = day(text).ok_or_else(|| not_iso(text))?;
    let midnight = days * 86_400_000_000;
    let (micros, rest) = match rest.split_first() {
        None => return Ok(midnight),
        Some((b'T' | b't' | b' ', after)) => clock(after).ok_or(NO_REASON)?,
        Some(_) => return Err(NO_REASON),
    };
    let local = midnight + micros;
    if rest.is_empty() {
        // In a column of moments a wall clock is UTC, but that is nothing to guess.
        return match zoned && guessed {
            true => Err(Cow::Borrowed("it has no time zone")),
            false => Ok(local),
        };
    }
    match zone(rest).ok_or(NO_REASON)? {
        _ if !zoned && guessed => Err(Cow::Borrowed("it has a time zone")),
        0 => Ok(local),
        east if zoned => Ok(local - east * 60_000_000),
        _ => Err(Cow::Borrowed("it has a time zone; TIMESTAMPTZ takes it")),
    }
}

fn not_iso(text: &str) -> Misfit {
    if text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Cow::Borrowed(
            "a number; seconds since 1970 are a BIGINT and to_timestamp_seconds(…) in SQL",
        );
    }
    let bytes = text.as_bytes();
    let iso = bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-';
    let dated = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'/' | b'-');
    if !iso && bytes.len() >= 6 && bytes[..6].iter().all(|b| dated(*b)) && bytes[0] != b'-' {
        return Cow::Borrowed("YYYY-MM-DD is read; others are VARCHAR and to_date(…) in SQL");
    }
    NO_REASON
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(data_type: DataType, guessed: bool) -> CellRule {
        CellRule {
            data_type,
            guessed,
            max_chars: None,
        }
    }

    fn read(text: &str, data_type: DataType) -> String {
        match scalar(text, &rule(data_type, false)) {
            Ok(value) => value.to_string(),
            Err(why) => format!("refused {why}").trim_end().to_string(),
        }
    }

    #[test]
    fn decimals_round_half_away_from_zero_and_never_overflow() {
        for (text, value) in [
            ("19.989999999999998", 1999),
            ("0.995", 100),
            ("-2.675", -268),
            ("1.2E3", 120_000),
            ("5e-3", 1),
            ("4e-3", 0),
            ("9e-40", 0),
            (".5", 50),
            ("5.", 500),
            ("-0.001", 0),
            ("0000000000000000000000000000000000000000000001.5", 150),
            ("0e99", 0),
        ] {
            assert_eq!(decimal(text, 12, 2), Ok(value), "{text}");
        }
        assert_eq!(decimal("9999999999.994", 12, 2), Ok(999_999_999_999));
        for text in ["9999999999.995", "1e10", "1e999999", "1e99999999999"] {
            assert_eq!(decimal(text, 12, 2), Err(TOO_LARGE), "{text}");
        }
        for text in [
            "", "-", ".", "1,5", "1.5.2", "1 000", "NaN", "0x10", "1e", "1e+-3", "१",
        ] {
            assert!(decimal(text, 12, 2).is_err(), "{text}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, days) in [
            ("1970-01-01", "1970-01-01"),
            ("2000-02-29", "2000-02-29"),
            ("9999-12-31", "9999-12-31"),
            ("0001-01-01", "0001-01-01"),
            ("2024-02-29 00:00:00", "2024-02-29"),
        ] {
            assert_eq!(read(text, DataType::Date32), days);
        }
        for text in [
            "1900-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-1-2",
            "0000-01-01",
        ] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_guess_takes_only_what_means_nothing_else() {
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (text, expected) in [
            ("0", DataType::Int64),
            ("-17", DataType::Int64),
            (" 5 ", DataType::Int64),
            ("02139", DataType::Utf8),
            ("+5", DataType::Utf8),
            ("9223372036854775807", DataType::Int64),
            ("9223372036854775808", DataType::Utf8),
            ("12345678901234567890", DataType::Utf8),
            ("1.5", DataType::Float64),
            ("1.5e3", DataType::Float64),
            ("12E4", DataType::Utf8),
            ("0.12345678901234567890", DataType::Utf8),
            ("NaN", DataType::Utf8),
            ("True", DataType::Boolean),
            ("t", DataType::Utf8),
            ("2024-01-31", DataType::Date32),
            ("31.01.2024", DataType::Utf8),
            ("2024-01-31T10:00:00", naive.clone()),
            ("2024-01-31T10:00:00Z", zoned.clone()),
            ("2024-01-31 10:00:00+02", zoned),
            ("", DataType::Utf8),
        ] {
            let guess = guess(text).unwrap_or(DataType::Utf8);
            assert_eq!(guess, expected, "{text}");
        }
    }
}
