//! A dimension of the cube that is loaded: from a text to the member that holds the fact.

use cube::dimension::Dimension;
use cube::{CubeId, LevelId, MemberId, Version};
use toml::Spanned;

use super::columns::Columns;
use super::expression::Expression;
use super::map::{MapFile, Source};
use super::suggest::Suggestions;
use crate::model_files::FileProblem;

/// Where the members of one dimension come from.
pub(super) struct Axis<'a> {
    pub dimension: &'a Dimension,
    pub source: Expression,
    /// The level at which the cube uses the dimension; none: its leaves.
    level: Option<LevelId>,
    /// What the file's keys are of.
    keys: Keys,
}

/// What the keys in a file are of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// The members that hold the facts.
    OfFacts,
    /// The leaves below them.
    OfLeaves,
}

impl<'a> Axis<'a> {
    /// Resolves what a map says of the dimension at a position of the cube.
    pub fn new(
        version: &'a Version,
        (cube, position): (CubeId, usize),
        columns: &Columns<'_>,
        map: &MapFile<'_>,
        source: &Spanned<Source>,
    ) -> Result<Self, FileProblem> {
        let cube = version.model.cube_def(cube);
        let dimension = version.dimension(cube.dimensions[position]);
        let level = cube.levels[position];
        let keys = match (&source.get_ref().level, level.map(|level| level_name(dimension, level)))
        {
            (None, _) => Keys::OfFacts,
            (Some(named), Some(level)) if named == level => Keys::OfLeaves,
            (Some(named), level) => {
                let (name, at) = (&cube.def.name, level.unwrap_or("the leaves"));
                let message = format!("cube {name} is at {at} of {}", dimension.def.name);
                let message = format!("{message}, and the map says {named:?}");
                return Err(map.problem(source, message));
            }
        };
        let source = Expression::of_dimension(columns, map, source)?;
        Ok(Self { dimension, source, level, keys })
    }

    /// The member of a key; none where there is none, and [`Self::member`] says why.
    pub fn find(&self, key: &str) -> Option<MemberId> {
        let level = Some(self.level).filter(|_| self.keys == Keys::OfFacts).flatten();
        let found = self.dimension.find(key).or_else(|| {
            let canonical = self.dimension.key_type_at(level).canonical(key);
            self.dimension.find(&canonical.ok()?)
        });
        let member = found.filter(|&member| self.dimension.holds_facts_at(level, member))?;
        match (self.keys, self.level) {
            (Keys::OfLeaves, Some(level)) => self.dimension.ancestor_at(level, member),
            _ => Some(member),
        }
    }

    /// The member of a key, or why there is none. Nearest names are looked for a few times only.
    pub fn member(&self, key: &str, suggestions: &mut Suggestions) -> Result<MemberId, String> {
        match (self.keys, self.level) {
            (Keys::OfLeaves, Some(level)) => {
                let leaf = self.member_on(None, key, suggestions)?;
                let found = self.dimension.ancestor_at(level, leaf);
                found.ok_or_else(|| format!("it is in no {}", level_name(self.dimension, level)))
            }
            (_, level) => self.member_on(level, key, suggestions),
        }
    }

    fn member_on(
        &self,
        level: Option<LevelId>,
        key: &str,
        suggestions: &mut Suggestions,
    ) -> Result<MemberId, String> {
        let dimension = self.dimension;
        if key.is_empty() {
            return Err(format!("the key of dimension {} is empty", dimension.def.name));
        }
        let canonical = dimension.key_type_at(level).canonical(key);
        let member = dimension.find(key).or_else(|| dimension.find(canonical.as_deref().ok()?));
        match (member, canonical) {
            (Some(member), _) if dimension.holds_facts_at(level, member) => Ok(member),
            (Some(member), _) => Err(self.misplaced(level, member, key)),
            (None, Err(error)) => Err(suggestions.no_key(dimension, key, error.to_string())),
            (None, Ok(_)) => {
                let Some(level) = level else {
                    return Err(suggestions.unknown(dimension, key, std::iter::empty()));
                };
                let members = dimension.members();
                let members = members.filter(|&m| dimension.holds_facts_at(Some(level), m));
                let keys = members.map(|member| dimension.key(member));
                let reason = suggestions.unknown_among(dimension, key, keys);
                Err(format!("{reason}; the cube is at {}", level_name(dimension, level)))
            }
        }
    }

    /// Why a member holds no facts, and what to say where it is a leaf below one that does.
    fn misplaced(&self, level: Option<LevelId>, member: MemberId, key: &str) -> String {
        let error = self.dimension.resolve_at(level, key);
        let reason = error.err().map_or_else(String::new, |error| error.to_string());
        match level.map(|level| level_name(self.dimension, level)) {
            Some(level) if self.dimension.holds_facts(member) => {
                format!("{reason}; level = {level:?} in the map takes the {level} it is in")
            }
            _ => reason,
        }
    }
}

fn level_name(dimension: &Dimension, level: LevelId) -> &str {
    &dimension.def.levels[level.idx()].name
}
