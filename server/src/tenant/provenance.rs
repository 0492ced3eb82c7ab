//! Who wrote what: a tenant's ledger, read backwards for the writes of some cells, rows and members.
//!
//! The ledger is read in windows, the newest first, each larger than the one before; within a window
//! forwards. It ends where everything asked for was found as often as wanted. In memory are the
//! writes found and one entry.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use cube::change::{DatedWrite, MemberWrite, MembersWrite, RowsAction, RowsWrite, SourceNote};
use cube::model::{Cube, ModelChange};
use cube::value::{KeyPart, format_date};
use cube::{AttributeId, Change, CubeId, DimensionId, MeasureId, MemberId, ValueType, Version};
use protocol::provenance::{
    Asked, MemberPart, ProvenanceRequest, RowPart, WriteAction, WriteRecord,
};
use storage::entry::Entry;
use storage::{Device, LedgerReader, Record, Sequence};

use crate::error::{Result, ServerError};
use crate::limits::{PROVENANCE_ASKED_MAX, PROVENANCE_WRITES_MAX};
use crate::tenant::replay::{Recorded, readable};

/// Entries in the first window; each further one is larger by [`WINDOW_GROWTH`].
const WINDOW_ENTRIES: u64 = 256;
const WINDOW_GROWTH: u64 = 8;

/// The newest writes of each thing asked about, newest first, among the entries of its lineage:
/// other branches give the same ids to other members.
///
/// # Errors
/// A ledger that cannot be read, and limits.
pub fn writes_of(
    device: &Arc<dyn Device>,
    request: &ProvenanceRequest,
) -> Result<Vec<Vec<WriteRecord>>> {
    if request.asked.len() > PROVENANCE_ASKED_MAX {
        return Err(ServerError::Limit { what: "things asked about", limit: PROVENANCE_ASKED_MAX });
    }
    let limit = request.limit.min(PROVENANCE_WRITES_MAX);
    let mut found: Vec<Vec<WriteRecord>> = vec![Vec::new(); request.asked.len()];
    let (mut last, mut window) = (request.lineage.sequence, WINDOW_ENTRIES);
    let mut widths = Widths::new(&request.version, &request.asked);
    while last > 0 && found.iter().any(|writes| writes.len() < limit) {
        let first = last.saturating_sub(window - 1).max(1);
        let each = |with: &mut dyn FnMut(&Record) -> Result<()>| {
            let reader = LedgerReader::open(Arc::clone(device))?.starting_at(Sequence(first))?;
            for record in reader.ending_at(Sequence(last)) {
                let record = record?;
                if request.lineage.holds(record.content.branch, record.id.sequence.0) {
                    with(&record)?;
                }
            }
            Ok::<(), ServerError>(())
        };
        if widths.may_differ() {
            each(&mut |record| widths.before(record))?;
        }
        let mut search = Search::new(&request.version, &request.asked, limit);
        search.widths = widths.clone();
        each(&mut |record| search.record(record))?;
        for (writes, newer) in search.found.into_iter().zip(&mut found) {
            let missing = limit - newer.len();
            newer.extend(writes.into_iter().rev().take(missing));
        }
        (last, window) = (first - 1, window.saturating_mul(WINDOW_GROWTH));
    }
    Ok(found)
}

/// What is looked for, by where it may be written; the numbers are positions in the request.
struct Search<'a> {
    version: &'a Version,
    asked: &'a [Asked],
    limit: usize,
    cells: HashMap<CubeId, HashMap<&'a [MemberId], Vec<usize>>>,
    rows: HashMap<CubeId, HashMap<&'a [KeyPart], Vec<usize>>>,
    members: HashMap<DimensionId, HashMap<&'a str, Vec<usize>>>,
    formulas: HashMap<&'a str, Vec<usize>>,
    widths: Widths,
    /// The newest writes of each, oldest first.
    found: Vec<VecDeque<WriteRecord>>,
}

/// A change's rows, the texts that their values name by position, and how many members each row has.
struct TextRows<'a> {
    write: &'a RowsWrite,
    texts: &'a [Arc<str>],
    width: usize,
}

/// How many dimensions cubes had at a place of the ledger, of those that are asked about and have got more
/// since they were made.
#[derive(Debug, Clone, Default)]
struct Widths(HashMap<String, usize>);

impl Widths {
    /// As they are now.
    fn new(version: &Version, asked: &[Asked]) -> Self {
        let cubes = asked.iter().filter_map(|asked| match asked {
            Asked::Cell { cube, .. } | Asked::Row { cube, .. } => {
                version.model.cubes.get(cube.idx())
            }
            Asked::Member { .. } | Asked::Formula { .. } => None,
        });
        let widened = cubes.filter(|cube| !cube.later.is_empty());
        Self(widened.map(|cube| (cube.def.name.clone(), cube.dimensions.len())).collect())
    }

    fn may_differ(&self) -> bool {
        !self.0.is_empty()
    }

    /// Goes back over a record.
    fn before(&mut self, record: &Record) -> Result<()> {
        for change in changes_of(record)?.map_or_else(Vec::new, |entry| entry.changes) {
            if let Change::Model(ModelChange::AddCubeDimension { cube, .. }) = change
                && let Some(width) = self.0.get_mut(&cube)
            {
                *width -= 1;
            }
        }
        Ok(())
    }

    /// Goes on over a change of the model.
    fn after(&mut self, change: &ModelChange) {
        if let ModelChange::AddCubeDimension { cube, .. } = change
            && let Some(width) = self.0.get_mut(cube)
        {
            *width += 1;
        }
    }

    /// How many a cube has.
    fn of(&self, cube: &Cube) -> usize {
        self.0.get(&cube.def.name).copied().unwrap_or(cube.dimensions.len())
    }
}

/// An entry's write of one thing, as far as it is the same for all that the entry writes.
struct Written<'a> {
    record: &'a Record,
    note: Option<&'a SourceNote>,
    /// Position among the rows or members of the change.
    position: usize,
    action: WriteAction,
}

impl<'a> Search<'a> {
    fn new(version: &'a Version, asked: &'a [Asked], limit: usize) -> Self {
        let mut search = Self {
            version,
            asked,
            limit,
            cells: HashMap::new(),
            rows: HashMap::new(),
            members: HashMap::new(),
            formulas: HashMap::new(),
            widths: Widths::default(),
            found: vec![VecDeque::new(); asked.len()],
        };
        for (number, asked) in asked.iter().enumerate() {
            match asked {
                Asked::Cell { cube, coordinate, .. } => {
                    index(&mut search.cells, *cube, coordinate.as_slice(), number);
                }
                Asked::Row { cube, key, .. } => {
                    index(&mut search.rows, *cube, key.as_slice(), number);
                }
                Asked::Member { dimension, key, .. } => {
                    index(&mut search.members, *dimension, key.as_str(), number);
                }
                Asked::Formula { target } => {
                    search.formulas.entry(target.as_str()).or_default().push(number);
                }
            }
        }
        search
    }

    fn record(&mut self, record: &Record) -> Result<()> {
        let Some(entry) = changes_of(record)? else { return Ok(()) };
        let note_of = |position: usize| {
            entry.changes.iter().find_map(|change| match change {
                Change::Source(note) if note.change as usize == position => Some(note),
                _ => None,
            })
        };
        let mut texts: &[Arc<str>] = &[];
        for (position, change) in entry.changes.iter().enumerate() {
            let note = note_of(position);
            match change {
                Change::Rows(write) => {
                    let cube = self.version.model.cubes.get(write.cube.idx());
                    let width = cube.map_or(0, |cube| self.widths.of(cube));
                    self.rows(record, note, &TextRows { write, texts, width });
                }
                Change::Members(write) => self.members(record, note, write),
                Change::Dated(write) => self.dated(record, note, write),
                Change::Model(change) => {
                    self.widths.after(change);
                    self.model(record, change);
                }
                Change::Source(_) => {}
                Change::Texts(table) => texts = table,
            }
        }
        Ok(())
    }

    /// The writes of cells and rows in one change.
    fn rows(&mut self, record: &Record, note: Option<&SourceNote>, rows: &TextRows<'_>) {
        let write = rows.write;
        let Some(cube) = self.version.model.cubes.get(write.cube.idx()) else { return };
        let key_width = cube.def.key.len();
        let mut hits = Vec::new();
        if key_width == 0 {
            let Some(wanted) = self.cells.get(&write.cube) else { return };
            let members = write.coordinates.chunks(rows.width.max(1));
            let origins = &self.version.origins(write.cube)[rows.width..];
            if origins.is_empty() {
                hits_of(wanted, members, &mut hits);
            } else if let Some(origin) = origins.iter().copied().collect::<Option<Vec<_>>>() {
                // the cube has got dimensions since
                let members: Vec<Vec<MemberId>> =
                    members.map(|row| [row, &origin].concat()).collect();
                hits_of(wanted, members.iter().map(Vec::as_slice), &mut hits);
            }
        } else {
            let Some(wanted) = self.rows.get(&write.cube) else { return };
            hits_of(wanted, write.keys.chunks(key_width), &mut hits);
        }
        let action = match write.action {
            RowsAction::Set => WriteAction::Set,
            RowsAction::Remove => WriteAction::Remove,
        };
        for (position, number) in hits {
            if let Some(values) = self.values_of_row(rows, position, number) {
                self.found(number, Written { record, note, position, action }, values);
            }
        }
    }

    /// What a row of a write says of the thing asked about; none where it says nothing.
    fn values_of_row(
        &self,
        rows: &TextRows<'_>,
        position: usize,
        number: usize,
    ) -> Option<Vec<(String, Option<String>)>> {
        let write = rows.write;
        let part = match &self.asked[number] {
            Asked::Cell { measure, .. } => RowPart::Measure(*measure),
            Asked::Row { part, .. } => *part,
            _ => return None,
        };
        if write.action == RowsAction::Remove {
            return Some(Vec::new());
        }
        let width = write.measures.len();
        let value = |column: usize| {
            let at = position * width + column;
            (at < write.values.len()).then(|| write.values.get(at)).flatten()
        };
        let named = |column: usize| self.value(rows, write.measures[column], value(column));
        match part {
            RowPart::Measure(measure) => {
                let column = write.measures.iter().position(|&written| written == measure)?;
                Some(vec![named(column)])
            }
            RowPart::Member(at) => {
                let member = self.members_of_row(rows, position).into_iter().nth(at)?;
                Some(vec![member])
            }
            RowPart::Whole => {
                let members = self.members_of_row(rows, position);
                Some(members.into_iter().chain((0..width).map(named)).collect())
            }
        }
    }

    fn value(
        &self,
        rows: &TextRows<'_>,
        measure: MeasureId,
        value: Option<i64>,
    ) -> (String, Option<String>) {
        let def = self.version.model.cube_def(rows.write.cube).measure_def(measure);
        let text = |value: i64| match def.value_type {
            ValueType::Text => {
                let text = usize::try_from(value).ok().and_then(|at| rows.texts.get(at));
                text.map(ToString::to_string)
            }
            other => Some(other.format(value)),
        };
        (def.name.clone(), value.and_then(text))
    }

    /// The members that a row is written at.
    fn members_of_row(
        &self,
        rows: &TextRows<'_>,
        position: usize,
    ) -> Vec<(String, Option<String>)> {
        let dimensions = &self.version.model.cube_def(rows.write.cube).dimensions;
        let members = rows.write.coordinates.chunks(rows.width.max(1)).nth(position);
        let named = |(&id, &member): (&DimensionId, &MemberId)| {
            let dimension = self.version.dimension(id);
            (dimension.def.name.clone(), Some(dimension.key(member).to_owned()))
        };
        dimensions.iter().zip(members.unwrap_or_default()).map(named).collect()
    }

    /// The writes of members in one change.
    fn members(&mut self, record: &Record, note: Option<&SourceNote>, write: &MembersWrite) {
        let Some(wanted) = self.members.get(&write.dimension) else { return };
        let mut hits = Vec::new();
        hits_of(wanted, write.members.iter().map(|member| member.key.as_str()), &mut hits);
        for (position, number) in hits {
            let member = &write.members[position];
            if let Some(values) = self.values_of_member(write.dimension, member, number) {
                let action = WriteAction::Set;
                self.found(number, Written { record, note, position, action }, values);
            }
        }
    }

    fn values_of_member(
        &self,
        dimension: DimensionId,
        member: &MemberWrite,
        number: usize,
    ) -> Option<Vec<(String, Option<String>)>> {
        let Asked::Member { part, .. } = &self.asked[number] else { return None };
        let def = &self.version.model.dimension_def(dimension);
        let wants = |id: &AttributeId| match part {
            MemberPart::Whole => true,
            MemberPart::Undated(wanted) => wanted == id,
            MemberPart::Dated(..) | MemberPart::Parent(_) => false,
        };
        let attributes = member.attributes.iter().filter(|(id, _)| wants(id));
        let attributes = attributes.filter_map(|(id, value)| {
            let attribute = def.attributes.get(id.idx())?;
            let text = value.as_ref().map(|value| value.format(attribute.value_type));
            Some((attribute.name.clone(), text))
        });
        let name = member.name.iter().filter(|_| *part == MemberPart::Whole);
        let name = name.map(|name| ("name".to_owned(), Some(name.clone())));
        let parents = member.parents.iter().filter(|(hierarchy, _)| match part {
            MemberPart::Whole => true,
            MemberPart::Parent(wanted) => wanted == hierarchy,
            MemberPart::Undated(_) | MemberPart::Dated(..) => false,
        });
        let parents = parents.filter_map(|(hierarchy, parent)| {
            let hierarchy = def.hierarchies.get(hierarchy.idx())?;
            Some((format!("parent in {}", hierarchy.name), parent.clone()))
        });
        let values: Vec<_> = name.chain(parents).chain(attributes).collect();
        // a write of the whole member may say that it is there, and nothing else
        (*part == MemberPart::Whole || !values.is_empty()).then_some(values)
    }

    /// The writes of values that hold from a day on.
    fn dated(&mut self, record: &Record, note: Option<&SourceNote>, write: &DatedWrite) {
        let Some(wanted) = self.members.get(&write.dimension) else { return };
        let mut hits = Vec::new();
        hits_of(wanted, write.values.iter().map(|dated| dated.member.as_str()), &mut hits);
        let attributes = &self.version.model.dimension_def(write.dimension).attributes;
        let Some(def) = attributes.get(write.attribute.idx()) else { return };
        let action = WriteAction::Set;
        for (position, number) in hits {
            let Asked::Member { part, .. } = &self.asked[number] else { continue };
            let dated = &write.values[position];
            let is_asked = match *part {
                MemberPart::Whole => true,
                MemberPart::Dated(wanted, from) => {
                    (wanted, from) == (write.attribute, dated.valid_from)
                }
                MemberPart::Undated(_) | MemberPart::Parent(_) => false,
            };
            if !is_asked {
                continue;
            }
            let name = format!("{} from {}", def.name, format_date(dated.valid_from));
            let value = dated.value.as_ref().map(|value| value.format(def.value_type));
            let at = Written { record, note, position, action };
            self.found(number, at, vec![(name, value)]);
        }
    }

    /// The writes of formulas.
    fn model(&mut self, record: &Record, change: &ModelChange) {
        let (target, action, text) = match change {
            ModelChange::SetFormula(formula) => {
                (&formula.target, WriteAction::Set, Some(formula.text.clone()))
            }
            ModelChange::RemoveFormula { target } => (target, WriteAction::Remove, None),
            _ => return,
        };
        let numbers = self.formulas.get(target.as_str()).cloned().unwrap_or_default();
        for number in numbers {
            let values = text.iter().map(|text| ("text".to_owned(), Some(text.clone()))).collect();
            self.found(number, Written { record, note: None, position: 0, action }, values);
        }
    }

    /// Keeps a write, and of all the newest only.
    fn found(&mut self, number: usize, at: Written<'_>, values: Vec<(String, Option<String>)>) {
        let content = &at.record.content;
        let writes = &mut self.found[number];
        if writes.len() >= self.limit {
            writes.pop_front();
        }
        writes.push_back(WriteRecord {
            sequence: at.record.id.sequence.0,
            time_us: content.time_us,
            author: content.author.clone(),
            origin: content.origin.clone(),
            file: at.note.map(|note| note.file.clone()),
            source_row: at.note.and_then(|note| note.row(at.position as u64)),
            action: at.action,
            values,
        });
    }
}

/// The changes of a record; none where it is about a branch.
fn changes_of(record: &Record) -> Result<Option<Entry>> {
    let sequence = record.id.sequence.0;
    match readable(record) {
        Ok(Recorded::Changes(entry)) => Ok(Some(entry)),
        Ok(_) => Ok(None),
        Err(reason) => Err(ServerError::Replay { sequence, reason: Box::new(reason) }),
    }
}

/// Notes that a number of the request is about a key.
fn index<I: Eq + Hash, K: Eq + Hash>(
    map: &mut HashMap<I, HashMap<K, Vec<usize>>>,
    id: I,
    key: K,
    number: usize,
) {
    map.entry(id).or_default().entry(key).or_default().push(number);
}

/// Which of the keys that a change writes are asked about: positions of keys with numbers of the
/// request.
fn hits_of<K: Eq + Hash>(
    wanted: &HashMap<K, Vec<usize>>,
    keys: impl Iterator<Item = K>,
    hits: &mut Vec<(usize, usize)>,
) {
    for (position, key) in keys.enumerate() {
        let numbers = wanted.get(&key).into_iter().flatten();
        hits.extend(numbers.map(|&number| (position, number)));
    }
}

#[cfg(test)]
mod tests;
