//! A small company for tests: employees who sell products by the day, and have quotas.

#![allow(dead_code)] // each test binary uses its part

use calc::{CalcError, Recomputed, Revision};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    AttributeDef, CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, FormulaDef, KeyDef,
    MeasureDef, ModelChange,
};
use cube::number::Rounding;
use cube::value::{KeyPart, KeyType};
use cube::{AttributeId, Change, CubeId, DimensionId, MemberId, Scalar, ValueType};

pub const QUOTA: &str = "quota";
pub const SALES: &str = "sales";

/// Digits after the point of every measure.
const SCALE: u8 = 4;

pub fn dimension(name: &str, key_type: KeyType, attribute: Option<&str>) -> DimensionDef {
    let value_type = ValueType::Decimal { precision: 18, scale: SCALE };
    let attribute = attribute.map(|name| AttributeDef::new(name, value_type));
    DimensionDef {
        name: name.into(),
        description: String::new(),
        key_type,
        attributes: attribute.into_iter().collect(),
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: None,
    }
}

pub fn measure(name: &str, consolidation: Consolidation) -> MeasureDef {
    MeasureDef {
        name: name.into(),
        value_type: ValueType::Decimal { precision: 18, scale: SCALE },
        consolidation,
        rounding: Rounding::HalfEven,
        description: String::new(),
        time: None,
    }
}

pub fn cube(name: &str, kind: CubeKind, dimensions: &[&str], measures: &[&str]) -> CubeDef {
    let rule = |name: &&str| match *name {
        "attainment" | "gross_margin" | "ratio" => Consolidation::Formula,
        _ => Consolidation::Sum,
    };
    let key = KeyDef { name: "order_number".into(), key_type: KeyType::Text };
    CubeDef {
        name: name.into(),
        kind,
        description: String::new(),
        dimensions: dimensions.iter().map(|name| String::from(*name)).collect(),
        key: if kind == CubeKind::Records { vec![key] } else { Vec::new() },
        measures: measures.iter().map(|name| measure(name, rule(name))).collect(),
    }
}

pub fn formula(target: &str, text: &str) -> FormulaDef {
    FormulaDef {
        target: target.into(),
        text: text.into(),
        description: String::new(),
        at_or_above: Default::default(),
    }
}

/// What a revision is spoken to with: names instead of ids.
#[derive(Clone)]
pub struct Shop {
    pub revision: Revision,
}

/// A sale: order, employee, date, product, and values by measure.
pub type Sale<'a> = (&'a str, [&'a str; 3], &'a [(&'a str, Option<i64>)]);

impl Shop {
    /// Employees `ann`, `bob` and `eve`, products `bike` and `bell`, the year 2012.
    pub fn new() -> Self {
        let mut shop = Self { revision: Revision::default() };
        let calendar = CalendarDef {
            start: "2012-01-01".into(),
            end: "2012-12-31".into(),
            fiscal_start_month: None,
        };
        shop.model(ModelChange::AddDimension(dimension(
            "employee",
            KeyType::Text,
            Some("commission_pct"),
        )));
        shop.model(ModelChange::AddDimension(DimensionDef {
            calendar: Some(calendar),
            ..dimension("date", KeyType::Date, None)
        }));
        shop.model(ModelChange::AddDimension(dimension(
            "product",
            KeyType::Text,
            Some("list_price"),
        )));
        shop.members("employee", &[("ann", Some(500)), ("bob", Some(1_000)), ("eve", None)]);
        shop.members("product", &[("bike", Some(100_000)), ("bell", Some(5_000))]);
        let quota = ["amount_quota", "bonus", "actual_sales", "attainment"];
        let sales = ["amount", "cost", "freight", "gross_profit", "commission", "gross_margin"];
        shop.model(ModelChange::AddCube(cube(
            QUOTA,
            CubeKind::Cells,
            &["employee", "date"],
            &quota,
        )));
        shop.model(ModelChange::AddCube(cube(
            SALES,
            CubeKind::Records,
            &["employee", "date", "product"],
            &sales,
        )));
        for (target, text) in [
            ("sales.gross_profit", "amount - cost"),
            ("sales.commission", "amount * employee.commission_pct"),
            ("sales.gross_margin", "gross_profit / amount"),
            ("quota.actual_sales", "sales.amount[BY SUM: employee, date]"),
            ("quota.attainment", "actual_sales / amount_quota"),
        ] {
            shop.model(ModelChange::SetFormula(formula(target, text)));
        }
        shop
    }

    /// Applies a change that must succeed; gives what was computed again, largest names last.
    pub fn apply(&mut self, change: Change) -> Vec<(String, u64)> {
        let (revision, recomputed) = self.revision.apply(&[change]).expect("the change is valid");
        self.revision = revision;
        listed(recomputed)
    }

    pub fn refusal(&self, change: Change) -> CalcError {
        self.revision.apply(&[change]).expect_err("the change is refused")
    }

    pub fn model(&mut self, change: ModelChange) -> Vec<(String, u64)> {
        self.apply(Change::Model(change))
    }

    pub fn members_change(&self, dimension: &str, members: &[(&str, Option<i64>)]) -> Change {
        let id = self.revision.version.model.dimension(dimension).expect("it exists");
        let member = |&(key, value): &(&str, Option<i64>)| MemberWrite {
            key: key.into(),
            attributes: vec![(AttributeId(0), value.map(Scalar::Stored))],
            ..MemberWrite::default()
        };
        Change::Members(MembersWrite {
            dimension: id,
            first_new: MemberId::from_idx(self.revision.version.dimension(id).member_count()),
            members: members.iter().map(member).collect(),
        })
    }

    /// Members and their one attribute, as stored integers.
    pub fn members(
        &mut self,
        dimension: &str,
        members: &[(&str, Option<i64>)],
    ) -> Vec<(String, u64)> {
        self.apply(self.members_change(dimension, members))
    }

    fn ids(&self, cube: CubeId, keys: &[&str]) -> Vec<MemberId> {
        let dimensions = &self.revision.version.model.cube_def(cube).dimensions;
        let id = |(&dimension, key): (&DimensionId, &&str)| {
            self.revision.version.dimension(dimension).find(key)
        };
        dimensions.iter().zip(keys).map(|pair| id(pair).expect("the member exists")).collect()
    }

    /// One cell, or one row of the order.
    pub fn row_change(
        &self,
        cube: &str,
        order: Option<&str>,
        keys: &[&str],
        values: &[(&str, Option<i64>)],
    ) -> Change {
        let id = self.revision.version.model.cube(cube).expect("it exists");
        let def = self.revision.version.model.cube_def(id);
        Change::Rows(RowsWrite {
            cube: id,
            action: RowsAction::Set,
            measures: values
                .iter()
                .map(|(name, _)| def.measure(name).expect("it exists"))
                .collect(),
            keys: order.map(|order| KeyPart::Text(order.into())).into_iter().collect(),
            coordinates: self.ids(id, keys),
            values: values.iter().map(|(_, value)| *value).collect(),
        })
    }

    pub fn sale(&mut self, (order, keys, values): Sale<'_>) -> Vec<(String, u64)> {
        self.apply(self.row_change(SALES, Some(order), &keys, values))
    }

    pub fn quota(&mut self, keys: [&str; 2], values: &[(&str, Option<i64>)]) -> Vec<(String, u64)> {
        self.apply(self.row_change(QUOTA, None, &keys, values))
    }

    pub fn remove_sale(&mut self, order: &str) -> Vec<(String, u64)> {
        let cube = self.revision.version.model.cube(SALES).expect("it exists");
        let keys = vec![KeyPart::Text(order.into())];
        let action = RowsAction::Remove;
        self.apply(Change::Rows(RowsWrite {
            cube,
            action,
            measures: vec![],
            keys,
            coordinates: vec![],
            values: cube::ValueList::new(),
        }))
    }

    pub fn remove_quota(&mut self, keys: [&str; 2]) -> Vec<(String, u64)> {
        let cube = self.revision.version.model.cube(QUOTA).expect("it exists");
        let coordinates = self.ids(cube, &keys);
        let action = RowsAction::Remove;
        self.apply(Change::Rows(RowsWrite {
            cube,
            action,
            measures: vec![],
            keys: vec![],
            coordinates,
            values: cube::ValueList::new(),
        }))
    }

    /// The stored value of a measure at a coordinate; rows of one coordinate must be one.
    pub fn value(&self, cube: &str, keys: &[&str], measure: &str) -> Option<i64> {
        let id = self.revision.version.model.cube(cube).expect("it exists");
        let measure = self.revision.version.model.cube_def(id).measure(measure).expect("it exists");
        let wanted = self.ids(id, keys);
        let rows = self.revision.version.rows(id).all(self.revision.version.empty_rows(id));
        let row = (0..rows.len()).find(|&row| rows.coordinate(row) == wanted)?;
        rows.values[measure.idx()].get(row)
    }
}

/// Which formulas ran, and for how many cells.
pub fn listed(recomputed: Recomputed) -> Vec<(String, u64)> {
    recomputed.0.into_iter().collect()
}
