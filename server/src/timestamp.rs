//! The clock, and instants as text.

use std::time::{SystemTime, UNIX_EPOCH};

use cube::value::format_date;

const DAY_US: i64 = 86_400_000_000;

/// The clock: microseconds since 1970-01-01 UTC.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 of microseconds since 1970-01-01 UTC: `2026-03-31T12:00:00.000000Z`.
pub fn format_timestamp(time_us: i64) -> String {
    let (days, rest_us) = (time_us.div_euclid(DAY_US), time_us.rem_euclid(DAY_US));
    let (seconds, micros) = (rest_us / 1_000_000, rest_us % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let date = i32::try_from(days).map_or_else(|_| days.to_string(), format_date);
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_printed_in_utc() {
        assert_eq!(format_timestamp(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(format_timestamp(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(format_timestamp(1_774_958_405_000_007), "2026-03-31T12:00:05.000007Z");
    }
}
