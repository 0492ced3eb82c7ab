//! Deals and quotas: who sold what to whom, and what was asked of them.

use std::collections::BTreeMap;

use cube::change::{RowsAction, RowsWrite};
use cube::value::{KeyPart, date_of_days, format_date, parse_date};
use cube::{CubeId, MeasureId, MemberId, Result, Version};

use super::members::{AREAS, Customer, PRODUCTS, leaf, rep_key};
use super::random::{Random, running};

/// Deals of each year; 50,000 in all.
const DEALS: [(i32, usize); 3] = [(2024, 14_600), (2025, 16_600), (2026, 18_800)];
/// How busy the months are: quarters end strong, August is quiet.
const MONTHS: [u64; 12] = [70, 80, 125, 80, 85, 130, 75, 50, 125, 90, 100, 160];
/// One deal in so many is closed by the team's manager.
const MANAGER_DEALS: i64 = 25;

/// Deals, quotas.
pub(super) fn all(
    version: &Version,
    random: &mut Random,
    customers: &[Customer],
) -> Result<Vec<RowsWrite>> {
    let mut team = Team::new(version, random)?;
    let deals = deals(version, random, customers, &mut team)?;
    let quotas = quotas(version, random, &team)?;
    Ok(vec![deals, quotas])
}

/// The reps, how much each sells, and what they sold.
struct Team {
    /// Per area: the members, the manager last.
    members: Vec<Vec<MemberId>>,
    /// Per area: running totals of the reps' weights.
    weights: Vec<Vec<u64>>,
    /// Cents by rep and quarter (year times 4 plus quarter from 0).
    sold: BTreeMap<(MemberId, i32), i64>,
}

impl Team {
    fn new(version: &Version, random: &mut Random) -> Result<Self> {
        let mut team = Self { members: Vec::new(), weights: Vec::new(), sold: BTreeMap::new() };
        for (position, area) in AREAS.iter().enumerate() {
            let keys = (0..area.reps.len()).map(|index| rep_key(position, index));
            let keys = keys.chain([area.manager.0.to_string()]);
            let members = keys.map(|key| leaf(version, "rep", &key));
            team.members.push(members.collect::<Result<_>>()?);
            let weights = area.reps.iter().map(|_| random.between(60, 140).unsigned_abs());
            team.weights.push(running(weights));
        }
        Ok(team)
    }

    fn draw(&self, random: &mut Random, area: usize) -> MemberId {
        let members = &self.members[area];
        if random.between(1, MANAGER_DEALS) == 1 {
            return members[members.len() - 1];
        }
        members[random.weighted(&self.weights[area])]
    }
}

/// A table of rows of a cube, all input measures named in order.
pub(super) fn empty(version: &Version, cube: &str, measures: &[&str]) -> Result<RowsWrite> {
    let id: CubeId = version.model.cube(cube)?;
    let def = version.model.cube_def(id);
    let measures = measures.iter().map(|name| def.measure(name));
    Ok(RowsWrite {
        cube: id,
        action: RowsAction::Set,
        measures: measures.collect::<Result<Vec<MeasureId>>>()?,
        keys: Vec::new(),
        coordinates: Vec::new(),
        values: cube::ValueList::new(),
    })
}

/// A deal's place and its amounts.
struct Drawn {
    day: i32,
    coordinate: [MemberId; 4],
    amount: i64,
    cost: i64,
    quantity: i64,
}

fn deals(
    version: &Version,
    random: &mut Random,
    customers: &[Customer],
    team: &mut Team,
) -> Result<RowsWrite> {
    let mut write = empty(version, "deals", &["amount", "cost", "quantity"])?;
    let buying = running(customers.iter().map(|customer| customer.segment.weight()));
    let places = customers.iter().map(|customer| {
        let region = leaf(version, "region", customer.country)?;
        Ok((region, leaf(version, "customer", &customer.key)?))
    });
    let places: Vec<(MemberId, MemberId)> = places.collect::<Result<_>>()?;
    let products = PRODUCTS.iter().map(|product| leaf(version, "product", product.0));
    let products: Vec<MemberId> = products.collect::<Result<_>>()?;
    let selling = running(PRODUCTS.iter().map(|product| product.5));
    let dates = version.dimension(version.model.dimension("date")?);
    for (year, count) in DEALS {
        let days = working_days(year);
        let busy = running(days.iter().map(|&(_, month)| MONTHS[month]));
        let mut drawn: Vec<Drawn> = Vec::with_capacity(count);
        for _ in 0..count {
            let day = days[random.weighted(&busy)].0;
            let buyer = random.weighted(&buying);
            let product = random.weighted(&selling);
            let rep = team.draw(random, customers[buyer].area);
            let (region, customer) = places[buyer];
            let coordinate = [rep, products[product], region, customer];
            drawn.push(terms(random, &customers[buyer], product, year, day, coordinate));
        }
        drawn.sort_by_key(|deal| deal.day);
        for (index, deal) in drawn.iter().enumerate() {
            write.keys.push(KeyPart::Text(format!("D{year}-{:05}", index + 1).into()));
            write.coordinates.push(dates.resolve_leaf(&format_date(deal.day))?);
            write.coordinates.extend(deal.coordinate);
            write.values.extend([deal.amount, deal.cost, deal.quantity].map(Some));
            *team.sold.entry((deal.coordinate[0], quarter(deal.day))).or_default() += deal.amount;
        }
    }
    Ok(write)
}

/// Quantity, price and cost of a deal: list prices rise 3 % a year, larger deals get a discount.
fn terms(
    random: &mut Random,
    customer: &Customer,
    product: usize,
    year: i32,
    day: i32,
    coordinate: [MemberId; 4],
) -> Drawn {
    let (.., list_price, unit_cost, _, units_max) = PRODUCTS[product];
    let weight = i64::try_from(customer.segment.weight()).unwrap_or(1);
    let ceiling = (units_max * (weight + 2) / 8).max(1);
    // the smaller of two draws: small deals are more frequent
    let quantity = random.between(1, ceiling).min(random.between(1, ceiling));
    let price = list_price * (100 + 3 * i64::from(year - 2024)) / 100;
    let discount = random.between(0, 4) + quantity * 12 / ceiling;
    let amount = price * quantity * (100 - discount) / 100;
    let cost = unit_cost * quantity * (98 + random.between(0, 6)) / 100;
    Drawn { day, coordinate, amount, cost, quantity }
}

/// Mondays to Fridays of a year, with their month from 0.
fn working_days(year: i32) -> Vec<(i32, usize)> {
    let day = |text: String| parse_date(&text).unwrap_or_default();
    let first = day(format!("{year}-01-01"));
    let last = day(format!("{year}-12-31"));
    // 1970-01-01 was a Thursday
    let works = |day: &i32| (day + 3).rem_euclid(7) < 5;
    (first..=last).filter(works).map(|day| (day, month(day))).collect()
}

/// The month of a day, from 0.
fn month(day: i32) -> usize {
    date_of_days(day).map_or(0, |date| chrono::Datelike::month0(&date) as usize)
}

/// The quarter of a day: year times 4 plus the quarter from 0.
fn quarter(day: i32) -> i32 {
    let year = date_of_days(day).map_or(0, |date| chrono::Datelike::year(&date));
    year * 4 + i32::try_from(month(day) / 3).unwrap_or(0)
}

/// Quotas on the first day of each quarter: near what is sold, in steps of 5,000.
fn quotas(version: &Version, random: &mut Random, team: &Team) -> Result<RowsWrite> {
    const STEP: i64 = 500_000;
    let mut write = empty(version, "quota", &["quota_amount"])?;
    for &rep in team.members.iter().flatten() {
        for (year, _) in DEALS {
            let sold = |of: i32| team.sold.get(&(rep, year * 4 + of)).copied().unwrap_or(0);
            let year_sold: i64 = (0..4).map(sold).sum();
            let stretch = random.between(85, 115);
            for of in 0..4 {
                let wished = (year_sold / 4 + sold(of)) / 2 * stretch / 100;
                let amount = (wished / STEP + 1) * STEP;
                let date = format!("{year}-{:02}-01", of * 3 + 1);
                write.coordinates.extend([rep, leaf(version, "date", &date)?]);
                write.values.push(Some(amount));
            }
        }
    }
    Ok(write)
}
