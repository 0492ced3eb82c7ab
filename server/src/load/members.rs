//! Members from a file: keys, names, levels, parents and attributes of one dimension.

use std::collections::HashMap;

use cube::change::{MemberWrite, MembersWrite};
use cube::dimension::Dimension;
use cube::model::HierarchyKind;
use cube::number::{Number, Rounding};
use cube::{
    AttributeId, Change, CubeError, DimensionId, HierarchyId, KeyType, LevelId, MemberId, Scalar,
    ValueType, Version,
};
use indexmap::IndexMap;
use indexmap::map::Entry;

use super::columns::{Column, Columns, Row};
use super::expression::Expression;
use super::history::{History, first_day, members_of};
use super::map::MapFile;
use super::progress::Stage;
use super::references;
use super::report::{LoadError, LoadReport, RejectedRow, Rejects, Unresolved};
use super::suggest::Suggestions;
use super::table::Table;
use super::{LoadPlan, LoadRequest, with_source};
use crate::model_files::FileProblem;

/// A load of members.
pub(super) struct Members<'a> {
    pub version: &'a Version,
    pub dimension: &'a Dimension,
    pub id: DimensionId,
    pub map: &'a MapFile<'a>,
    pub columns: &'a Columns<'a>,
    pub request: &'a LoadRequest,
}

/// What the map says, resolved against the dimension.
struct Layout {
    key: Expression,
    name: Option<Expression>,
    /// The level of the file's members, in a dimension with levels.
    level: Option<LevelId>,
    parents: Vec<(HierarchyId, Expression)>,
    attributes: Vec<(AttributeId, Expression)>,
    /// The day from which a row's attributes hold.
    valid_from: Option<Expression>,
}

impl Layout {
    /// The columns that it needs.
    fn columns(&self) -> impl Iterator<Item = Column> {
        let parents = self.parents.iter().map(|(_, source)| source);
        let attributes = self.attributes.iter().map(|(_, source)| source);
        let one = std::iter::once(&self.key).chain(&self.name).chain(&self.valid_from);
        one.chain(parents).chain(attributes).flat_map(Expression::columns)
    }
}

/// What is read so far.
#[derive(Default)]
struct Found {
    /// Members by canonical key, with the row they stand in.
    members: IndexMap<String, (usize, MemberWrite)>,
    /// Rows of members that cannot be placed, by canonical key.
    rejected: HashMap<String, usize>,
    /// Attributes, where rows say from when they hold.
    history: History,
}

/// The changes that load members.
pub(super) fn plan(load: &Members<'_>, mut table: Table) -> Result<LoadPlan, LoadError> {
    let file = load.request.file.name.as_str();
    let layout = load.layout().map_err(|problem| LoadError::of_problem(file, problem))?;
    let mut found = Found::default();
    let mut rejects = Rejects::default();
    let (mut rows_read, mut rows_repeated) = (0, 0);
    let reading = table.select(load.columns.used(layout.columns())).and_then(|()| {
        table.read(
            load.request.progress.as_ref(),
            |_| (),
            |block, (), _| {
                rows_read += block.row_count() + block.ragged.len();
                let ragged = block.ragged.iter().map(|&row| load.columns.ragged(row));
                let mut rejected: Vec<RejectedRow> = ragged.collect();
                for row in 0..block.row_count() {
                    let noted = load.columns.row(&block, row).and_then(|row| {
                        let noted = load.member(&layout, &row).and_then(|(member, from)| {
                            load.note(&layout, &mut found, row.number, member, from)
                        });
                        if noted.is_err()
                            && let Ok(key) = load.row_key(&layout, &row)
                        {
                            found.rejected.entry(key).or_insert(row.number);
                        }
                        noted
                    });
                    match noted {
                        Ok(is_repeated) => rows_repeated += usize::from(is_repeated),
                        Err(row) => rejected.push(row),
                    }
                }
                rejected.sort_by_key(|rejected| rejected.row);
                rejected.into_iter().for_each(|rejected| rejects.add(rejected));
                Ok(())
            },
        )
    });
    reading.map_err(|error| LoadError::of_table(file, error))?;
    load.request.progress.begins(Stage::Checking);
    load.check_parents(&layout, &found, &mut rejects);
    rejects.into_result(file, rows_read)?;
    for (member, values) in found.history.undated() {
        if let Some((_, member)) = found.members.get_mut(member) {
            member.attributes.clone_from(values);
        }
    }
    let report = LoadReport {
        file: file.into(),
        target: load.request.target.clone(),
        rows_read,
        rows_loaded: 0,
        members_added: 0,
        members_changed: 0,
        members_unchanged: 0,
        values_dated: 0,
        rows_repeated,
        rows_blank: 0,
        certificates: Vec::new(),
        unresolved: load.unresolved(&layout, &found),
    };
    load.finish(found, report)
}

impl Members<'_> {
    fn layout(&self) -> Result<Layout, FileProblem> {
        let (map, def) = (&self.map.map, &self.dimension.def);
        for sources in [&map.key, &map.dimensions, &map.measures] {
            if let Some((name, _)) = sources.first() {
                let message =
                    "the file holds members: [members] and [attributes] are what is mapped";
                return Err(self.map.problem(name, message));
            }
        }
        let Some(members) = map.members.as_ref().map(toml::Spanned::get_ref) else {
            let message = "the map has no [members], which says where the keys are";
            return Err(FileProblem::of_file(self.map.name, message));
        };
        let expression = |source| Expression::new(self.columns, self.map, source);
        let level = match &members.level {
            None => def.leaf_level(),
            Some(name) => Some(self.known(name, def.level(name.get_ref()))?),
        };
        let mut parents = Vec::new();
        for (name, source) in &members.parent {
            let hierarchy = self.known(name, def.hierarchy(name.get_ref()))?;
            if let Some(other) = &def.hierarchies[hierarchy.idx()].same_as {
                let message =
                    format!("hierarchy {:?} has the parents of {other:?}", name.get_ref());
                let hint = format!("map the parents of {other}");
                return Err(self.map.problem(name, message).with_hint(Some(hint)));
            }
            parents.push((hierarchy, expression(source)?));
        }
        let mut attributes = Vec::new();
        for (name, source) in &map.attributes {
            let id = self.known(name, def.attribute(name.get_ref()))?;
            let is_number = def.attributes[id.idx()].value_type.is_number();
            let source = match is_number {
                true => Expression::of_number(self.columns, self.map, source)?,
                false => expression(source)?,
            };
            attributes.push((id, source));
        }
        if let Some(valid_from) = members.valid_from.as_ref().filter(|_| attributes.is_empty()) {
            let message = "valid_from is of attributes, and the map has no [attributes]";
            return Err(self.map.problem(valid_from, message));
        }
        let name = members.name.as_ref().map(expression).transpose()?;
        let valid_from = members.valid_from.as_ref().map(expression).transpose()?;
        Ok(Layout { key: expression(&members.key)?, name, level, parents, attributes, valid_from })
    }

    fn known<T, N>(
        &self,
        name: &toml::Spanned<N>,
        found: Result<T, CubeError>,
    ) -> Result<T, FileProblem> {
        found.map_err(|error| {
            let message = format!("dimension {}: {error}", self.dimension.def.name);
            self.map.problem(name, message).with_hint(error.hint())
        })
    }

    /// One row's member, and the day from which its attributes hold.
    fn member(
        &self,
        layout: &Layout,
        row: &Row<'_>,
    ) -> Result<(MemberWrite, Option<i32>), RejectedRow> {
        let key = self.row_key(layout, row)?;
        let mut member = MemberWrite { key, level: layout.level, ..MemberWrite::default() };
        if let Some(name) = &layout.name {
            let name = evaluate(name, row, |text| self.name(layout.level, text))?;
            member.name = Some(name.unwrap_or_else(|| member.key.clone()));
        }
        for (hierarchy, source) in &layout.parents {
            let parent = evaluate(source, row, |text| self.parent_key(*hierarchy, text))?;
            member.parents.push((*hierarchy, parent));
        }
        for (attribute, source) in &layout.attributes {
            let value = evaluate(source, row, |text| self.attribute(*attribute, source, text))?;
            member.attributes.push((*attribute, value));
        }
        self.check_existing(layout, row, &member)?;
        let from = layout.valid_from.as_ref().map(|source| evaluate(source, row, first_day));
        Ok((member, from.transpose()?.flatten()))
    }

    fn row_key(&self, layout: &Layout, row: &Row<'_>) -> Result<String, RejectedRow> {
        evaluate(&layout.key, row, |text| self.key(layout.level, text))
    }

    fn key(&self, level: Option<LevelId>, text: &str) -> Result<String, String> {
        if text.is_empty() {
            return Err("a member needs a key".into());
        }
        let holds_facts = level == self.dimension.def.leaf_level();
        let key_type = if holds_facts { self.dimension.def.key_type } else { KeyType::Text };
        let key = key_type.canonical(text).map_err(|error| error.to_string())?;
        fits(key)
    }

    /// A name; in SQL it is a value of its level's column.
    fn name(&self, level: Option<LevelId>, text: &str) -> Result<Option<String>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(level) = level.filter(|&level| Some(level) != self.dimension.def.leaf_level()) {
            let def = &self.dimension.def.levels[level.idx()];
            if def.key_type != KeyType::Text && def.key_type.canonical(text).is_err() {
                return Err(format!("names of level {} are of type {}", def.name, def.key_type));
            }
        }
        fits(text.to_string()).map(Some)
    }

    /// A parent's key; whether there is such a member is seen when all rows are read.
    fn parent_key(&self, hierarchy: HierarchyId, text: &str) -> Result<Option<String>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let key_type = match self.dimension.def.hierarchies[hierarchy.idx()].kind {
            HierarchyKind::ParentChild if self.dimension.find(text).is_none() => {
                self.dimension.def.key_type
            }
            _ => KeyType::Text,
        };
        key_type.canonical(text).map(Some).map_err(|error| error.to_string())
    }

    fn attribute(
        &self,
        attribute: AttributeId,
        source: &Expression,
        text: &str,
    ) -> Result<Option<Scalar>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let def = &self.dimension.def.attributes[attribute.idx()];
        if let Some(of) = self.version.model.member_of(self.id, attribute) {
            let key = references::canonical_key(self.version.dimension(of), text)?;
            return Ok(Some(Scalar::Text(key.into())));
        }
        let is_weight =
            self.dimension.def.hierarchies.iter().any(|h| h.weight.as_ref() == Some(&def.name));
        if is_weight && def.value_type == ValueType::Text && !["+", "-", "~"].contains(&text) {
            return Err("an operator is +, - or ~".into());
        }
        let rounded = match source.round.and_then(|digits| Some((digits, Number::parse(text)?))) {
            Some((digits, number)) if number.scale > digits => {
                let mantissa = number.rescaled(digits, Rounding::HalfEven);
                Number::new(mantissa.map_err(|error| error.to_string())?, digits).to_string()
            }
            _ => text.to_string(),
        };
        let value = Scalar::parse(def.value_type, &rounded);
        value.map(Some).map_err(|error| error.to_string())
    }

    /// What the dimension already says of the member must go with what the file says.
    fn check_existing(
        &self,
        layout: &Layout,
        row: &Row<'_>,
        member: &MemberWrite,
    ) -> Result<(), RejectedRow> {
        let refuse = |reason: String| RejectedRow {
            row: row.number,
            column: layout.key.label.clone(),
            value: member.key.clone(),
            reason,
        };
        match self.dimension.find(&member.key) {
            Some(id) if self.dimension.level(id) != layout.level => {
                let level = self.level_name(self.dimension.level(id));
                Err(refuse(format!(
                    "the key is of a member of level {level} already; keys are unique within a dimension"
                )))
            }
            None if self.dimension.def.calendar.is_some() => {
                Err(refuse("the calendar has no such member; it makes its members itself".into()))
            }
            _ => Ok(()),
        }
    }

    fn level_name(&self, level: Option<LevelId>) -> &str {
        level.map_or("none", |level| self.dimension.def.levels[level.idx()].name.as_str())
    }

    /// Notes a row; whether the same stood in an earlier one.
    fn note(
        &self,
        layout: &Layout,
        found: &mut Found,
        row: usize,
        mut member: MemberWrite,
        from: Option<i32>,
    ) -> Result<bool, RejectedRow> {
        if layout.valid_from.is_none() {
            return Self::note_member(found, row, member);
        }
        let (key, values) = (member.key.clone(), std::mem::take(&mut member.attributes));
        Self::note_member(found, row, member)?;
        found.history.note(row, key, from, values)
    }

    fn note_member(
        found: &mut Found,
        row: usize,
        member: MemberWrite,
    ) -> Result<bool, RejectedRow> {
        match found.members.entry(member.key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert((row, member));
                Ok(false)
            }
            Entry::Occupied(entry) if entry.get().1 == member => Ok(true),
            Entry::Occupied(entry) => Err(RejectedRow {
                row,
                column: "key".into(),
                value: member.key,
                reason: format!("row {} says otherwise of the same member", entry.get().0),
            }),
        }
    }

    /// Parents are members that exist or stand in the file, on a level above.
    fn check_parents(&self, layout: &Layout, found: &Found, rejects: &mut Rejects) {
        let mut suggestions = Suggestions::default();
        for (row, member) in found.members.values() {
            for (position, (hierarchy, parent)) in member.parents.iter().enumerate() {
                let Some(parent) = parent else { continue };
                let level = match (found.members.get(parent), self.dimension.find(parent)) {
                    (Some((_, parent)), _) => Some(parent.level),
                    (None, Some(id)) => Some(self.dimension.level(id)),
                    (None, None) => None,
                };
                let reason = match level {
                    None if found.rejected.contains_key(parent) => {
                        let row = found.rejected[parent];
                        Some(format!("the parent's own row {row} cannot be placed"))
                    }
                    None => {
                        let others = found.members.keys().map(String::as_str);
                        Some(suggestions.unknown(self.dimension, parent, others))
                    }
                    Some(level) => self.not_above(*hierarchy, level, member.level, parent),
                };
                if let Some(reason) = reason {
                    let column = layout.parents[position].1.label.clone();
                    let (row, value) = (*row, parent.clone());
                    rejects.add(RejectedRow { row, column, value, reason });
                    break;
                }
            }
        }
    }

    /// Why a parent is not on a level above, if it is not.
    fn not_above(
        &self,
        hierarchy: HierarchyId,
        parent_level: Option<LevelId>,
        own_level: Option<LevelId>,
        parent: &str,
    ) -> Option<String> {
        let def = &self.dimension.def.hierarchies[hierarchy.idx()];
        if def.kind == HierarchyKind::ParentChild {
            return None;
        }
        let position = |level: Option<LevelId>| {
            let name = self.level_name(level);
            def.levels.iter().position(|level| level == name)
        };
        match (position(parent_level), position(own_level)) {
            (Some(above), Some(own)) if above < own => None,
            _ => Some(format!(
                "member {parent:?} is on level {}, which is not above {} in hierarchy {}",
                self.level_name(parent_level),
                self.level_name(own_level),
                def.name
            )),
        }
    }

    /// Per attribute that names members, how many values name none that is there or in the file.
    fn unresolved(&self, layout: &Layout, found: &Found) -> Vec<Unresolved> {
        let of_attribute = |(attribute, _): &(AttributeId, Expression)| {
            let of = self.version.model.member_of(self.id, *attribute)?;
            let values = found.members.values().flat_map(|(_, member)| &member.attributes);
            let values = values.filter(|(named, _)| named == attribute).map(|(_, v)| v.as_ref());
            let values: Vec<_> = match layout.valid_from {
                None => values.collect(),
                Some(_) => found.history.values_of(*attribute).collect(),
            };
            let keys = values.into_iter().filter_map(references::key_of);
            let missing = keys.filter(|key| {
                let is_in_file = of == self.id && found.members.contains_key(*key);
                !is_in_file && self.version.dimension(of).find(key).is_none()
            });
            let name = &self.dimension.def.attributes[attribute.idx()].name;
            references::unresolved(name, &self.version.dimension(of).def.name, missing)
        };
        layout.attributes.iter().filter_map(of_attribute).collect()
    }

    /// The change of what is new or different, tried on the dimension.
    fn finish(&self, found: Found, mut report: LoadReport) -> Result<LoadPlan, LoadError> {
        let (mut members, mut rows) = (Vec::new(), Vec::new());
        let dated = found.history.changes(self.dimension, self.id);
        let (dated, dated_rows): (Vec<_>, Vec<_>) = dated.into_iter().unzip();
        let changed = members_of(&dated);
        for (row, member) in found.members.values() {
            match self.dimension.find(&member.key) {
                None => report.members_added += 1,
                Some(id) if self.is_same(id, member) => {
                    let has_dated = changed.contains(member.key.as_str());
                    report.members_changed += usize::from(has_dated);
                    report.members_unchanged += usize::from(!has_dated);
                    continue;
                }
                Some(_) => report.members_changed += 1,
            }
            members.push(member.clone());
            rows.push(*row);
        }
        report.rows_loaded = members.len();
        let first_new = MemberId::from_idx(self.dimension.member_count());
        let write = MembersWrite { dimension: self.id, first_new, members };
        let with_dated = |tried: Dimension, dated| tried.with_dated(dated);
        let tried = self.dimension.with_members(&write);
        if let Err(error) = tried.and_then(|tried| dated.iter().try_fold(tried, with_dated)) {
            return Err(self.refused(&error, &found, report.rows_read));
        }
        report.values_dated = dated.iter().map(|write| write.values.len()).sum();
        let members = Some(write).filter(|write| !write.members.is_empty()).map(Change::Members);
        let members = members.into_iter().zip([rows]);
        let dated = dated.into_iter().map(Change::Dated).zip(dated_rows);
        let changes = with_source(members.chain(dated).collect(), &self.request.file)?;
        Ok(LoadPlan { changes, report })
    }

    fn is_same(&self, id: MemberId, member: &MemberWrite) -> bool {
        let parent = |hierarchy| self.dimension.parent(hierarchy, id);
        member.name.as_deref().is_none_or(|name| name == self.dimension.name(id))
            && member.parents.iter().all(|(hierarchy, key)| {
                parent(*hierarchy).map(|parent| self.dimension.key(parent)) == key.as_deref()
            })
            && member
                .attributes
                .iter()
                .all(|(attribute, value)| self.dimension.undated(*attribute, id) == value.as_ref())
    }

    /// An error of the dimension, at the row of the member it names.
    fn refused(&self, error: &CubeError, found: &Found, rows_read: usize) -> LoadError {
        let file = &self.request.file.name;
        if let CubeError::HierarchyCycle { member, .. } = error
            && let Some((row, _)) = found.members.get(member)
        {
            let mut rejects = Rejects::default();
            rejects.add(RejectedRow {
                row: *row,
                column: "key".into(),
                value: member.clone(),
                reason: error.to_string(),
            });
            if let Err(error) = rejects.into_result(file, rows_read) {
                return error;
            }
        }
        LoadError::new(file, error.to_string()).with_hint(error.hint())
    }
}

fn fits(text: String) -> Result<String, String> {
    let bytes_max = cube::limits::KEY_BYTES_MAX;
    if text.len() > bytes_max {
        return Err(format!("keys and names have at most {bytes_max} bytes"));
    }
    Ok(text)
}

/// What a source gives for a row, read by `read`; the rejection where it cannot be read.
pub(super) fn evaluate<T>(
    source: &Expression,
    row: &Row<'_>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, RejectedRow> {
    let raw = source.raw(row);
    let read = source.finish(&raw).and_then(|text| read(&text));
    read.map_err(|reason| rejected(row.number, source, &raw, reason))
}

/// A rejection at a source's columns.
pub(super) fn rejected(row: usize, source: &Expression, raw: &str, reason: String) -> RejectedRow {
    const SHOWN: usize = 80;
    let value = if raw.chars().count() > SHOWN {
        let start: String = raw.chars().take(SHOWN).collect();
        format!("{start}...")
    } else {
        raw.to_string()
    };
    RejectedRow { row, column: source.label.clone(), value, reason }
}
