//! Maintained aggregates in words: for EXPLAIN and for `perfos.aggregates`.

use cube::aggregate::{AggregateInfo, Key};
use cube::rollup::{Arithmetic, Operator};
use cube::{CubeId, Number, Version};

/// The columns by which an aggregate tells rows apart: `customer_region, date_year`.
pub fn keys_of(version: &Version, cube: CubeId, aggregate: &AggregateInfo) -> String {
    let def = version.model.cube_def(cube);
    let name = |key: &Key| match *key {
        Key::Members(position) => version.dimension(def.dimensions[position]).def.name.clone(),
        Key::Level(position, hierarchy, level) => {
            let dimension = version.dimension(def.dimensions[position]);
            let mut columns = dimension.level_columns_at(def.levels[position]).iter();
            let column =
                columns.find(|column| (column.hierarchy, column.position) == (hierarchy, level));
            let level =
                column.map_or_else(|| format!("l{}", level + 1), |column| column.name.clone());
            format!("{}_{level}", dimension.def.name)
        }
        Key::Values(measure) => def.measure_def(measure).name.clone(),
    };
    let mut keys: Vec<&Key> = aggregate.keys.iter().collect();
    keys.sort_by_key(|key| key.position().unwrap_or(usize::MAX));
    keys.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

/// What an aggregate adds up, beside the rows: `revenue, price * discount`.
pub fn terms_of(version: &Version, cube: CubeId, aggregate: &AggregateInfo) -> String {
    let text = |term: &Arithmetic| text_of(version, cube, term);
    aggregate.terms.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn text_of(version: &Version, cube: CubeId, arithmetic: &Arithmetic) -> String {
    match arithmetic {
        Arithmetic::Measure(measure) => {
            version.model.cube_def(cube).measure_def(*measure).name.clone()
        }
        Arithmetic::Constant(value, scale) => Number::new((*value).into(), *scale).to_string(),
        Arithmetic::Binary(operator, a, b) => {
            let sign = match operator {
                Operator::Plus => "+",
                Operator::Minus => "-",
                Operator::Times => "*",
            };
            let operand = |operand: &Arithmetic| match operand {
                Arithmetic::Binary(..) => format!("({})", text_of(version, cube, operand)),
                _ => text_of(version, cube, operand),
            };
            format!("{} {sign} {}", operand(a), operand(b))
        }
    }
}
