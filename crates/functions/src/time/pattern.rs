//! PostgreSQL's patterns of dates and times, as `to_char`, `to_date` and `to_timestamp` take them.

use datafusion::common::{Result, plan_err};

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands for itself, from double quotes.
    Quoted(String),
    /// A character that stands for itself.
    Char(char),
    Field(Field),
}

/// A field with its modifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) key: Key,
    pub(super) case: Case,
    /// `FM`: no padding. `TM`, the name in the language of the server, which is English, has none either.
    pub(super) fill: bool,
    /// `th` or `TH` behind it.
    pub(super) ordinal: Option<Case>,
}

/// How the letters of a field were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Title,
    Lower,
}

macro_rules! keys {
    ($($key:ident $text:literal),+ $(,)?) => {
        /// What a field stands for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Key { $($key),+ }

        const KEYS: &[(Key, &str)] = &[$((Key::$key, $text)),+];
    };
}

// Longer texts come before those that they begin with.
keys! {
    AdDots "A.D.", AmDots "A.M.", BcDots "B.C.", PmDots "P.M.", Ad "AD", Am "AM", Bc "BC", Pm "PM",
    Century "CC", DayName "DAY", DayOfYear "DDD", Day "DD", DayShort "DY", DayOfWeek "D",
    Fraction1 "FF1", Fraction2 "FF2", Fraction3 "FF3", Fraction4 "FF4", Fraction5 "FF5", Fraction6 "FF6",
    Hour24 "HH24", Hour12 "HH12", Hour "HH", IsoDayOfYear "IDDD", IsoDay "ID", IsoWeek "IW",
    IsoYear4 "IYYY", IsoYear3 "IYY", IsoYear2 "IY", IsoYear1 "I", Julian "J",
    Minute "MI", Month "MM", MonthName "MONTH", MonthShort "MON", Millisecond "MS", Offset "OF",
    Quarter "Q", Roman "RM", SecondOfDay5 "SSSSS", SecondOfDay "SSSS", Second "SS",
    ZoneHour "TZH", ZoneMinute "TZM", Zone "TZ", Microsecond "US", Week "WW", WeekOfMonth "W",
    YearComma "Y,YYY", Year4 "YYYY", Year3 "YYY", Year2 "YY", Year1 "Y",
}

/// Reads a pattern.
///
/// # Errors
/// The pattern has `FX` or `SP`, which nobody answers here.
pub(super) fn read(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces = vec![];
    let mut rest = pattern;
    let mut fill = false;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = ["FM", "fm", "TM", "tm"]
            .iter()
            .find_map(|m| rest.strip_prefix(m))
        {
            fill = true;
            rest = after;
            continue;
        }
        if ["FX", "fx"].iter().any(|m| rest.starts_with(m)) {
            return plan_err!("FX in the pattern '{pattern}' is not supported; leave it out");
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = unquote(quoted);
            pieces.push(Piece::Quoted(text));
            rest = after;
            fill = false;
            continue;
        }
        if let Some((key, case, after)) = field(rest) {
            let (ordinal, after) = match (after.strip_prefix("TH"), after.strip_prefix("th")) {
                (Some(after), _) => (Some(Case::Upper), after),
                (_, Some(after)) => (Some(Case::Lower), after),
                _ => (None, after),
            };
            if after.starts_with("SP") {
                return plan_err!(
                    "SP in the pattern '{pattern}' is not supported: numbers are not spelled"
                );
            }
            pieces.push(Piece::Field(Field {
                key,
                case,
                fill,
                ordinal,
            }));
            fill = false;
            rest = after;
            continue;
        }
        let escaped = rest.strip_prefix('\\').filter(|r| r.starts_with('"'));
        let rest_of = escaped.unwrap_or(rest);
        let char = if escaped.is_some() { '"' } else { first };
        pieces.push(Piece::Char(char));
        rest = &rest_of[char.len_utf8()..];
        fill = false;
    }
    Ok(pieces)
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, &text[at + 1..]),
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    (out, "")
}

fn field(text: &str) -> Option<(Key, Case, &str)> {
    KEYS.iter().find_map(|(key, upper)| {
        let given = text.get(..upper.len())?;
        let after = &text[upper.len()..];
        if given == *upper {
            return Some((*key, Case::Upper, after));
        }
        if given.chars().all(|c| !c.is_ascii_uppercase()) && given.eq_ignore_ascii_case(upper) {
            return Some((*key, Case::Lower, after));
        }
        let named = matches!(
            key,
            Key::DayName | Key::DayShort | Key::MonthName | Key::MonthShort
        );
        let title = given.chars().next()?.is_ascii_uppercase()
            && given.chars().skip(1).all(|c| c.is_ascii_lowercase());
        (named && title && given.eq_ignore_ascii_case(upper)).then_some((*key, Case::Title, after))
    })
}

/// `st`, `nd`, `rd` or `th`, by the last digits.
pub(super) fn ordinal(digits: &str, case: Case) -> &'static str {
    let mut last = digits.chars().rev();
    let (one, ten) = (last.next(), last.next());
    let (lower, upper) = match (ten, one) {
        (Some('1'), _) => ("th", "TH"),
        (_, Some('1')) => ("st", "ST"),
        (_, Some('2')) => ("nd", "ND"),
        (_, Some('3')) => ("rd", "RD"),
        _ => ("th", "TH"),
    };
    if case == Case::Upper { upper } else { lower }
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
pub(super) const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];
