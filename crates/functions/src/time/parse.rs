//! `to_date` and `to_timestamp`: text in a pattern's form.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::error::DataFusionError;

use super::pattern::{Field, Key, MONTHS, Piece, ROMAN};

/// The parts of a moment as a text names them.
#[derive(Default)]
struct Found {
    year: Option<i32>,
    iso_year: Option<i32>,
    iso_week: Option<u32>,
    iso_day: Option<u32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    julian: Option<i32>,
    is_before_christ: bool,
    hour: Option<u32>,
    half: Option<bool>,
    is_half_clock: bool,
    minute: u32,
    second: u32,
    micros: u32,
    second_of_day: Option<u32>,
    zone: i32,
    zone_minute: i32,
}

/// Reads a text in a pattern's form. The second value is the offset from UTC in seconds, if the text names one.
///
/// # Errors
/// The text does not have that form, or names no day that there is.
pub(super) fn read(pieces: &[Piece], text: &str) -> Result<(NaiveDateTime, i32)> {
    let mut found = Found::default();
    let mut rest = text;
    for (i, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Quoted(quoted) => {
                for _ in quoted.chars() {
                    rest = skip_one(rest);
                }
            }
            Piece::Char(c) if c.is_alphanumeric() => rest = skip_one(rest),
            Piece::Char(_) => {
                rest =
                    rest.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '-' && c != '+');
                if matches!(piece, Piece::Char('-' | '+')) || !rest[..].starts_with(['-', '+']) {
                    rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
                }
            }
            Piece::Field(field) => {
                rest = rest.trim_start();
                let ends = match pieces.get(i + 1) {
                    None => true,
                    Some(Piece::Field(_)) => false,
                    Some(Piece::Char(c)) => !c.is_ascii_digit(),
                    Some(Piece::Quoted(q)) => !q.starts_with(|c: char| c.is_ascii_digit()),
                };
                rest = found.field(field, rest, ends, text)?;
                if field.ordinal.is_some() {
                    rest = skip_one(skip_one(rest));
                }
            }
        }
    }
    found.moment(text)
}

fn skip_one(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// The month of an English name or its first three letters.
pub(super) fn month_named(word: &str) -> Option<u32> {
    let at = MONTHS
        .iter()
        .position(|m| m.eq_ignore_ascii_case(word) || m[..3].eq_ignore_ascii_case(word))?;
    Some(at as u32 + 1)
}

impl Found {
    fn field<'a>(
        &mut self,
        field: &Field,
        rest: &'a str,
        ends: bool,
        all: &str,
    ) -> Result<&'a str> {
        let number = |width: usize| digits(rest, width, field.fill || ends, all);
        match field.key {
            Key::Year4 | Key::Year3 | Key::Year2 | Key::Year1 => {
                let width = match field.key {
                    Key::Year4 => 4,
                    Key::Year3 => 3,
                    Key::Year2 => 2,
                    _ => 1,
                };
                let (value, after) = number(width)?;
                let given = rest.len() - after.len();
                let value = if width < 4 || given < 4 {
                    near_2020(value)
                } else {
                    value
                };
                self.year = Some(value);
                return Ok(after);
            }
            Key::YearComma => {
                let (thousands, after) = digits(rest, 2, true, all)?;
                let after = after.strip_prefix(',').ok_or_else(|| unlike(all))?;
                let (value, after) = digits(after, 3, false, all)?;
                self.year = Some(thousands * 1000 + value);
                return Ok(after);
            }
            Key::IsoYear4 | Key::IsoYear3 | Key::IsoYear2 | Key::IsoYear1 => {
                let width = match field.key {
                    Key::IsoYear4 => 4,
                    Key::IsoYear3 => 3,
                    Key::IsoYear2 => 2,
                    _ => 1,
                };
                let (value, after) = number(width)?;
                self.iso_year = Some(if width < 4 { near_2020(value) } else { value });
                return Ok(after);
            }
            Key::MonthName | Key::MonthShort => {
                let named = MONTHS.iter().enumerate().find_map(|(i, name)| {
                    let after = prefix(rest, name).or_else(|| prefix(rest, &name[..3]))?;
                    Some((i as u32 + 1, after))
                });
                let (month, after) = named.ok_or_else(|| unlike(all))?;
                self.month = Some(month);
                return Ok(after);
            }
            Key::DayName | Key::DayShort => {
                let after = super::pattern::DAYS
                    .iter()
                    .find_map(|name| prefix(rest, name).or_else(|| prefix(rest, &name[..3])));
                return after.ok_or_else(|| unlike(all));
            }
            Key::Roman => {
                let mut longest_first: Vec<_> = ROMAN.iter().enumerate().collect();
                longest_first.sort_by_key(|(_, roman)| std::cmp::Reverse(roman.len()));
                let found = longest_first
                    .into_iter()
                    .find_map(|(i, roman)| Some((i as u32 + 1, prefix(rest, roman)?)));
                let (month, after) = found.ok_or_else(|| unlike(all))?;
                self.month = Some(month);
                return Ok(after);
            }
            Key::Am | Key::Pm | Key::AmDots | Key::PmDots => {
                let halves = [("a.m.", false), ("p.m.", true), ("am", false), ("pm", true)];
                let found = halves
                    .iter()
                    .find_map(|(text, late)| Some((*late, prefix(rest, text)?)));
                let (late, after) = found.ok_or_else(|| unlike(all))?;
                self.half = Some(late);
                return Ok(after);
            }
            Key::Ad | Key::Bc | Key::AdDots | Key::BcDots => {
                let eras = [("a.d.", false), ("b.c.", true), ("ad", false), ("bc", true)];
                let found = eras
                    .iter()
                    .find_map(|(text, before)| Some((*before, prefix(rest, text)?)));
                let (before, after) = found.ok_or_else(|| unlike(all))?;
                self.is_before_christ = before;
                return Ok(after);
            }
            Key::Millisecond
            | Key::Microsecond
            | Key::Fraction1
            | Key::Fraction2
            | Key::Fraction3
            | Key::Fraction4
            | Key::Fraction5
            | Key::Fraction6 => {
                let length = rest.chars().take_while(char::is_ascii_digit).count().min(6);
                if length == 0 {
                    return Err(unlike(all));
                }
                // `.5` is half a second, whatever the pattern's width.
                let value: u32 = rest[..length].parse().map_err(|_| unlike(all))?;
                self.micros = value * 10_u32.pow(6 - length as u32);
                return Ok(&rest[length..]);
            }
            Key::ZoneHour | Key::Offset => {
                let (sign, after) = match (rest.strip_prefix('-'), rest.strip_prefix('+')) {
                    (Some(after), _) => (-1, after),
                    (_, Some(after)) => (1, after),
                    _ => (1, rest),
                };
                let (hours, after) = digits(after, 2, false, all)?;
                self.zone = sign * hours * 3600;
                if field.key == Key::Offset
                    && let Some(minutes) = after.strip_prefix(':')
                {
                    let (minutes, after) = digits(minutes, 2, false, all)?;
                    self.zone_minute = minutes;
                    return Ok(after);
                }
                return Ok(after);
            }
            Key::Zone => {
                let after = prefix(rest, "utc")
                    .or_else(|| prefix(rest, "gmt"))
                    .or_else(|| prefix(rest, "z"));
                return after.ok_or_else(|| {
                    exec_datafusion_err!(
                        "'{all}' has a zone other than UTC, and TZ reads no other; use TZH:TZM"
                    )
                });
            }
            _ => {}
        }
        let width = match field.key {
            Key::DayOfYear | Key::IsoDayOfYear => 3,
            Key::Quarter | Key::DayOfWeek | Key::IsoDay | Key::WeekOfMonth => 1,
            Key::SecondOfDay | Key::SecondOfDay5 => 5,
            Key::Julian => 9,
            _ => 2,
        };
        let (value, after) = number(width)?;
        let small = value as u32;
        match field.key {
            Key::Month => self.month = Some(small),
            Key::Day => self.day = Some(small),
            Key::DayOfYear => self.day_of_year = Some(small),
            Key::Hour24 => self.hour = Some(small),
            Key::Hour | Key::Hour12 => {
                self.hour = Some(small);
                self.is_half_clock = true;
            }
            Key::Minute => self.minute = small,
            Key::Second => self.second = small,
            Key::SecondOfDay | Key::SecondOfDay5 => self.second_of_day = Some(small),
            Key::Julian => self.julian = Some(value),
            Key::IsoWeek => self.iso_week = Some(small),
            Key::IsoDay => self.iso_day = Some(small),
            Key::ZoneMinute => self.zone_minute = value,
            Key::Quarter | Key::DayOfWeek => {}
            _ => {
                return exec_err!(
                    "a date cannot be read by the week of its year or month, its century or the ISO day of its year; \
                     use YYYY with MM and DD, or IYYY with IW and ID"
                );
            }
        }
        Ok(after)
    }

    fn moment(self, text: &str) -> Result<(NaiveDateTime, i32)> {
        let wrong = || exec_datafusion_err!("'{text}' names a day or a time that there is not");
        let year = self
            .year
            .map(|y| if self.is_before_christ { 1 - y } else { y });
        let date = if let Some(julian) = self.julian {
            NaiveDate::from_num_days_from_ce_opt(julian - 1_721_425)
        } else if let (Some(year), Some(week)) = (self.iso_year, self.iso_week) {
            let day = Weekday::try_from(self.iso_day.unwrap_or(1).wrapping_sub(1) as u8)
                .map_err(|_| wrong())?;
            NaiveDate::from_isoywd_opt(year, week, day)
        } else if let (Some(year), Some(day)) = (year.or(self.iso_year), self.day_of_year) {
            NaiveDate::from_yo_opt(year, day)
        } else if let Some(year) = year.or(self.iso_year) {
            NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))
        } else {
            return exec_err!("'{text}' has no year; its pattern needs YYYY");
        };
        let date = date
            .filter(|d| d.year() != 0 || self.is_before_christ)
            .ok_or_else(wrong)?;
        let hour = self.hour.unwrap_or(0);
        let hour = match (self.is_half_clock, self.half) {
            (true, _) if !(1..=12).contains(&hour) => return Err(wrong()),
            (true, Some(true)) => hour % 12 + 12,
            (true, _) => {
                if self.half.is_some() || hour != 12 {
                    hour % 12
                } else {
                    0
                }
            }
            (false, Some(late)) if (1..=12).contains(&hour) => {
                hour % 12 + if late { 12 } else { 0 }
            }
            (false, _) => hour,
        };
        let time = match self.second_of_day {
            Some(second) => {
                NaiveTime::from_num_seconds_from_midnight_opt(second, self.micros * 1000)
            }
            None => NaiveTime::from_hms_micro_opt(hour, self.minute, self.second, self.micros),
        };
        let offset = self.zone + self.zone.signum() * self.zone_minute * 60;
        Ok((date.and_time(time.ok_or_else(wrong)?), offset))
    }
}

/// A number of at most `width` digits; of any length where something else than a digit ends it.
fn digits<'a>(text: &'a str, width: usize, open: bool, all: &str) -> Result<(i32, &'a str)> {
    let length = text.chars().take_while(char::is_ascii_digit).count();
    let length = if open { length } else { length.min(width) };
    if length == 0 {
        return Err(unlike(all));
    }
    let value = text[..length].parse().map_err(|_| unlike(all))?;
    Ok((value, &text[length..]))
}

fn prefix<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let given = text.get(..name.len())?;
    given
        .eq_ignore_ascii_case(name)
        .then(|| &text[name.len()..])
}

/// Years of fewer digits are those nearest to 2020.
fn near_2020(year: i32) -> i32 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

fn unlike(text: &str) -> DataFusionError {
    exec_datafusion_err!("'{text}' does not have the form of its pattern")
}
