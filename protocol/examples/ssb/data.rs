//! The rows of the Star Schema Benchmark, flat: made here from a seed, the same for every engine.
//!
//! Sizes and distributions are those of O'Neil, O'Neil and Chen, "The Star Schema Benchmark". Block by
//! block, so that a large scale needs no more memory than a small one.

use std::ops::Range;

/// Regions and, five each in the same order, their nations.
pub const REGIONS: [&str; 5] = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
const NATIONS: [&str; 25] = [
    "ALGERIA",
    "ETHIOPIA",
    "KENYA",
    "MOROCCO",
    "MOZAMBIQUE",
    "ARGENTINA",
    "BRAZIL",
    "CANADA",
    "PERU",
    "UNITED STATES",
    "CHINA",
    "INDIA",
    "INDONESIA",
    "JAPAN",
    "VIETNAM",
    "FRANCE",
    "GERMANY",
    "ROMANIA",
    "RUSSIA",
    "UNITED KINGDOM",
    "EGYPT",
    "IRAN",
    "IRAQ",
    "JORDAN",
    "SAUDI ARABIA",
];
const CITIES_A_NATION: u32 = 10;
const MANUFACTURERS: u32 = 5;
const CATEGORIES_A_MANUFACTURER: u32 = 5;
const BRANDS_A_CATEGORY: u32 = 40;
const LINES_AN_ORDER_MAX: u32 = 7;
/// First and last day.
pub const CALENDAR: (&str, &str) = ("1992-01-01", "1998-12-31");
/// Days from the first to the last, both included.
pub const DAYS: u32 = 2_557;
const ROWS_A_BLOCK: usize = 1 << 19;

/// In which order the rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The days of neighbouring orders have nothing to do with each other.
    Random,
    /// Orders come by day.
    Date,
}

/// Names of a dimension's members above its leaves: a level each, and per member its parent's place.
pub struct Levels {
    /// Names, the top level first.
    pub names: Vec<Vec<String>>,
    /// Per level below the top, how many members a parent has.
    pub fan_out: Vec<u32>,
}

/// Region, nation and city; a city is its nation, cut to nine letters, and a digit.
pub fn places() -> Levels {
    let cities = NATIONS
        .iter()
        .flat_map(|nation| (0..CITIES_A_NATION).map(move |digit| format!("{nation:9.9}{digit}")));
    Levels {
        names: vec![
            REGIONS.map(String::from).into(),
            NATIONS.map(String::from).into(),
            cities.collect(),
        ],
        fan_out: vec![5, CITIES_A_NATION],
    }
}

/// Manufacturer, category and brand.
pub fn products() -> Levels {
    let manufacturers: Vec<String> = (1..=MANUFACTURERS).map(|m| format!("MFGR#{m}")).collect();
    let below = |names: &[String], count: u32| -> Vec<String> {
        let name = |upper| (1..=count).map(move |lower| format!("{upper}{lower}"));
        names.iter().flat_map(name).collect()
    };
    let categories = below(&manufacturers, CATEGORIES_A_MANUFACTURER);
    let brands = below(&categories, BRANDS_A_CATEGORY);
    Levels {
        names: vec![manufacturers, categories, brands],
        fan_out: vec![CATEGORIES_A_MANUFACTURER, BRANDS_A_CATEGORY],
    }
}

/// A generator of 64 bits a draw (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        ((u128::from(bits) * u128::from(n)) >> 64) as u32
    }

    /// `count` values from `range`.
    fn many(&mut self, count: u32, range: Range<u32>) -> Vec<u32> {
        (0..count).map(|_| range.start + self.below(range.end - range.start)).collect()
    }
}

/// What the rows refer to.
pub struct Dimensions {
    /// Per customer, its city.
    pub customer_city: Vec<u32>,
    /// Per supplier, its city.
    pub supplier_city: Vec<u32>,
    /// Per part, its brand.
    pub part_brand: Vec<u32>,
    rows: usize,
    order: Order,
}

impl Dimensions {
    /// Those of a scale.
    pub fn new(scale: f64, order: Order) -> Self {
        let count = |at_one: f64| ((at_one * scale).round() as u32).max(1);
        let part_factor = if scale < 1.0 { scale } else { 1.0 + scale.log2().floor() };
        let cities = NATIONS.len() as u32 * CITIES_A_NATION;
        let brands = MANUFACTURERS * CATEGORIES_A_MANUFACTURER * BRANDS_A_CATEGORY;
        Self {
            customer_city: Random(1).many(count(30_000.0), 0..cities),
            supplier_city: Random(2).many(count(2_000.0), 0..cities),
            part_brand: Random(3).many((200_000.0 * part_factor) as u32, 0..brands),
            rows: (6_000_000.0 * scale) as usize,
            order,
        }
    }

    /// All rows, block by block, in the order of orders and lines.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        let mut lines = Lines { of: self, random: Random(4), made: 0, order: 0 };
        std::iter::from_fn(move || lines.block())
    }
}

/// Rows in columns; prices in cents, customers and the like by their place.
#[derive(Default)]
pub struct Block {
    pub order: Vec<i64>,
    pub line: Vec<u8>,
    /// Days after the first one of the calendar.
    pub day: Vec<u16>,
    pub customer: Vec<u32>,
    pub supplier: Vec<u32>,
    pub part: Vec<u32>,
    pub quantity: Vec<u8>,
    /// Percent.
    pub discount: Vec<u8>,
    /// Percent.
    pub tax: Vec<u8>,
    pub extended_price: Vec<i32>,
    pub revenue: Vec<i32>,
    pub supply_cost: Vec<i32>,
}

/// A walk over all order lines.
struct Lines<'a> {
    of: &'a Dimensions,
    random: Random,
    made: usize,
    order: i64,
}

impl Lines<'_> {
    /// The next whole orders; none after the last.
    fn block(&mut self) -> Option<Block> {
        let mut block = Block::default();
        let end = self.of.rows.min(self.made + ROWS_A_BLOCK);
        while self.made + block.line.len() < end {
            let first = self.made + block.line.len();
            let lines = 1 + self.random.below(LINES_AN_ORDER_MAX) as usize;
            self.push_order(&mut block, first, lines.min(end - first));
        }
        self.made = end;
        (!block.line.is_empty()).then_some(block)
    }

    fn push_order(&mut self, block: &mut Block, first: usize, lines: usize) {
        self.order += 1;
        let customer = self.random.below(self.of.customer_city.len() as u32);
        let random_day = self.random.below(DAYS);
        let day = match self.of.order {
            Order::Random => random_day,
            Order::Date => (first as u64 * u64::from(DAYS) / self.of.rows as u64) as u32,
        };
        for line in 1..=lines {
            let part = self.random.below(self.of.part_brand.len() as u32);
            let number = part + 1;
            let price = 90_000 + number / 10 % 20_001 + 100 * (number % 1_000);
            let quantity = 1 + self.random.below(50);
            let discount = self.random.below(11);
            let extended_price = price * quantity;
            block.order.push(self.order);
            block.line.push(line as u8);
            block.day.push(day as u16);
            block.customer.push(customer);
            block.supplier.push(self.random.below(self.of.supplier_city.len() as u32));
            block.part.push(part);
            block.quantity.push(quantity as u8);
            block.discount.push(discount as u8);
            block.tax.push(self.random.below(9) as u8);
            block.extended_price.push(extended_price as i32);
            block.revenue.push((extended_price * (100 - discount) / 100) as i32);
            block.supply_cost.push((price * 6 / 10) as i32);
        }
    }
}
