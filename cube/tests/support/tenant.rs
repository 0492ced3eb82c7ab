//! A version that tests speak to by names.

#![allow(dead_code)] // each test binary uses its part

use std::collections::BTreeMap;
use std::sync::Arc;

use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::dimension::Dimension;
use cube::model::{
    AttributeDef, Consolidation, CubeDef, CubeKind, DimensionDef, HierarchyDef, HierarchyKind,
    KeyDef, LevelDef, MeasureDef, ModelChange,
};
use cube::number::Rounding;
use cube::rollup::{Axis, Filter, Grain, Output, Request, Rollup, rollup};
use cube::value::{KeyPart, KeyType};
use cube::{
    AttributeId, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId, Scalar, ValueType,
    Version, View,
};

pub const AMOUNT: MeasureId = MeasureId(0);

pub fn dimension(name: &str) -> DimensionDef {
    DimensionDef {
        name: name.into(),
        description: String::new(),
        key_type: KeyType::Text,
        attributes: Vec::new(),
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: None,
    }
}

/// A dimension whose members have parents, weighted by the attribute `weight` of a type.
pub fn parent_child(name: &str, weight: ValueType) -> DimensionDef {
    let factor = AttributeDef::new("factor", weight);
    let hierarchy = HierarchyDef {
        name: name.into(),
        kind: HierarchyKind::ParentChild,
        levels: Vec::new(),
        weight: Some("factor".into()),
        same_as: None,
    };
    DimensionDef { attributes: vec![factor], hierarchies: vec![hierarchy], ..dimension(name) }
}

/// A dimension of levels: one hierarchy a list, top down.
pub fn levelled(name: &str, hierarchies: &[&[&str]]) -> DimensionDef {
    let mut levels: Vec<LevelDef> = Vec::new();
    for level in hierarchies.iter().copied().flatten() {
        if levels.iter().all(|known| known.name != *level) {
            levels.push(LevelDef { name: String::from(*level), key_type: KeyType::Text });
        }
    }
    let hierarchy = |levels: &&[&str]| HierarchyDef {
        name: format!("by_{}", levels[0]),
        kind: HierarchyKind::Levels,
        levels: levels.iter().map(|level| String::from(*level)).collect(),
        weight: None,
        same_as: None,
    };
    DimensionDef {
        levels,
        hierarchies: hierarchies.iter().map(hierarchy).collect(),
        ..dimension(name)
    }
}

pub fn measure(name: &str, value_type: ValueType, consolidation: Consolidation) -> MeasureDef {
    MeasureDef {
        name: name.into(),
        value_type,
        consolidation,
        rounding: Rounding::HalfEven,
        description: String::new(),
        time: None,
    }
}

/// A cube with the measure `amount`, an integer.
pub fn amounts(name: &str, dimensions: &[&str], key: Option<KeyType>) -> CubeDef {
    CubeDef {
        name: name.into(),
        kind: if key.is_some() { CubeKind::Records } else { CubeKind::Cells },
        description: String::new(),
        dimensions: dimensions.iter().map(|name| String::from(*name)).collect(),
        key: key.map(|key_type| KeyDef { name: "id".into(), key_type }).into_iter().collect(),
        measures: vec![measure("amount", ValueType::Integer, Consolidation::Sum)],
    }
}

/// A version, changed in place; an error leaves it as it was.
#[derive(Clone, Default)]
pub struct Tenant {
    pub version: Version,
}

impl Tenant {
    pub fn new(dimensions: Vec<DimensionDef>, cubes: Vec<CubeDef>) -> Self {
        let mut tenant = Self::default();
        let changes = dimensions.into_iter().map(ModelChange::AddDimension);
        for change in changes.chain(cubes.into_iter().map(ModelChange::AddCube)) {
            tenant.model(change).expect("the definition is valid");
        }
        tenant
    }

    pub fn model(&mut self, change: ModelChange) -> cube::Result<()> {
        self.version = self.version.with_model(&change)?;
        Ok(())
    }

    pub fn dimension(&self, name: &str) -> &Dimension {
        self.version.dimension(self.version.model.dimension(name).expect("it exists"))
    }

    pub fn write_members(
        &mut self,
        dimension: &str,
        members: Vec<MemberWrite>,
    ) -> cube::Result<()> {
        let id = self.version.model.dimension(dimension)?;
        let first_new = MemberId::from_idx(self.version.dimension(id).member_count());
        self.version =
            self.version.with_members(&MembersWrite { dimension: id, first_new, members })?;
        Ok(())
    }

    /// Members with parents in the first hierarchy.
    pub fn members(
        &mut self,
        dimension: &str,
        members: &[(&str, Option<&str>)],
    ) -> cube::Result<()> {
        let write = |&(key, parent): &(&str, Option<&str>)| MemberWrite {
            key: key.into(),
            parents: parent
                .map(|parent| (HierarchyId(0), Some(parent.into())))
                .into_iter()
                .collect(),
            ..MemberWrite::default()
        };
        self.write_members(dimension, members.iter().map(write).collect())
    }

    /// Members of a level with parents in a hierarchy.
    pub fn level_members(
        &mut self,
        dimension: &str,
        level: &str,
        hierarchy: usize,
        members: &[(&str, Option<&str>)],
    ) -> cube::Result<()> {
        let level: LevelId = self.dimension(dimension).def.level(level)?;
        let write = |&(key, parent): &(&str, Option<&str>)| MemberWrite {
            key: key.into(),
            level: Some(level),
            parents: parent
                .map(|parent| (HierarchyId::from_idx(hierarchy), Some(parent.into())))
                .into_iter()
                .collect(),
            ..MemberWrite::default()
        };
        self.write_members(dimension, members.iter().map(write).collect())
    }

    pub fn attribute(
        &mut self,
        dimension: &str,
        key: &str,
        value: Option<Scalar>,
    ) -> cube::Result<()> {
        let member = MemberWrite {
            key: key.into(),
            attributes: vec![(AttributeId(0), value)],
            ..MemberWrite::default()
        };
        self.write_members(dimension, vec![member])
    }

    pub fn id(&self, dimension: DimensionId, key: &str) -> MemberId {
        self.version.dimension(dimension).resolve(key).expect("the member exists")
    }

    /// Rows of the first measure: row keys (records), coordinates, values.
    pub fn rows_write(
        &self,
        cube: &str,
        action: RowsAction,
        rows: &[(KeyPart, Vec<&str>, Option<i64>)],
    ) -> RowsWrite {
        let id = self.version.model.cube(cube).expect("it exists");
        let def = self.version.model.cube_def(id);
        let is_records = def.def.kind == CubeKind::Records;
        let sets = action == RowsAction::Set;
        let ids = |keys: &Vec<&str>| {
            let pairs = def.dimensions.iter().zip(keys);
            pairs.map(|(&dimension, key)| self.id(dimension, key)).collect::<Vec<_>>()
        };
        RowsWrite {
            cube: id,
            action,
            measures: if sets { vec![AMOUNT] } else { Vec::new() },
            keys: rows.iter().filter(|_| is_records).map(|(key, ..)| key.clone()).collect(),
            coordinates: rows
                .iter()
                .filter(|_| sets || !is_records)
                .flat_map(|(_, keys, _)| ids(keys))
                .collect(),
            values: rows.iter().filter(|_| sets).map(|(.., value)| *value).collect(),
        }
    }

    pub fn write(&mut self, write: &RowsWrite) -> cube::Result<()> {
        let update = self.version.prepare(write, &[])?;
        self.version = self.version.with_update(&update);
        Ok(())
    }

    /// Sets one cell of the first measure.
    pub fn cell(&mut self, cube: &str, keys: &[&str], value: Option<i64>) -> cube::Result<()> {
        let row = (KeyPart::Integer(0), keys.to_vec(), value);
        self.write(&self.rows_write(cube, RowsAction::Set, &[row]))
    }

    pub fn view(&self) -> View {
        View::unrestricted(Arc::new(self.version.clone()))
    }

    pub fn hash(&self) -> String {
        self.version.state_hash().to_string()
    }

    /// An axis by the leaf members of a dimension of a cube.
    pub fn leaves(&self, cube: &str, position: usize) -> Axis {
        let id = self.version.model.cube(cube).expect("it exists");
        let dimension =
            self.version.dimension(self.version.model.cube_def(id).dimensions[position]);
        let cardinality = MemberId::from_idx(dimension.member_count()).0;
        Axis {
            position,
            codes: Arc::new((0..cardinality).collect()),
            cardinality,
            grain: Grain::Leaf,
        }
    }

    pub fn roll_up(
        &self,
        view: &View,
        cube: &str,
        axes: Vec<Axis>,
        filters: Vec<Filter>,
        output: Output,
    ) -> cube::Result<Rollup> {
        let cube: CubeId = self.version.model.cube(cube)?;
        rollup(view, &Request { axes, filters, outputs: vec![output], ..Request::of(cube) })
    }

    /// The consolidated total of the first measure.
    pub fn total(&self, view: &View, cube: &str) -> cube::Result<Option<i128>> {
        let rollup =
            self.roll_up(view, cube, Vec::new(), Vec::new(), Output::Consolidated(AMOUNT))?;
        Ok(rollup.columns[0].values[0])
    }

    /// All values of the first measure by row key or coordinate.
    pub fn values(&self, cube: &str) -> BTreeMap<String, Option<i64>> {
        let id = self.version.model.cube(cube).expect("it exists");
        let rows = self.version.rows(id).all(self.version.empty_rows(id));
        let row = |row: usize| (self.version.describe_row(id, &rows, row), rows.values[0].get(row));
        let values: BTreeMap<_, _> = (0..rows.len()).map(row).collect();
        assert_eq!(values.len(), rows.len(), "a key is alive in two segments");
        values
    }
}
