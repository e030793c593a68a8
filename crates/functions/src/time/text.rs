//! Moments as text, and text as moments.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// `.5` of 500,000 microseconds; nothing of none.
pub(super) fn fraction(micros: u64) -> String {
    if micros == 0 {
        return String::new();
    }
    let digits = format!("{micros:06}");
    format!(".{}", digits.trim_end_matches('0'))
}

/// A moment from microseconds since 1970.
pub(super) fn moment(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|m| m.naive_utc())
}

/// `2024-03-01 10:00:00.5`, as PostgreSQL writes a timestamp. `in_utc` adds `+00`.
pub(super) fn of_moment(at: NaiveDateTime, in_utc: bool) -> String {
    let time = at.time();
    let year = at.year();
    let shown = if year <= 0 { 1 - year } else { year };
    let zone = if in_utc { "+00" } else { "" };
    let era = if year <= 0 { " BC" } else { "" };
    format!(
        "{shown:04}-{:02}-{:02} {:02}:{:02}:{:02}{}{zone}{era}",
        at.month(),
        at.day(),
        time.hour(),
        time.minute(),
        time.second(),
        fraction(u64::from(time.nanosecond() / 1000)),
    )
}

/// What stands behind a moment in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone<'a> {
    None,
    /// Seconds east of Greenwich.
    Offset(i32),
    Named(&'a str),
}

/// Reads `2024-03-01`, `2024-03-01 10:00[:00[.5]][+01|Z| Europe/Berlin]` and forms that people write dates in.
pub(super) fn read(text: &str) -> Option<(NaiveDateTime, Zone<'_>)> {
    let text = text.trim();
    let text = text.strip_suffix(" AD").unwrap_or(text);
    let (date, rest) = date(text)?;
    let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim_start();
    if rest.is_empty() {
        return Some((date.and_time(NaiveTime::MIN), Zone::None));
    }
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return Some((date.and_time(NaiveTime::MIN), zone(rest)?));
    }
    let (time, next_day, rest) = time(rest)?;
    let date = if next_day { date.succ_opt()? } else { date };
    Some((date.and_time(time), zone(rest.trim())?))
}

fn zone(text: &str) -> Option<Zone<'_>> {
    match text {
        "" => Some(Zone::None),
        "Z" | "z" | "UTC" | "GMT" => Some(Zone::Offset(0)),
        _ if text.starts_with(['+', '-']) => {
            let sign = if text.starts_with('-') { -1 } else { 1 };
            let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
            if digits.is_empty() || digits.len() > 6 || !digits.chars().all(|c| c.is_ascii_digit())
            {
                return None;
            }
            let part = |from: usize| {
                digits
                    .get(from..from + 2)
                    .map_or(Some(0), |d| d.parse::<i32>().ok())
            };
            let hours = if digits.len() < 2 {
                digits.parse().ok()?
            } else {
                part(0)?
            };
            let seconds = hours * 3600 + part(2)? * 60 + part(4)?;
            (hours <= 15).then_some(Zone::Offset(sign * seconds))
        }
        name => name
            .starts_with(|c: char| c.is_alphabetic())
            .then_some(Zone::Named(name)),
    }
}

/// A time of day; 24:00:00 is the beginning of the next one.
fn time(text: &str) -> Option<(NaiveTime, bool, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
        .unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let mut parts = clock.split(':');
    let hour: u32 = parts.next()?.parse().ok()?;
    let minute: u32 = parts.next()?.parse().ok()?;
    let (second, micros) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (second, digits) = seconds.split_once('.').unwrap_or((seconds, ""));
            (second.parse::<u32>().ok()?, rounded_micros(digits)?)
        }
    };
    if parts.next().is_some() {
        return None;
    }
    let rest = rest.trim_start();
    let lower = rest.get(..2).map(str::to_ascii_lowercase);
    let (hour, rest) = match lower.as_deref() {
        Some("am") if hour <= 12 => (hour % 12, &rest[2..]),
        Some("pm") if hour <= 12 => (hour % 12 + 12, &rest[2..]),
        _ => (hour, rest),
    };
    if hour == 24 && minute == 0 && second == 0 && micros == 0 {
        return Some((NaiveTime::MIN, true, rest));
    }
    let carry = micros / 1_000_000;
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second.min(59), micros % 1_000_000)?;
    let (time, over) = time.overflowing_add_signed(chrono::TimeDelta::seconds(i64::from(
        carry + u32::from(second == 60),
    )));
    (second <= 60).then_some((time, over > 0, rest))
}

/// Digits behind the point of a second, rounded to microseconds.
fn rounded_micros(digits: &str) -> Option<u32> {
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{digits:0<7}");
    let (kept, next) = padded.split_at(6);
    let kept: u32 = kept.parse().ok()?;
    Some(kept + u32::from(next.as_bytes().first().is_some_and(|d| *d >= b'5')))
}

/// A day at the beginning of a text: `2024-03-01`, `2024/3/1`, `20240301`, `Mar 1, 2024`, `1 March 2024`.
fn date(text: &str) -> Option<(NaiveDate, &str)> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let follows = text[digits..].chars().next();
    if digits == 8 && !matches!(follows, Some('-' | '/')) {
        let number: i32 = text[..8].parse().ok()?;
        let date = NaiveDate::from_ymd_opt(
            number / 10_000,
            (number / 100 % 100) as u32,
            (number % 100) as u32,
        )?;
        return Some((date, &text[8..]));
    }
    if (4..=6).contains(&digits) && matches!(follows, Some('-' | '/')) {
        let separator = follows?;
        let year: i32 = text[..digits].parse().ok()?;
        let (month, rest) = small(&text[digits + 1..])?;
        let (day, rest) = small(rest.strip_prefix(separator)?)?;
        let (year, rest) = match rest.strip_suffix(" BC") {
            Some(rest) => (1 - year, rest),
            None => (year, rest),
        };
        return (year != 0 || rest != text)
            .then(|| NaiveDate::from_ymd_opt(year, month, day).map(|d| (d, rest)))?;
    }
    named_date(text)
}

fn small(text: &str) -> Option<(u32, &str)> {
    let length = text.chars().take_while(char::is_ascii_digit).count();
    if !(1..=2).contains(&length) {
        return None;
    }
    Some((text[..length].parse().ok()?, &text[length..]))
}

fn named_date(text: &str) -> Option<(NaiveDate, &str)> {
    let mut at = 0;
    let (mut year, mut month, mut day) = (None, None, None);
    while year.is_none() || month.is_none() || day.is_none() {
        let rest = &text[at..];
        let skipped = rest
            .chars()
            .take_while(|c| matches!(c, ' ' | ',' | '-' | '.'))
            .count();
        let rest = &rest[skipped..];
        let word: String = rest
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        at += skipped + word.len();
        if word.is_empty() {
            return None;
        }
        if word.chars().all(|c| c.is_ascii_digit()) {
            match word.len() {
                1 | 2 if day.is_none() => day = Some(word.parse().ok()?),
                4 if year.is_none() => year = Some(word.parse().ok()?),
                _ => return None,
            }
        } else {
            let found = super::parse::month_named(&word)?;
            if month.replace(found).is_some() {
                return None;
            }
        }
    }
    Some((NaiveDate::from_ymd_opt(year?, month?, day?)?, &text[at..]))
}
