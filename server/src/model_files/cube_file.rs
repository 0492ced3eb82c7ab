//! A cube as its file says: its definition, and the units of its measures, which are changes of their
//! own.

use std::collections::BTreeMap;

use cube::model::{Consolidation, CubeDef, CubeKind, KeyDef, MeasureDef, TimeDef};
use cube::number::Rounding;
use cube::value::ValueType;
use serde::Deserialize;

/// A file of `cubes/`.
#[derive(Debug, Deserialize)]
#[serde(from = "Written")]
pub(super) struct CubeFile {
    /// The definition.
    pub def: CubeDef,
    /// Per measure, its unit as the file says; empty where it says none.
    pub units: Vec<String>,
    /// Of dimensions that the cube gets when it has rows, the members that these are of.
    pub earlier_rows: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "CubeDef", deny_unknown_fields)]
struct Written {
    name: String,
    kind: CubeKind,
    #[serde(default)]
    description: String,
    dimensions: Vec<String>,
    #[serde(default)]
    earlier_rows: BTreeMap<String, String>,
    #[serde(default)]
    key: Vec<KeyDef>,
    #[serde(default, rename = "measure")]
    measures: Vec<WrittenMeasure>,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "MeasureDef", deny_unknown_fields)]
struct WrittenMeasure {
    name: String,
    #[serde(rename = "type")]
    value_type: ValueType,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    consolidation: Consolidation,
    #[serde(default)]
    rounding: Rounding,
    #[serde(default)]
    description: String,
    #[serde(default)]
    time: Option<TimeDef>,
}

impl From<Written> for CubeFile {
    fn from(file: Written) -> Self {
        let Written { name, kind, description, dimensions, earlier_rows, key, measures } = file;
        let split = |written: WrittenMeasure| {
            let WrittenMeasure { name, value_type, unit, consolidation, rounding, .. } = written;
            let WrittenMeasure { description, time, .. } = written;
            let def = MeasureDef { name, value_type, consolidation, rounding, description, time };
            (def, unit)
        };
        let (measures, units) = measures.into_iter().map(split).unzip();
        let def = CubeDef { name, kind, description, dimensions, key, measures };
        Self { def, units, earlier_rows }
    }
}
