//! Dates and times in ISO text: what drivers send.

use crate::pgwire::encode::{MICROS_PER_DAY, days_of_civil};

/// A cursor over ASCII text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// A run of digits, of a length within the bounds.
    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let length = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if length < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == byte).then(|| self.0 = rest)
    }

    fn skip_spaces(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }
}

/// `YYYY-MM-DD`, with ` BC` handled by the caller; days since 1970.
fn date_part(cursor: &mut Cursor<'_>) -> Option<i64> {
    let year = cursor.digits(4, 6)?;
    cursor.take(b'-')?;
    let month = cursor.digits(1, 2)?;
    cursor.take(b'-')?;
    let day = cursor.digits(1, 2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (year > 0 && (1..=length).contains(&day)).then(|| days_of_civil(year, month, day))
}

/// `HH:MM[:SS[.ffffff]]`; microseconds of the day. Digits past the sixth must be zero.
fn time_part(cursor: &mut Cursor<'_>) -> Option<i64> {
    let hours = cursor.digits(1, 2)?;
    cursor.take(b':')?;
    let minutes = cursor.digits(2, 2)?;
    let mut micros = 0;
    let mut seconds = 0;
    if cursor.take(b':').is_some() {
        seconds = cursor.digits(2, 2)?;
        if cursor.take(b'.').is_some() {
            micros = fraction(cursor)?;
        }
    }
    let total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros;
    (minutes < 60 && seconds <= 60 && total <= MICROS_PER_DAY).then_some(total)
}

/// The digits after a point as microseconds.
fn fraction(cursor: &mut Cursor<'_>) -> Option<i64> {
    let length = cursor.0.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    let digits = cursor.digits(1, 6)?;
    while cursor.take(b'0').is_some() {}
    let scale = 10_i64.pow(6 - u32::try_from(length).ok()?);
    Some(digits * scale)
}

/// `Z`, `UTC`, `+HH[:MM[:SS]]`; microseconds east of Greenwich.
fn zone_part(cursor: &mut Cursor<'_>) -> Option<i64> {
    for name in [b"UTC".as_slice(), b"GMT", b"Z", b"z"] {
        if let Some(rest) = cursor.0.strip_prefix(name) {
            cursor.0 = rest;
            return Some(0);
        }
    }
    let sign = if cursor.take(b'-').is_some() {
        -1
    } else {
        cursor.take(b'+')?;
        1
    };
    let hours = cursor.digits(2, 2)?;
    let mut rest = [0, 0];
    for part in &mut rest {
        let colon = cursor.take(b':').is_some();
        if colon || cursor.0.first().is_some_and(u8::is_ascii_digit) {
            *part = cursor.digits(2, 2).filter(|value| *value < 60)?;
        }
    }
    let [minutes, seconds] = rest;
    (hours < 16).then_some(sign * ((hours * 60 + minutes) * 60 + seconds) * 1_000_000)
}

pub(super) fn date(text: &str) -> Option<i32> {
    let mut cursor = Cursor(text.trim().as_bytes());
    let days = date_part(&mut cursor)?;
    // A time after the date is let through when it is midnight: nothing is lost.
    if !cursor.0.is_empty() {
        let midnight = timestamp(text)? == days * MICROS_PER_DAY;
        return midnight.then(|| i32::try_from(days).ok())?;
    }
    i32::try_from(days).ok()
}

pub(super) fn time(text: &str) -> Option<i64> {
    let mut cursor = Cursor(text.trim().as_bytes());
    let micros = time_part(&mut cursor)?;
    cursor.0.is_empty().then_some(micros)
}

/// A timestamp in no zone: a zone in the text is read and ignored, as PostgreSQL does.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    zoned(text).map(|(micros, _)| micros)
}

/// A timestamp in UTC; without a zone it is one already.
pub(super) fn timestamp_tz(text: &str) -> Option<i64> {
    zoned(text).and_then(|(micros, east)| micros.checked_sub(east))
}

fn zoned(text: &str) -> Option<(i64, i64)> {
    let mut cursor = Cursor(text.trim().as_bytes());
    let days = date_part(&mut cursor)?;
    let mut micros = 0;
    let mut east = 0;
    if !cursor.0.is_empty() {
        if cursor.take(b'T').is_none() {
            cursor.take(b' ')?;
            cursor.skip_spaces();
        }
        micros = time_part(&mut cursor)?;
        cursor.skip_spaces();
        if !cursor.0.is_empty() {
            east = zone_part(&mut cursor)?;
        }
    }
    let total = days.checked_mul(MICROS_PER_DAY)?.checked_add(micros)?;
    cursor.0.is_empty().then_some((total, east))
}

/// `1 year 2 mons -3 days 04:05:06.7` and its parts; months, days and microseconds.
pub(super) fn interval(text: &str) -> Option<(i32, i32, i64)> {
    let mut months = 0_i32;
    let mut days = 0_i32;
    let mut micros = 0_i64;
    let mut words = text.split_ascii_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        let (negative, unsigned) = match word.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, word.strip_prefix('+').unwrap_or(word)),
        };
        let sign = if negative { -1 } else { 1 };
        if unsigned.contains(':') {
            let (hours, rest) = unsigned.split_once(':')?;
            let hours: i64 = hours.parse().ok()?;
            let rest = time(&format!("00:{rest}"))?;
            let part = hours.checked_mul(3_600_000_000)?.checked_add(rest)?;
            micros = micros.checked_add(sign * part)?;
            continue;
        }
        let value = i64::from(unsigned.parse::<i32>().ok()?) * sign;
        let small = i32::try_from(value).ok()?;
        match words.next()?.trim_end_matches('s') {
            "year" => months = months.checked_add(small.checked_mul(12)?)?,
            "mon" | "month" => months = months.checked_add(small)?,
            "week" => days = days.checked_add(small.checked_mul(7)?)?,
            "day" => days = days.checked_add(small)?,
            "hour" => micros = micros.checked_add(value * 3_600_000_000)?,
            "min" | "minute" => micros = micros.checked_add(value * 60_000_000)?,
            "sec" | "second" => micros = micros.checked_add(value * 1_000_000)?,
            _ => return None,
        }
    }
    Some((months, days, micros))
}
