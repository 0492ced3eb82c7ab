//! Days counted by hand.

/// First and last day of the test calendar: across a year, a leap day and fiscal years.
const START: (i32, u32, u32) = (2011, 12, 15);
const END: (i32, u32, u32) = (2012, 3, 20);

fn month_length(year: i32, month: u32) -> u32 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub fn key((year, month, day): (i32, u32, u32)) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

pub fn range() -> (String, String) {
    (key(START), key(END))
}

/// A member of the calendar: its key, name, level, and parents in both hierarchies.
pub struct Period {
    pub key: String,
    pub name: String,
    pub level: &'static str,
    pub calendar: Option<String>,
    pub fiscal: Option<String>,
}

/// All members, each once.
pub fn periods(fiscal_month: u32) -> Vec<Period> {
    let mut periods: Vec<Period> = Vec::new();
    let (mut year, mut month, mut day) = START;
    while (year, month, day) <= END {
        for period in periods_of(year, month, day, fiscal_month) {
            if periods.iter().all(|known| known.key != period.key) {
                periods.push(period);
            }
        }
        day += 1;
        if day > month_length(year, month) {
            (day, month) = (1, month + 1);
        }
        if month > 12 {
            (month, year) = (1, year + 1);
        }
    }
    periods
}

fn periods_of(year: i32, month: u32, day: u32, fiscal_month: u32) -> [Period; 6] {
    // months since the fiscal year began, and the year in which it ends
    let since = (month + 12 - fiscal_month) % 12;
    let ends = if fiscal_month == 1 || month < fiscal_month { year } else { year + 1 };
    let fiscal_year = format!("FY{ends}");
    let fiscal_quarter = format!("FY{ends}-Q{}", since / 3 + 1);
    let quarter = format!("{year}-Q{}", month.div_ceil(3));
    let month_key = format!("{year}-{month:02}");
    let period = |key: &str, level, calendar: Option<&str>, fiscal: Option<&str>| Period {
        key: key.into(),
        name: key.into(),
        level,
        calendar: calendar.map(String::from),
        fiscal: fiscal.map(String::from),
    };
    let year_key = year.to_string();
    [
        period(&year_key, "year", None, None),
        period(&quarter, "quarter", Some(&year_key), None),
        Period { name: ends.to_string(), ..period(&fiscal_year, "fiscal_year", None, None) },
        period(&fiscal_quarter, "fiscal_quarter", None, Some(&fiscal_year)),
        period(&month_key, "month", Some(&quarter), Some(&fiscal_quarter)),
        period(&key((year, month, day)), "day", Some(&month_key), Some(&month_key)),
    ]
}
