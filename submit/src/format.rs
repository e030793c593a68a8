//! Numbers as people read them: counts, sizes, durations, ages. Every command formats through here.

use chrono::{DateTime, SecondsFormat, Utc};

/// `1234567` as `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A change of a count: `+1,204`, `-3`, `0`.
pub(crate) fn change(n: i64) -> String {
    match n {
        0 => "0".into(),
        n if n > 0 => format!("+{}", count(n.unsigned_abs())),
        n => format!("-{}", count(n.unsigned_abs())),
    }
}

/// `1 row`, `2,000 rows`.
pub(crate) fn plural(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(n))
}

/// Bytes in decimal units: `812 B`, `9.4 kB`, `118 MB`, `1.2 GB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if value < 9.95 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// Rows per second: `840 rows/s`, `12 k rows/s`, `1.9 M rows/s`.
pub(crate) fn rate(rows_per_second: f64) -> String {
    let (value, unit) = match rows_per_second {
        r if r >= 999_500_000.0 => (r / 1e9, "G "),
        r if r >= 999_500.0 => (r / 1e6, "M "),
        r if r >= 999.5 => (r / 1e3, "k "),
        r => return format!("{r:.0} rows/s"),
    };
    if value < 9.95 {
        format!("{value:.1} {unit}rows/s")
    } else {
        format!("{value:.0} {unit}rows/s")
    }
}

/// Milliseconds as a duration: `240 ms`, `9.4 s`, `2 min 5 s`, `1 h 4 min`, `3 d 2 h`.
pub(crate) fn duration(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms} ms");
    }
    if ms < 59_950 {
        return format!("{:.1} s", ms as f64 / 1000.0);
    }
    let seconds = (ms + 500) / 1000;
    match seconds {
        s if s < 3600 => format!("{} min {} s", s / 60, s % 60),
        s if s < 86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// Whole seconds for a line that counts up: `12 s`, `2 min 5 s`.
pub(crate) fn ticking(ms: u64) -> String {
    match ms / 1000 {
        s if s < 60 => format!("{s} s"),
        s => duration(s * 1000),
    }
}

/// How long ago: `just now`, `12 s ago`, `2 min ago`, `3 h ago`, `5 d ago`; `-` when it never was.
pub(crate) fn age(now_us: i64, then_us: Option<i64>) -> String {
    let Some(then_us) = then_us else {
        return "-".into();
    };
    match (now_us - then_us).max(0) / 1_000_000 {
        s if s < 3 => "just now".into(),
        s if s < 60 => format!("{s} s ago"),
        s if s < 3600 => format!("{} min ago", s / 60),
        s if s < 86_400 => format!("{} h ago", s / 3600),
        s => format!("{} d ago", s / 86_400),
    }
}

/// Microseconds since the epoch as `2026-11-20T18:20:11Z`; `-` for none.
pub(crate) fn instant(us: Option<i64>) -> String {
    match us.and_then(DateTime::<Utc>::from_timestamp_micros) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Secs, true),
        None => "-".into(),
    }
}

/// The first digits of a snapshot id: `8127…`; `-` for none.
pub(crate) fn short_id(id: Option<i64>) -> String {
    match id.map(|id| id.to_string()) {
        None => "-".into(),
        Some(digits) if digits.len() <= 6 => digits,
        Some(digits) => format!("{}…", &digits[..4]),
    }
}

/// Reads `60s`, `500ms`, `2m`, `2min`, `1h`, or a plain number of seconds; returns milliseconds.
pub(crate) fn parse_duration(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "ms" => 1.0,
        "" | "s" | "sec" => 1000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        other => {
            return Err(format!(
                "{other:?} is not a unit of time; write 500ms, 60s, 2m or 1h"
            ));
        }
    };
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((value * factor).round() as u64),
        _ => Err(format!(
            "{text:?} is not a duration; write 500ms, 60s, 2m or 1h"
        )),
    }
}

/// Cuts `text` to `width` characters, the last one `…` if something was lost.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        out.push('…');
    }
    out
}

/// Breaks `text` at spaces so that no line is longer than `width`; later lines start with `indent`.
pub(crate) fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let words = text.trim_start();
    let mut line = text[..text.len() - words.len()].to_string();
    let mut lines: Vec<String> = vec![];
    let mut empty = true;
    for word in words.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, indent.to_string()));
        } else if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_thousands_separators() {
        assert_eq!(
            ["0", "999", "1,000", "9,113,204"],
            [count(0), count(999), count(1000), count(9_113_204)]
                .each_ref()
                .map(String::as_str)
        );
        assert_eq!(
            [change(0), change(1204), change(-3000)],
            ["0", "+1,204", "-3,000"]
        );
        assert_eq!(
            [plural(1, "row"), plural(0, "row"), plural(2000, "row")],
            ["1 row", "0 rows", "2,000 rows"]
        );
    }

    #[test]
    fn sizes_keep_two_or_three_digits() {
        let sizes = [0, 812, 9_400, 118_000_000, 1_240_000_000, 999_600].map(size);
        assert_eq!(
            sizes,
            ["0 B", "812 B", "9.4 kB", "118 MB", "1.2 GB", "1.0 MB"]
        );
        assert_eq!(
            [840.2, 12_100.0, 1_930_000.0].map(rate),
            ["840 rows/s", "12 k rows/s", "1.9 M rows/s"]
        );
    }

    #[test]
    fn durations_choose_their_unit() {
        let durations = [
            0,
            240,
            1_249,
            9_400,
            59_960,
            125_000,
            3_840_000,
            266_400_000,
        ]
        .map(duration);
        assert_eq!(
            durations,
            [
                "0 ms",
                "240 ms",
                "1.2 s",
                "9.4 s",
                "1 min 0 s",
                "2 min 5 s",
                "1 h 4 min",
                "3 d 2 h"
            ]
        );
    }

    #[test]
    fn ages_and_instants_of_nothing_are_a_dash() {
        let now = 1_795_198_811_000_000;
        let ages = [
            None,
            Some(now - 1_000_000),
            Some(now - 12_000_000),
            Some(now - 120_000_000),
            Some(now - 7_200_000_000),
        ]
        .map(|then| age(now, then));
        assert_eq!(ages, ["-", "just now", "12 s ago", "2 min ago", "2 h ago"]);
        assert_eq!(instant(None), "-");
        assert_eq!(instant(Some(now)), "2026-11-20T18:20:11Z");
        assert_eq!(
            [None, Some(812_744_123_123), Some(42)].map(short_id),
            ["-", "8127…", "42"]
        );
    }

    #[test]
    fn durations_are_read_with_and_without_unit() {
        let read = ["60s", "500ms", "2m", "1.5h", "30"].map(parse_duration);
        assert_eq!(
            read,
            [Ok(60_000), Ok(500), Ok(120_000), Ok(5_400_000), Ok(30_000)]
        );
        assert!(parse_duration("soon").unwrap_err().contains("unit of time"));
        assert!(parse_duration("").unwrap_err().contains("not a duration"));
    }

    #[test]
    fn long_text_is_cut_or_wrapped() {
        assert_eq!(fit("fact_order_items", 8), "fact_or…");
        assert_eq!(fit("kurz", 4), "kurz");
        assert_eq!(
            wrap("  what changed: one, two, three", 20, "    "),
            ["  what changed: one,", "    two, three"]
        );
    }
}
