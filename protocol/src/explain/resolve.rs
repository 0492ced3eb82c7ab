//! From the words of a cell to ids: cube, measure, and members or a row key, with the nearest names
//! where something does not exist.

use calc::explain::{CellRef, Place};
use cube::dimension::{Dimension, LevelColumn};
use cube::error::nearest;
use cube::model::{Cube, HierarchyDef, HierarchyKind};
use cube::value::KeyPart;
use cube::{CubeId, DimensionId, HierarchyId, LevelId, MemberId, Version};

use super::cell::{CellText, Word};
use crate::error::SqlError;

/// Finds what a text names.
///
/// # Errors
/// 42P01, 42703, 42704 for a cube, a measure, a dimension or a member that does not exist, with the
/// nearest names; 42702 for a name that several members have; 42601 for anything named twice.
pub fn resolve(version: &Version, text: &CellText) -> Result<CellRef, SqlError> {
    let names = || version.model.cubes.iter().map(|cube| cube.def.name.as_str());
    let cube = version.model.cube(&text.cube.text);
    let cube = cube.map_err(|_| unknown("42P01", "cube", &text.cube, names()))?;
    let def = version.model.cube_def(cube);
    let names = || def.def.measures.iter().map(|measure| measure.name.as_str());
    let measure = def.measure(&text.measure.text);
    let measure = measure.map_err(|_| unknown("42703", "measure", &text.measure, names()))?;
    let is_key = |name: &Word| def.def.key.iter().any(|key| key.name == name.text);
    let place = if text.pairs.iter().any(|(name, _)| is_key(name)) {
        Place::Row(existing_row(version, cube, row(def, &text.pairs)?)?)
    } else {
        Place::Cell(place(version, def, &text.pairs)?)
    };
    Ok(CellRef { cube, measure, place })
}

/// The row key that some pairs give, column by column.
fn row(cube: &Cube, pairs: &[(Word, Word)]) -> Result<Vec<KeyPart>, SqlError> {
    let columns = || cube.def.key.iter().map(|key| key.name.as_str());
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !columns().any(|c| c == name.text)) {
        let hint = format!("a row is named by its key alone: {}", in_brackets(columns()));
        return Err(unknown("42703", "key column", name, columns()).with_hint(hint));
    }
    let part = |key: &cube::model::KeyDef| {
        let mut given = pairs.iter().filter(|(name, _)| name.text == key.name);
        let (first, second) = (given.next(), given.next());
        if let Some((name, _)) = second {
            return Err(twice(name));
        }
        let Some((_, value)) = first else {
            let message = format!("the row key of {} has a column {}", cube.def.name, key.name);
            let hint = format!("name the row as {}", in_brackets(columns()));
            return Err(SqlError::new("42601", message).with_hint(hint));
        };
        let part = KeyPart::parse(key.key_type, &value.text);
        part.map_err(|error| SqlError::from(error).at(value.position))
    };
    cube.def.key.iter().map(part).collect()
}

fn existing_row(
    version: &Version,
    cube: CubeId,
    key: Vec<KeyPart>,
) -> Result<Vec<KeyPart>, SqlError> {
    let mut wanted = version.empty_rows(cube);
    wanted.keys.iter_mut().zip(&key).for_each(|(column, part)| column.push(part.clone()));
    if version.rows(cube).find(&wanted, 0).is_some() {
        return Ok(key);
    }
    let def = &version.model.cube_def(cube).def;
    let parts = def.key.iter().zip(&key);
    let parts =
        parts.map(|(column, part)| format!("{}={}", column.name, part.format(column.key_type)));
    let parts = parts.collect::<Vec<_>>().join(", ");
    Err(SqlError::new("42704", format!("row {parts} of {} does not exist", def.name)))
}

fn in_brackets<'a>(columns: impl Iterator<Item = &'a str>) -> String {
    let columns: Vec<String> = columns.map(|column| format!("{column}=...")).collect();
    format!("[{}]", columns.join(", "))
}

/// The members that some pairs give, dimension by dimension.
fn place(
    version: &Version,
    cube: &Cube,
    pairs: &[(Word, Word)],
) -> Result<Vec<Option<MemberId>>, SqlError> {
    let mut place = vec![None; cube.dimensions.len()];
    for (name, value) in pairs {
        let (position, level) = axis(version, cube, name)?;
        if place[position].is_some() {
            return Err(twice(name));
        }
        let dimension = version.dimension(cube.dimensions[position]);
        let member = member(dimension, level, value)?;
        if let Some(grain) =
            cube.levels[position].filter(|&grain| is_below(dimension, grain, member))
        {
            let grain = &dimension.def.levels[grain.idx()].name;
            let message = format!("{:?} is below {grain} of {}", value.text, dimension.def.name);
            let detail = format!("cube {} has no more detail than its {grain}", cube.def.name);
            return Err(SqlError::new("22023", message).with_detail(detail).at(value.position));
        }
        place[position] = Some(member);
    }
    Ok(place)
}

/// The dimension that a word names: by its own name, or by one of its level columns.
fn axis<'a>(
    version: &'a Version,
    cube: &Cube,
    name: &Word,
) -> Result<(usize, Option<&'a LevelColumn>), SqlError> {
    let dimension = |id: DimensionId| version.dimension(id);
    for (position, &id) in cube.dimensions.iter().enumerate() {
        let def = &dimension(id).def;
        if def.name == name.text {
            return Ok((position, None));
        }
        let rest = name.text.strip_prefix(def.name.as_str());
        let Some(level) = rest.and_then(|rest| rest.strip_prefix('_')) else { continue };
        let columns = dimension(id).level_columns_at(cube.levels[position]);
        let column = columns.iter().find(|column| column.name == level);
        if column.is_some() {
            return Ok((position, column));
        }
    }
    let names = cube.dimensions.iter().map(|&id| dimension(id).def.name.as_str());
    let keys = cube.def.key.iter().map(|key| key.name.as_str());
    Err(unknown("42703", "dimension", name, names.chain(keys)))
}

/// The member of a key, else of a name that no other has; of one level where that is given.
fn member(
    dimension: &Dimension,
    level: Option<&LevelColumn>,
    word: &Word,
) -> Result<MemberId, SqlError> {
    let fits = |member: &MemberId| level.is_none_or(|level| is_on(dimension, level, *member));
    let canonical = dimension.def.key_type.canonical(&word.text).ok();
    let by_key = dimension.find(&word.text);
    let by_key = by_key.or_else(|| canonical.and_then(|key| dimension.find(&key)));
    if let Some(member) = by_key.filter(fits) {
        return Ok(member);
    }
    let named = dimension.members().filter(|&member| dimension.name(member) == word.text);
    let named: Vec<MemberId> = named.filter(fits).collect();
    match named.as_slice() {
        [member] => Ok(*member),
        [] => {
            if let Some(outside) = dimension.outside_calendar(&word.text) {
                let error = SqlError { sqlstate: "42704", ..SqlError::from(outside) };
                return Err(error.at(word.position));
            }
            let members = || dimension.members().filter(fits);
            let keys = members().map(|member| dimension.key(member));
            let names = members().map(|member| dimension.name(member));
            let error = unknown("42704", "member", word, keys.chain(names));
            Err(error.with_detail(format!("in dimension {}", dimension.def.name)))
        }
        several => {
            const SHOWN: usize = 5;
            let keys = several.iter().take(SHOWN).map(|&member| dimension.key(member));
            let keys = keys.collect::<Vec<_>>().join(", ");
            let count = several.len();
            let message =
                format!("{count} members of {} are called {:?}", dimension.def.name, word.text);
            let error = SqlError::new("42702", message).at(word.position);
            Err(error.with_hint(format!("name one by its key: {keys}")))
        }
    }
}

/// Whether a member is finer than the level at which a cube has the dimension.
fn is_below(dimension: &Dimension, grain: LevelId, member: MemberId) -> bool {
    let place = |hierarchy: &HierarchyDef, level: LevelId| {
        let name = &dimension.def.levels[level.idx()].name;
        hierarchy.levels.iter().position(|level| level == name)
    };
    let is_above = |hierarchy: &HierarchyDef| {
        let own = dimension.level(member).and_then(|level| place(hierarchy, level));
        own.zip(place(hierarchy, grain)).is_some_and(|(own, grain)| own <= grain)
    };
    !dimension.def.hierarchies.iter().any(is_above)
}

/// Whether a member is on the level of a column.
fn is_on(dimension: &Dimension, column: &LevelColumn, member: MemberId) -> bool {
    let hierarchy = &dimension.def.hierarchies[column.hierarchy.idx()];
    match hierarchy.kind {
        HierarchyKind::Levels => {
            let level = hierarchy.levels.get(column.position);
            let level = level.and_then(|level| dimension.def.level(level).ok());
            level.is_some() && dimension.level(member) == level
        }
        HierarchyKind::ParentChild => depth(dimension, column.hierarchy, member) == column.position,
    }
}

/// How many ancestors a member has.
fn depth(dimension: &Dimension, hierarchy: HierarchyId, member: MemberId) -> usize {
    let parent = |member: &MemberId| dimension.parent(hierarchy, *member);
    std::iter::successors(Some(member), parent).count() - 1
}

fn twice(name: &Word) -> SqlError {
    let message = format!("{:?} is named twice in the name of the cell", name.text);
    SqlError::new("42601", message).at(name.position)
}

fn unknown<'a>(
    sqlstate: &'static str,
    kind: &str,
    word: &Word,
    existing: impl Iterator<Item = &'a str>,
) -> SqlError {
    let error = SqlError::new(sqlstate, format!("{kind} {:?} does not exist", word.text));
    let error = error.at(word.position);
    let names = nearest(&word.text, existing);
    if names.is_empty() {
        error
    } else {
        error.with_hint(format!("did you mean {}?", names.join(", ")))
    }
}
