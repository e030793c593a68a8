//! `at time zone`: between wall clocks of a zone and moments.

use std::str::FromStr;

use chrono::{LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use datafusion::arrow::array::timezone::Tz;
use datafusion::common::{Result, exec_datafusion_err, exec_err};

/// A zone by its name, such as `Europe/Berlin` or `UTC`.
///
/// # Errors
/// There is none of that name, or it is an offset: `+05` is west of Greenwich in PostgreSQL and east in ISO 8601.
pub(super) fn named(name: &str) -> Result<Tz> {
    let name = name.trim();
    if name.starts_with(['+', '-']) || name.chars().next().is_none_or(|c| c.is_ascii_digit()) {
        return exec_err!(
            "the time zone '{name}' is ambiguous: PostgreSQL counts offsets westward, ISO 8601 eastward; \
             name the zone, such as 'Europe/Berlin', or add an interval"
        );
    }
    let upper = name.to_ascii_uppercase();
    let name = match upper.as_str() {
        "UTC" | "GMT" | "Z" | "ZULU" => "UTC",
        _ => name,
    };
    Tz::from_str(name).map_err(|_| {
        exec_datafusion_err!(
            "there is no time zone '{name}'; use a name of the IANA database, such as 'America/New_York'"
        )
    })
}

/// The moment at which clocks in a zone show this. A time that a change of clocks skips is read by the old offset; of a
/// time that comes twice it is the later one.
pub(super) fn to_utc(wall: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) => Some(at.naive_utc()),
        LocalResult::Ambiguous(_, later) => Some(later.naive_utc()),
        LocalResult::None => {
            let before = wall.checked_sub_signed(TimeDelta::hours(12))?;
            let offset = zone.offset_from_local_datetime(&before).latest()?.fix();
            wall.checked_sub_offset(offset)
        }
    }
}

/// What clocks in a zone show at a moment.
pub(super) fn to_wall(moment: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    Utc.from_utc_datetime(&moment)
        .with_timezone(&zone)
        .naive_local()
}
