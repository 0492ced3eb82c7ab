//! A file without a map: columns are what they are named.

use calc::Revision;
use cube::dimension::Dimension;
use cube::model::HierarchyDef;
use cube::{CubeId, DimensionId, MeasureId, Version};
use toml::Spanned;

use super::map::{Map, MapFile, Members, Source, Sources};
use super::table::Table;
use crate::model_files::FileProblem;

/// The column that says from which day a row's attributes hold.
const VALID_FROM: &str = "valid_from";

fn own(name: &str) -> Spanned<Source> {
    Spanned::new(0..0, Source::column(name))
}

fn add(sources: &mut Sources, name: &str, column: &str) {
    sources.insert(Spanned::new(0..0, name.into()), own(column));
}

/// The map of a file of cells or rows: dimensions, columns of the row key, input measures.
pub(super) fn of_cube<'a>(
    revision: &Revision,
    cube: CubeId,
    file: &'a str,
    table: &Table,
) -> Result<MapFile<'a>, FileProblem> {
    let def = &revision.version.model.cube_def(cube).def;
    let takes_input = |position: usize| {
        let measure = MeasureId::from_idx(position);
        revision.plan.takes_input(&revision.version, cube, measure)
    };
    let mut map = Map::default();
    for key in &def.key {
        add(&mut map.key, &key.name, &key.name);
    }
    for dimension in def.dimension_names() {
        add(&mut map.dimensions, dimension, dimension);
    }
    let keys = def.key.iter().map(|key| key.name.as_str());
    let needed: Vec<&str> = keys.chain(def.dimension_names()).collect();
    let inputs = def.measures.iter().enumerate().filter(|(position, _)| takes_input(*position));
    let inputs: Vec<&str> = inputs.map(|(_, measure)| measure.name.as_str()).collect();
    check_header(file, table, &needed, &inputs)?;
    for measure in inputs {
        if table.header.names.iter().any(|column| column == measure) {
            add(&mut map.measures, measure, measure);
        }
    }
    Ok(MapFile::unwritten(file, map))
}

/// The column that names the parent in a hierarchy: `parent` for the first one.
fn parent_column(position: usize, hierarchy: &HierarchyDef) -> String {
    if position == 0 { "parent".into() } else { format!("parent_{}", hierarchy.name) }
}

/// The map of a file of members: key, name, parents, attributes.
pub(super) fn of_dimension<'a>(
    version: &Version,
    id: DimensionId,
    file: &'a str,
    table: &Table,
) -> Result<MapFile<'a>, FileProblem> {
    let dimension: &Dimension = version.dimension(id);
    let has = |name: &str| table.header.names.iter().any(|column| column == name);
    let hierarchies = dimension.def.hierarchies.iter().enumerate();
    let parents: Vec<(String, String)> = hierarchies
        .filter(|(_, hierarchy)| hierarchy.same_as.is_none())
        .map(|(position, hierarchy)| (hierarchy.name.clone(), parent_column(position, hierarchy)))
        .collect();
    let is_attribute = dimension.def.attribute(VALID_FROM).is_ok();
    let valid_from = Some(VALID_FROM).filter(|name| has(name) && !is_attribute);
    let mut optional = vec!["name"];
    optional.extend(valid_from);
    optional.extend(parents.iter().map(|(_, column)| column.as_str()));
    optional.extend(dimension.def.attributes.iter().map(|attribute| attribute.name.as_str()));
    check_header(file, table, &["key"], &optional)?;
    let mut map = Map::default();
    let mut members = Members {
        key: own("key"),
        name: has("name").then(|| own("name")),
        level: None,
        parent: Sources::default(),
        valid_from: valid_from.map(own),
    };
    for (hierarchy, column) in parents.iter().filter(|(_, column)| has(column)) {
        add(&mut members.parent, hierarchy, column);
    }
    map.members = Some(Spanned::new(0..0, members));
    for attribute in dimension.def.attributes.iter().filter(|attribute| has(&attribute.name)) {
        add(&mut map.attributes, &attribute.name, &attribute.name);
    }
    Ok(MapFile::unwritten(file, map))
}

fn check_header(
    file: &str,
    table: &Table,
    needed: &[&str],
    optional: &[&str],
) -> Result<(), FileProblem> {
    let missing =
        needed.iter().find(|name| !table.header.names.iter().any(|column| column == *name));
    let unknown =
        table.header.names.iter().find(|column| {
            !needed.contains(&column.as_str()) && !optional.contains(&column.as_str())
        });
    let message = match (missing, unknown) {
        (None, None) => return Ok(()),
        (Some(missing), _) => format!("the file has no column {missing:?}"),
        (None, Some(unknown)) => format!("column {unknown:?} is not known"),
    };
    let expected = match optional.is_empty() {
        true => needed.join(", "),
        false => format!("{} and any of {}", needed.join(", "), optional.join(", ")),
    };
    let hint = table.header.separator_hint();
    let hint = hint.unwrap_or_else(|| format!("without a map the columns are {expected}"));
    Err(FileProblem::of_file(file, message).with_hint(Some(hint)))
}
