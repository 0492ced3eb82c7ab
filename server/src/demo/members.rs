//! Who and what Meridian is: the members of its dimensions.

use cube::change::{MemberWrite, MembersWrite};
use cube::{CubeError, MemberId, Result, Scalar, Version};

use super::random::Random;

/// Areas: key, name, sales manager, countries. Each area has a team of reps.
pub(super) struct Area {
    pub key: &'static str,
    pub name: &'static str,
    /// Key and name of its manager.
    pub manager: (&'static str, &'static str),
    /// Keys, names, and how many of a hundred customers of the area are there.
    pub countries: &'static [(&'static str, &'static str, u64)],
    pub reps: &'static [&'static str],
}

pub(super) const AREAS: [Area; 4] = [
    Area {
        key: "area:north",
        name: "Northern Europe",
        manager: ("M01", "Ingrid Halvorsen"),
        countries: &[
            ("DE", "Germany", 40),
            ("GB", "United Kingdom", 32),
            ("NL", "Netherlands", 16),
            ("SE", "Sweden", 12),
        ],
        reps: &[
            "Jonas Becker",
            "Hannah Vogel",
            "Oliver Whitfield",
            "Priya Nair",
            "Sanne de Vries",
            "Lars Lindqvist",
            "Emma Clarke",
            "Felix Brandt",
            "Marta Nowak",
            "Thomas Keller",
        ],
    },
    Area {
        key: "area:south",
        name: "Southern Europe",
        manager: ("M02", "Camille Laurent"),
        countries: &[("FR", "France", 52), ("IT", "Italy", 26), ("ES", "Spain", 22)],
        reps: &[
            "Julien Moreau",
            "Chiara Ricci",
            "Sofia Navarro",
            "Antoine Girard",
            "Marco Bianchi",
            "Lucie Fontaine",
            "Diego Serrano",
            "Nadia Benali",
        ],
    },
    Area {
        key: "area:americas",
        name: "Americas",
        manager: ("M03", "Rachel Simmons"),
        countries: &[
            ("US", "United States", 64),
            ("CA", "Canada", 18),
            ("BR", "Brazil", 10),
            ("MX", "Mexico", 8),
        ],
        reps: &[
            "Michael Torres",
            "Ashley Bennett",
            "David Kim",
            "Jessica Palmer",
            "Carlos Mendoza",
            "Emily Rhodes",
            "Brandon Hayes",
            "Gabriela Souza",
            "Nicole Tremblay",
            "Kevin O'Brien",
            "Samantha Lee",
        ],
    },
    Area {
        key: "area:apac",
        name: "Asia and Pacific",
        manager: ("M04", "Kenji Watanabe"),
        countries: &[
            ("JP", "Japan", 38),
            ("AU", "Australia", 24),
            ("IN", "India", 22),
            ("SG", "Singapore", 16),
        ],
        reps: &[
            "Yuki Tanaka",
            "Liam Cooper",
            "Anjali Mehta",
            "Wei Ling Tan",
            "Hiroshi Sato",
            "Olivia Grant",
            "Rohan Kapoor",
        ],
    },
];

/// Products: key, name, category, list price and unit cost in cents, weight in sales, most units of a deal.
pub(super) const PRODUCTS: [(&str, &str, &str, i64, i64, u64, i64); 20] = [
    ("P101", "Flow Meter F2", "instruments", 184_000, 97_500, 9, 24),
    ("P102", "Flow Meter F5", "instruments", 329_000, 168_000, 6, 16),
    ("P103", "Pressure Gauge G1", "instruments", 46_500, 24_900, 12, 80),
    ("P104", "Pressure Gauge G3", "instruments", 89_900, 45_200, 8, 60),
    ("P105", "Thermal Camera T7", "instruments", 648_000, 352_000, 4, 8),
    ("P106", "Vibration Sensor V4", "instruments", 72_800, 31_600, 10, 64),
    ("P107", "Level Radar R6", "instruments", 214_500, 118_400, 5, 20),
    ("P201", "Insight Cloud, Team", "software", 120_000, 18_000, 9, 12),
    ("P202", "Insight Cloud, Plant", "software", 540_000, 81_000, 5, 6),
    ("P203", "Insight Cloud, Group", "software", 1_890_000, 264_600, 1, 2),
    ("P204", "Edge Gateway Licence", "software", 38_000, 4_200, 8, 40),
    ("P205", "Predictive Alerts", "software", 96_000, 12_500, 6, 16),
    ("P301", "Installation Day", "services", 98_000, 71_000, 8, 10),
    ("P302", "Calibration Visit", "services", 64_000, 43_500, 9, 12),
    ("P303", "Training Course", "services", 145_000, 82_000, 4, 6),
    ("P304", "Care Contract, Year", "services", 232_000, 139_000, 6, 8),
    ("P401", "Mounting Kit", "accessories", 8_900, 3_800, 11, 120),
    ("P402", "Shielded Cable, 10 m", "accessories", 5_400, 2_300, 12, 150),
    ("P403", "Spare Battery Pack", "accessories", 12_600, 6_100, 9, 90),
    ("P404", "Carrying Case", "accessories", 15_900, 7_700, 5, 40),
];

const CATEGORIES: [(&str, &str); 4] = [
    ("instruments", "Instruments"),
    ("software", "Software"),
    ("services", "Services"),
    ("accessories", "Accessories"),
];

/// Companies: key, name, parent, share held, currency, country, monthly revenue in thousands of the
/// currency (none for a holding).
pub(super) const ENTITIES: [(&str, &str, &str, &str, &str, &str, i64); 8] = [
    ("MER", "Meridian Group", "", "1", "EUR", "FR", 0),
    ("FR01", "Meridian France SAS", "MER", "1", "EUR", "FR", 2_900),
    ("DE01", "Meridian Deutschland GmbH", "MER", "1", "EUR", "DE", 2_300),
    ("GB01", "Meridian UK Ltd", "MER", "1", "GBP", "GB", 1_600),
    ("US01", "Meridian Inc", "MER", "0.8", "USD", "US", 4_100),
    ("CA01", "Meridian Canada Ltd", "US01", "0.75", "CAD", "CA", 1_300),
    ("SG01", "Meridian Asia Pte Ltd", "MER", "0.6", "SGD", "SG", 2_000),
    ("JP01", "Meridian Japan KK", "SG01", "0.51", "JPY", "JP", 260_000),
];

/// Accounts: key, name, parent, operator, type.
pub(super) const ACCOUNTS: [(&str, &str, &str, &str, &str); 27] = [
    ("NI", "Net income", "", "+", ""),
    ("OP", "Operating profit", "NI", "+", ""),
    ("GM", "Gross margin", "OP", "+", ""),
    ("4000", "Product revenue", "GM", "+", "Revenue"),
    ("4100", "Service revenue", "GM", "+", "Revenue"),
    ("5000", "Cost of sales", "GM", "-", "Expense"),
    ("OX", "Operating expenses", "OP", "-", ""),
    ("6100", "Salaries", "OX", "+", "Expense"),
    ("6200", "Commissions", "OX", "+", "Expense"),
    ("6300", "Marketing", "OX", "+", "Expense"),
    ("6400", "Travel", "OX", "+", "Expense"),
    ("6500", "Rent and offices", "OX", "+", "Expense"),
    ("6800", "Depreciation", "OX", "+", "Expense"),
    ("7000", "Interest", "NI", "-", "Expense"),
    ("8000", "Income tax", "NI", "-", "Expense"),
    ("BS", "Balance", "", "~", ""),
    ("AS", "Assets", "BS", "+", ""),
    ("1000", "Cash", "AS", "+", "Asset"),
    ("1200", "Receivables", "AS", "+", "Asset"),
    ("1300", "Inventory", "AS", "+", "Asset"),
    ("1500", "Equipment", "AS", "+", "Asset"),
    ("LE", "Liabilities and equity", "BS", "-", ""),
    ("2000", "Payables", "LE", "+", "Liability"),
    ("2500", "Loans", "LE", "+", "Liability"),
    ("3000", "Equity", "LE", "+", "Liability"),
    ("ST", "Statistics", "", "~", ""),
    ("9000", "Headcount", "ST", "~", "Statistic"),
];

/// Currencies: code, name, euros for one unit in millionths at the start of 2024.
pub(super) const CURRENCIES: [(&str, &str, i64); 6] = [
    ("EUR", "Euro", 1_000_000),
    ("GBP", "Pound sterling", 1_152_000),
    ("USD", "US dollar", 921_000),
    ("CAD", "Canadian dollar", 684_000),
    ("SGD", "Singapore dollar", 687_000),
    ("JPY", "Yen", 6_310),
];

const NAMES: [&str; 40] = [
    "Alder",
    "Ashford",
    "Aurora",
    "Baltic",
    "Beacon",
    "Birch",
    "Bluewater",
    "Calder",
    "Cedar",
    "Cobalt",
    "Corvus",
    "Delta",
    "Eastgate",
    "Falcon",
    "Fjord",
    "Granite",
    "Harbor",
    "Helios",
    "Horizon",
    "Ironbridge",
    "Juniper",
    "Keystone",
    "Lakeside",
    "Larch",
    "Meadow",
    "Northwind",
    "Oakfield",
    "Orion",
    "Pinnacle",
    "Quarry",
    "Redwood",
    "Riverside",
    "Sapphire",
    "Sierra",
    "Sterling",
    "Summit",
    "Tidewater",
    "Vega",
    "Westbrook",
    "Zenith",
];

/// What customers are called after their name, and their industry.
const INDUSTRIES: [(&str, &str); 10] = [
    ("Foods", "Food and drink"),
    ("Chemicals", "Chemicals"),
    ("Energy", "Energy"),
    ("Water", "Utilities"),
    ("Pharma", "Pharmaceuticals"),
    ("Steel", "Metals"),
    ("Paper", "Paper"),
    ("Logistics", "Logistics"),
    ("Motors", "Automotive"),
    ("Systems", "Electronics"),
];

/// What a customer buys depends on where it is and how large it is.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub key: String,
    /// Position in [`AREAS`].
    pub area: usize,
    pub country: &'static str,
    pub segment: Segment,
}

/// Size of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    Enterprise,
    MidMarket,
    Small,
}

impl Segment {
    fn name(self) -> &'static str {
        match self {
            Self::Enterprise => "Enterprise",
            Self::MidMarket => "Mid-market",
            Self::Small => "Small",
        }
    }

    /// How often such a customer buys, against the others.
    pub fn weight(self) -> u64 {
        match self {
            Self::Enterprise => 6,
            Self::MidMarket => 3,
            Self::Small => 1,
        }
    }
}

/// Members of one dimension in the making.
struct Members<'a> {
    version: &'a Version,
    write: MembersWrite,
}

impl<'a> Members<'a> {
    fn of(version: &'a Version, dimension: &str) -> Result<Self> {
        let id = version.model.dimension(dimension)?;
        let first_new = MemberId::from_idx(version.dimension(id).member_count());
        Ok(Self { version, write: MembersWrite { dimension: id, first_new, members: Vec::new() } })
    }

    /// Adds a member: level, parent in the first hierarchy, attributes as text; empty is none.
    fn add(
        &mut self,
        key: &str,
        name: &str,
        level: &str,
        parent: &str,
        attributes: &[(&str, &str)],
    ) -> Result<()> {
        let def = &self.version.dimension(self.write.dimension).def;
        let mut member =
            MemberWrite { key: key.into(), name: Some(name.into()), ..MemberWrite::default() };
        if !level.is_empty() {
            member.level = Some(def.level(level)?);
        }
        if let (false, Some(first)) = (parent.is_empty(), def.hierarchies.first()) {
            member.parents.push((def.hierarchy(&first.name)?, Some(parent.into())));
        }
        for (attribute, text) in attributes.iter().filter(|(_, text)| !text.is_empty()) {
            let id = def.attribute(attribute)?;
            let value = Scalar::parse(def.attributes[id.idx()].value_type, text)?;
            member.attributes.push((id, Some(value)));
        }
        self.write.members.push(member);
        Ok(())
    }
}

/// All members, dimension by dimension, and the customers as deals need them.
pub(super) fn all(
    version: &Version,
    random: &mut Random,
) -> Result<(Vec<MembersWrite>, Vec<Customer>)> {
    let (customers, list) = customers(version, random)?;
    let writes = vec![
        reps(version, random)?,
        products(version)?,
        regions(version)?,
        customers,
        accounts(version)?,
        entities(version)?,
        flat(
            version,
            "scenario",
            &[("actual", "Actual"), ("budget", "Budget"), ("forecast", "Forecast")],
        )?,
        flat(version, "currency", &CURRENCIES.map(|(code, name, _)| (code, name)))?,
    ];
    Ok((writes, list))
}

/// The key of a rep of a team, by position.
pub(super) fn rep_key(area: usize, position: usize) -> String {
    format!("R{}{:02}", area + 1, position + 1)
}

fn reps(version: &Version, random: &mut Random) -> Result<MembersWrite> {
    let mut members = Members::of(version, "rep")?;
    let vice_president = [
        ("title", "Vice President Sales"),
        ("hire_date", "2015-02-02"),
        ("commission_pct", "0.01"),
    ];
    members.add("V01", "Helena Strand", "", "", &vice_president)?;
    for (position, area) in AREAS.iter().enumerate() {
        let (manager, name) = area.manager;
        let hired = format!("{}-03-01", 2016 + position);
        let attributes = [
            ("title", "Sales Manager"),
            ("hire_date", hired.as_str()),
            ("commission_pct", "0.015"),
        ];
        members.add(manager, name, "", "V01", &attributes)?;
        for (index, name) in area.reps.iter().enumerate() {
            let (year, month) = (random.between(2017, 2023), random.between(1, 12));
            let hired = format!("{year}-{month:02}-01");
            // the longer with the company, the higher the rate: 2 % to 5 %, in quarters of a percent
            let rate = 200 + (2023 - year) * 25 + random.between(0, 6) * 25;
            let rate = format!("0.{rate:04}");
            let title = if rate.as_str() >= "0.0400" {
                "Senior Account Executive"
            } else {
                "Account Executive"
            };
            let attributes = [
                ("title", title),
                ("hire_date", hired.as_str()),
                ("commission_pct", rate.as_str()),
            ];
            members.add(&rep_key(position, index), name, "", manager, &attributes)?;
        }
    }
    Ok(members.write)
}

fn money(cents: i64) -> String {
    cube::number::format_scaled(i128::from(cents), 2)
}

fn products(version: &Version) -> Result<MembersWrite> {
    let mut members = Members::of(version, "product")?;
    let category = |key: &str| format!("category:{key}");
    for (key, name) in CATEGORIES {
        members.add(&category(key), name, "category", "", &[])?;
    }
    for (position, (key, name, parent, price, cost, ..)) in PRODUCTS.iter().enumerate() {
        let (price, cost) = (money(*price), money(*cost));
        let launched = format!("{}-{:02}-15", 2014 + position % 9, 1 + position * 5 % 12);
        let attributes =
            [("list_price", price.as_str()), ("unit_cost", &cost), ("launched", &launched)];
        members.add(key, name, "product", &category(parent), &attributes)?;
    }
    Ok(members.write)
}

fn regions(version: &Version) -> Result<MembersWrite> {
    let mut members = Members::of(version, "region")?;
    for area in &AREAS {
        members.add(area.key, area.name, "area", "", &[])?;
        for (key, name, _) in area.countries {
            members.add(key, name, "country", area.key, &[])?;
        }
    }
    Ok(members.write)
}

fn customers(version: &Version, random: &mut Random) -> Result<(MembersWrite, Vec<Customer>)> {
    let mut members = Members::of(version, "customer")?;
    let mut customers = Vec::new();
    let areas = super::random::running([30, 22, 30, 18].into_iter());
    for index in 0..NAMES.len() * INDUSTRIES.len() {
        // steps that have no factor in common with the lists, so that all pairs come once
        let (name, turn) = (index % NAMES.len(), index / NAMES.len());
        let (suffix, industry) = INDUSTRIES[(name * 3 + turn) % INDUSTRIES.len()];
        let area = random.weighted(&areas);
        let countries = AREAS[area].countries;
        let shares = super::random::running(countries.iter().map(|(.., share)| *share));
        let country = countries[random.weighted(&shares)].0;
        let segment = match random.between(1, 100) {
            1..=12 => Segment::Enterprise,
            13..=45 => Segment::MidMarket,
            _ => Segment::Small,
        };
        let since = format!("{}-{:02}-01", random.between(2012, 2023), random.between(1, 12));
        let key = format!("C{:04}", index + 1);
        let attributes = [
            ("industry", industry),
            ("segment", segment.name()),
            ("country", country),
            ("since", since.as_str()),
        ];
        members.add(&key, &format!("{} {suffix}", NAMES[name]), "", "", &attributes)?;
        customers.push(Customer { key, area, country, segment });
    }
    Ok((members.write, customers))
}

fn accounts(version: &Version) -> Result<MembersWrite> {
    let mut members = Members::of(version, "account")?;
    for (key, name, parent, operator, account_type) in ACCOUNTS {
        let attributes = [("operator", operator), ("account_type", account_type)];
        members.add(key, name, "", parent, &attributes)?;
    }
    Ok(members.write)
}

fn entities(version: &Version) -> Result<MembersWrite> {
    let mut members = Members::of(version, "entity")?;
    for (key, name, parent, ownership, currency, country, _) in ENTITIES {
        let attributes = [("ownership", ownership), ("currency", currency), ("country", country)];
        members.add(key, name, "", parent, &attributes)?;
    }
    Ok(members.write)
}

fn flat(version: &Version, dimension: &str, list: &[(&str, &str)]) -> Result<MembersWrite> {
    let mut members = Members::of(version, dimension)?;
    for (key, name) in list {
        members.add(key, name, "", "", &[])?;
    }
    Ok(members.write)
}

/// The member of a key that the demo made itself.
pub(super) fn leaf(version: &Version, dimension: &str, key: &str) -> Result<MemberId, CubeError> {
    version.dimension(version.model.dimension(dimension)?).resolve_leaf(key)
}
