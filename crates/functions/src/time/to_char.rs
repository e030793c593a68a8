//! `to_char` of moments and intervals.

use std::fmt::Write;

use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion::common::{Result, exec_err};

use super::interval::Span;
use super::pattern::{Case, DAYS, Field, Key, MONTHS, Piece, ROMAN, ordinal};

/// What is written out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Written {
    /// A wall clock, and whether it is in UTC.
    Moment(NaiveDateTime, bool),
    Interval(Span),
}

/// A moment or an interval in a pattern's form.
///
/// # Errors
/// The pattern names a part that an interval does not have.
pub(super) fn write(pieces: &[Piece], what: Written) -> Result<String> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Quoted(text) => out.push_str(text),
            Piece::Char(c) => out.push(*c),
            Piece::Field(field) => out.push_str(&part(field, what)?),
        }
    }
    Ok(out)
}

fn part(field: &Field, what: Written) -> Result<String> {
    if let Some(text) = clock(field, what) {
        return Ok(text);
    }
    match what {
        Written::Moment(at, utc) => Ok(calendar(field, at, utc)),
        Written::Interval(span) => {
            let (years, months) = (span.months / 12, span.months % 12);
            match field.key {
                Key::Year4 => Ok(number(field, i64::from(years), 4)),
                Key::Month => Ok(number(field, i64::from(months), 2)),
                Key::Day => Ok(number(field, i64::from(span.days), 2)),
                _ => exec_err!(
                    "to_char of an interval has no such part; YYYY, MM, DD and the parts of the clock are there"
                ),
            }
        }
    }
}

/// Hours and below, which moments and intervals have alike.
fn clock(field: &Field, what: Written) -> Option<String> {
    let micros = match what {
        Written::Moment(at, _) => {
            i64::from(at.num_seconds_from_midnight()) * 1_000_000
                + i64::from(at.nanosecond() / 1000)
        }
        Written::Interval(span) => span.micros,
    };
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let half = |upper: &str, lower: &str| {
        Some(if field.case == Case::Upper {
            upper.to_owned()
        } else {
            lower.to_owned()
        })
    };
    let is_late = hour % 24 >= 12;
    Some(match field.key {
        Key::Hour24 => number(field, hour, 2),
        Key::Hour | Key::Hour12 => number(field, if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
        Key::Minute => number(field, minute, 2),
        Key::Second => number(field, second, 2),
        Key::Millisecond | Key::Fraction3 => number(field, fraction / 1000, 3),
        Key::Microsecond | Key::Fraction6 => number(field, fraction, 6),
        Key::Fraction1 => number(field, fraction / 100_000, 1),
        Key::Fraction2 => number(field, fraction / 10_000, 2),
        Key::Fraction4 => number(field, fraction / 100, 4),
        Key::Fraction5 => number(field, fraction / 10, 5),
        Key::SecondOfDay | Key::SecondOfDay5 => number(field, seconds, 0),
        Key::Am | Key::Pm => {
            return if is_late {
                half("PM", "pm")
            } else {
                half("AM", "am")
            };
        }
        Key::AmDots | Key::PmDots => {
            return if is_late {
                half("P.M.", "p.m.")
            } else {
                half("A.M.", "a.m.")
            };
        }
        _ => return None,
    })
}

fn calendar(field: &Field, at: NaiveDateTime, utc: bool) -> String {
    let date = at.date();
    let year = date.year();
    // Year 0 is 1 BC.
    let shown = i64::from(if year <= 0 { 1 - year } else { year });
    let iso = date.iso_week();
    let iso_year = i64::from(iso.year());
    let weekday = date.weekday();
    let cased = |name: &str| match field.case {
        Case::Upper => name.to_uppercase(),
        Case::Title => name.to_owned(),
        Case::Lower => name.to_lowercase(),
    };
    let padded = |name: &str| {
        let name = cased(name);
        if field.fill {
            name
        } else {
            format!("{name:<9}")
        }
    };
    let day_name = DAYS[weekday.num_days_from_sunday() as usize];
    let month_name = MONTHS[date.month0() as usize];
    let era = |before: [&str; 2], after: [&str; 2]| {
        let pair = if year <= 0 { before } else { after };
        pair[usize::from(field.case != Case::Upper)].to_owned()
    };
    match field.key {
        Key::Ad | Key::Bc => era(["BC", "bc"], ["AD", "ad"]),
        Key::AdDots | Key::BcDots => era(["B.C.", "b.c."], ["A.D.", "a.d."]),
        Key::Century => {
            let century = if year > 0 {
                (year + 99) / 100
            } else {
                year / 100 - 1
            };
            number(field, i64::from(century), 2)
        }
        Key::DayName => padded(day_name),
        Key::DayShort => cased(&day_name[..3]),
        Key::MonthName => padded(month_name),
        Key::MonthShort => cased(&month_name[..3]),
        Key::Roman => {
            let roman = cased(ROMAN[date.month0() as usize]);
            if field.fill {
                roman
            } else {
                format!("{roman:<4}")
            }
        }
        Key::DayOfYear => number(field, i64::from(date.ordinal()), 3),
        Key::Day => number(field, i64::from(date.day()), 2),
        Key::DayOfWeek => number(field, i64::from(weekday.number_from_sunday()), 0),
        Key::IsoDay => number(field, i64::from(weekday.number_from_monday()), 0),
        Key::IsoDayOfYear => {
            let day = (i64::from(iso.week()) - 1) * 7 + i64::from(weekday.number_from_monday());
            number(field, day, 3)
        }
        Key::IsoWeek => number(field, i64::from(iso.week()), 2),
        Key::Month => number(field, i64::from(date.month()), 2),
        Key::Quarter => number(field, i64::from(date.month0() / 3 + 1), 0),
        Key::Week => number(field, i64::from(date.ordinal0() / 7 + 1), 2),
        Key::WeekOfMonth => number(field, i64::from(date.day0() / 7 + 1), 0),
        Key::Julian => number(field, i64::from(date.num_days_from_ce()) + 1_721_425, 0),
        Key::YearComma => {
            let mut text = format!("{},{:03}", shown / 1000, shown % 1000);
            add_ordinal(field, &mut text);
            text
        }
        Key::Year4 => number(field, shown, 4),
        Key::Year3 => number(field, shown % 1000, 3),
        Key::Year2 => number(field, shown % 100, 2),
        Key::Year1 => number(field, shown % 10, 1),
        Key::IsoYear4 => number(field, iso_year, 4),
        Key::IsoYear3 => number(field, iso_year % 1000, 3),
        Key::IsoYear2 => number(field, iso_year % 100, 2),
        Key::IsoYear1 => number(field, iso_year % 10, 1),
        Key::Zone if utc => cased("UTC"),
        Key::Offset | Key::ZoneHour => "+00".to_owned(),
        Key::ZoneMinute => "00".to_owned(),
        // A wall clock has no zone, and the parts of the clock are written already.
        _ => String::new(),
    }
}

fn number(field: &Field, value: i64, width: usize) -> String {
    let mut text = String::new();
    let written = match (field.fill, value < 0) {
        (true, _) => write!(text, "{value}"),
        (false, true) => write!(text, "-{:0width$}", value.unsigned_abs()),
        (false, false) => write!(text, "{value:0width$}"),
    };
    written.expect("a String takes what is written");
    add_ordinal(field, &mut text);
    text
}

fn add_ordinal(field: &Field, text: &mut String) {
    if let Some(case) = field.ordinal {
        text.push_str(ordinal(text, case));
    }
}
