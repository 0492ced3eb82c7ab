//! The ledger of the group's companies and the rates of their currencies, month by month.

use cube::change::RowsWrite;
use cube::{MemberId, Result, Version};

use super::deals::empty;
use super::members::{CURRENCIES, ENTITIES, leaf};
use super::random::Random;

/// Revenue of each month against an average one, in percent.
const SEASON: [i64; 12] = [84, 90, 112, 92, 95, 114, 93, 78, 110, 99, 104, 129];
/// Year and month, from 2024-01 on.
const MONTHS: i64 = 36;

/// The ledger, the rates.
pub(super) fn all(version: &Version, random: &mut Random) -> Result<Vec<RowsWrite>> {
    Ok(vec![ledger(version, random)?, rates(version, random)?])
}

/// Month ends as members.
fn month_ends(version: &Version) -> Result<Vec<MemberId>> {
    let last_day = |month: i64| {
        let (year, month) = (2024 + month / 12, month % 12 + 1);
        let day = match month {
            2 if year % 4 == 0 => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        leaf(version, "date", &format!("{year}-{month:02}-{day}"))
    };
    (0..MONTHS).map(last_day).collect()
}

fn ledger(version: &Version, random: &mut Random) -> Result<RowsWrite> {
    let mut write = empty(version, "finance", &["amount"])?;
    let dates = month_ends(version)?;
    let scenario = |key: &str| leaf(version, "scenario", key);
    let (actual, budget, forecast) =
        (scenario("actual")?, scenario("budget")?, scenario("forecast")?);
    for (key, .., thousands) in ENTITIES.iter().filter(|entity| entity.6 > 0) {
        let entity = leaf(version, "entity", key)?;
        let mut sheet = Sheet::opening(thousands * 100_000);
        for month in 0..MONTHS {
            let date = dates[usize::try_from(month).unwrap_or(0)];
            let plan = Plan { base: thousands * 100_000, month };
            let mut put = |scenario: MemberId, cells: &[(&str, i64)]| -> Result<()> {
                for (account, cents) in cells {
                    let account = leaf(version, "account", account)?;
                    write.coordinates.extend([date, entity, scenario, account]);
                    write.values.push(Some(*cents));
                }
                Ok(())
            };
            put(budget, &plan.profit_and_loss(|| 100))?;
            let real = plan.profit_and_loss(|| random.between(92, 107));
            put(actual, &real)?;
            put(actual, &sheet.after(&real))?;
            if month >= MONTHS - 12 {
                put(forecast, &plan.profit_and_loss(|| random.between(97, 103)))?;
            }
        }
    }
    Ok(write)
}

/// What a company plans for a month.
struct Plan {
    /// Revenue of an average month of 2024, in cents.
    base: i64,
    /// Months since 2024-01.
    month: i64,
}

impl Plan {
    /// Flows in cents, each moved by a percentage that `percent` draws.
    fn profit_and_loss(&self, mut percent: impl FnMut() -> i64) -> Vec<(&'static str, i64)> {
        let season = SEASON[usize::try_from(self.month % 12).unwrap_or(0)];
        // about 8 % more every year, month by month
        let grown = self.base * (1_500 + 10 * self.month) / 1_500;
        let revenue = grown / 100 * season;
        let mut moved = |cents: i64| cents / 100 * percent();
        let products = moved(revenue * 76 / 100);
        let services = moved(revenue * 24 / 100);
        let sales = products + services;
        let cost = moved(sales * 48 / 100);
        let salaries = moved(grown * 21 / 100);
        let commissions = sales * 3 / 100;
        let marketing = moved(grown * 4 / 100);
        let travel = moved(grown * 2 / 100);
        let (rent, depreciation) = (self.base * 3 / 100, self.base * 2 / 100);
        let interest = self.base / 100;
        let profit = sales - cost - salaries - commissions - marketing - travel;
        let tax = (profit - rent - depreciation - interest).max(0) / 4;
        vec![
            ("4000", products),
            ("4100", services),
            ("5000", cost),
            ("6100", salaries),
            ("6200", commissions),
            ("6300", marketing),
            ("6400", travel),
            ("6500", rent),
            ("6800", depreciation),
            ("7000", interest),
            ("8000", tax),
        ]
    }
}

/// A balance sheet in cents: what is owned is always what is owed and the equity.
struct Sheet {
    base: i64,
    equity: i64,
    equipment: i64,
}

impl Sheet {
    fn opening(base: i64) -> Self {
        Self { base, equity: base * 5, equipment: base * 2 }
    }

    /// The stocks after a month's flows.
    fn after(&mut self, flows: &[(&str, i64)]) -> Vec<(&'static str, i64)> {
        let flow = |account: &str| flows.iter().find(|(key, _)| *key == account).map_or(0, |f| f.1);
        let sales = flow("4000") + flow("4100");
        let costs: i64 =
            flows.iter().filter(|(key, _)| key >= &"5000").map(|(_, cents)| cents).sum();
        self.equity += sales - costs;
        // what is worn out is bought again, and a little more
        self.equipment += self.base / 200;
        let receivables = sales * 14 / 10;
        let inventory = flow("5000") * 9 / 10;
        let payables = flow("5000") * 11 / 10;
        let loans = self.base * 2;
        let cash = self.equity + loans + payables - receivables - inventory - self.equipment;
        vec![
            ("1000", cash),
            ("1200", receivables),
            ("1300", inventory),
            ("1500", self.equipment),
            ("2000", payables),
            ("2500", loans),
            ("3000", self.equity),
            // one head for so much of a month's revenue; the account has two digits as all have
            ("9000", (flow("6100") / (self.base / 400)) * 100),
        ]
    }
}

fn rates(version: &Version, random: &mut Random) -> Result<RowsWrite> {
    let mut write = empty(version, "exchange_rate", &["average_rate", "closing_rate"])?;
    let dates = month_ends(version)?;
    for (code, _, start) in CURRENCIES {
        let currency = leaf(version, "currency", code)?;
        let mut opening = start;
        for &date in &dates {
            let moved = if code == "EUR" { 0 } else { opening * random.between(-18, 18) / 1_000 };
            let closing = opening + moved;
            write.coordinates.extend([currency, date]);
            write.values.extend([Some((opening + closing) / 2), Some(closing)]);
            opening = closing;
        }
    }
    Ok(write)
}
