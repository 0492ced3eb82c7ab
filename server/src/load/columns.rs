//! The columns at hand: those of the file and, beside them, those that lookups bring in.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use toml::Spanned;

use super::block::Block;
use super::file::LoadFile;
use super::map::{Lookup, MapFile};
use super::progress::Unwatched;
use super::report::RejectedRow;
use super::table::{Header, Kind, Table, TableError};
use crate::model_files::FileProblem;

/// One column at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Of the file, by position.
    Own(usize),
    /// Of a lookup, by the lookup's position and its own.
    Looked(usize, usize),
}

/// The columns at hand and the rows that lookups find.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    map: &'a MapFile<'a>,
    header: Header,
    lookups: Vec<LookupTable<'a>>,
}

#[derive(Debug)]
struct LookupTable<'a> {
    name: &'a str,
    file: &'a str,
    header: Header,
    blocks: Vec<Block>,
    /// What is matched: the columns at hand.
    keys: Vec<Column>,
    /// Values of the matched columns to the row that has them; none where several have.
    index: HashMap<Vec<Cow<'static, str>>, Option<Place>>,
}

/// A row of a lookup's file.
#[derive(Debug, Clone, Copy)]
struct Place {
    block: usize,
    row: usize,
}

/// One row with what lookups found for it.
pub(super) struct Row<'r> {
    /// Its number in the file.
    pub number: usize,
    block: &'r Block,
    row: usize,
    found: Vec<Option<Place>>,
    columns: &'r Columns<'r>,
}

impl<'a> Columns<'a> {
    /// The columns of a table and of the files its map looks up.
    pub fn open(
        header: &Header,
        map: &'a MapFile<'a>,
        lookups: &'a BTreeMap<String, LoadFile>,
    ) -> Result<Self, FileProblem> {
        let mut columns = Self { map, header: header.clone(), lookups: Vec::new() };
        for (name, lookup) in &map.map.lookups {
            let file = lookups.get(lookup.file.get_ref()).ok_or_else(|| {
                let message = format!("{} was not given with the file", lookup.file.get_ref());
                map.problem(&lookup.file, message)
            })?;
            let opened = columns.lookup(name.get_ref(), lookup, file)?;
            columns.lookups.push(opened);
        }
        Ok(columns)
    }

    fn lookup(
        &self,
        name: &'a str,
        lookup: &'a Lookup,
        source: &LoadFile,
    ) -> Result<LookupTable<'a>, FileProblem> {
        let file = lookup.file.get_ref();
        let fault = |error: TableError| {
            let problem = self.map.problem(&lookup.file, format!("{file}: {}", error.message));
            problem.with_hint(error.hint)
        };
        let mut table = Table::open(source).map_err(fault)?;
        let mut own = Vec::new();
        let mut keys = Vec::new();
        for (its, at_hand) in &lookup.matches {
            let position = self.position(&table.header, its.get_ref(), its, file)?;
            self.check_value(&table.header, position, its)?;
            self.check_exact_in(&table.header, position, its)?;
            own.push(position);
            let column = self.resolve(at_hand.get_ref(), at_hand)?;
            self.check_exact(column, at_hand)?;
            keys.push(column);
        }
        let values = table.header.kinds.iter().enumerate();
        let values = values.filter(|(_, kind)| !matches!(kind, Kind::NoValue(_)));
        let values: Vec<usize> = values.map(|(position, _)| position).collect();
        table.select(values).map_err(fault)?;
        let (mut blocks, mut index) = (Vec::new(), HashMap::new());
        let column_count = table.header.names.len();
        let reading = table.read(
            &Unwatched,
            |_| (),
            |read, (), _| {
                if let Some((number, count)) = read.ragged.first() {
                    let message = format!("row {number} has {count} fields, not {column_count}");
                    return Err(TableError::new(message));
                }
                for row in 0..read.row_count() {
                    let key = own.iter().map(|&at| Cow::Owned(read.field(row, at).to_string()));
                    let place = Place { block: blocks.len(), row };
                    index.entry(key.collect()).and_modify(|row| *row = None).or_insert(Some(place));
                }
                blocks.push(read);
                Ok(())
            },
        );
        reading.map_err(fault)?;
        Ok(LookupTable { name, file, header: table.header, blocks, keys, index })
    }

    /// The column of a name: `COLUMN` of the file, or `lookup.COLUMN`.
    pub fn resolve<T>(&self, name: &str, at: &Spanned<T>) -> Result<Column, FileProblem> {
        if let Some((prefix, column)) = name.split_once('.')
            && let Some(lookup) = self.lookups.iter().position(|lookup| lookup.name == prefix)
        {
            let table = &self.lookups[lookup];
            let position = self.position(&table.header, column, at, table.file)?;
            self.check_value(&table.header, position, at)?;
            return Ok(Column::Looked(lookup, position));
        }
        let position = self.position(&self.header, name, at, "the file")?;
        self.check_value(&self.header, position, at)?;
        Ok(Column::Own(position))
    }

    /// Refuses a column that holds no values of rows.
    fn check_value<T>(
        &self,
        header: &Header,
        position: usize,
        at: &Spanned<T>,
    ) -> Result<(), FileProblem> {
        let Kind::NoValue(what) = &header.kinds[position] else { return Ok(()) };
        let message = format!("column {:?} holds {what}", header.names[position]);
        let hint = "a column holds one number, text, day or truth a row; write what is needed of \
                    it as columns of their own";
        Err(self.map.problem(at, message).with_hint(Some(hint.into())))
    }

    /// Refuses a column of floats where texts must be exact.
    pub fn check_exact<T>(&self, column: Column, at: &Spanned<T>) -> Result<(), FileProblem> {
        match column {
            Column::Own(position) => self.check_exact_in(&self.header, position, at),
            Column::Looked(lookup, position) => {
                self.check_exact_in(&self.lookups[lookup].header, position, at)
            }
        }
    }

    fn check_exact_in<T>(
        &self,
        header: &Header,
        position: usize,
        at: &Spanned<T>,
    ) -> Result<(), FileProblem> {
        let Kind::Float(what) = &header.kinds[position] else { return Ok(()) };
        let name = &header.names[position];
        let message = format!("column {name:?} holds {what} values, which are not exact");
        let hint = format!(
            "a measure or attribute takes them with the digits that are meant, as in \
             {{ column = {name:?}, round = 2 }}; keys, days and texts are to be written as such"
        );
        Err(self.map.problem(at, message).with_hint(Some(hint)))
    }

    /// The columns of the file that some columns at hand and all lookups need.
    pub fn used(&self, columns: impl IntoIterator<Item = Column>) -> Vec<usize> {
        let keys = self.lookups.iter().flat_map(|lookup| lookup.keys.iter().copied());
        let own = |column| match column {
            Column::Own(position) => Some(position),
            Column::Looked(..) => None,
        };
        columns.into_iter().chain(keys).filter_map(own).collect()
    }

    fn position<T>(
        &self,
        header: &Header,
        name: &str,
        at: &Spanned<T>,
        file: &str,
    ) -> Result<usize, FileProblem> {
        let mut found = header.names.iter().enumerate().filter(|(_, column)| *column == name);
        match (found.next(), found.next()) {
            (Some((position, _)), None) => Ok(position),
            (Some(_), Some(_)) => {
                Err(self.map.problem(at, format!("{file} has several columns {name:?}")))
            }
            (None, _) => {
                let nearest = cube::error::nearest(name, header.names.iter().map(String::as_str));
                let hint = match (header.separator_hint(), nearest.is_empty()) {
                    (Some(hint), _) => hint,
                    (None, false) => format!("did you mean {}?", nearest.join(", ")),
                    (None, true) => format!("its columns are {}", some_of(&header.names)),
                };
                let problem = self.map.problem(at, format!("{file} has no column {name:?}"));
                Err(problem.with_hint(Some(hint)))
            }
        }
    }

    /// A row with what lookups find for it, or the reason why they find too much.
    pub fn row<'r>(&'r self, block: &'r Block, row: usize) -> Result<Row<'r>, RejectedRow> {
        let number = block.number(row);
        let mut row = Row { number, block, row, found: Vec::new(), columns: self };
        for lookup in &self.lookups {
            let key: Vec<Cow<'_, str>> =
                lookup.keys.iter().map(|&column| Cow::Borrowed(row.get(column))).collect();
            let is_blank = key.iter().any(|part| part.is_empty());
            let index: &HashMap<Vec<Cow<'_, str>>, _> = &lookup.index;
            let found = match index.get(key.as_slice()) {
                _ if is_blank => None,
                Some(None) => {
                    let reason = format!("several rows of {} match {}", lookup.file, lookup.name);
                    let (column, value) = (String::new(), key.join(", "));
                    return Err(RejectedRow { row: number, column, value, reason });
                }
                Some(found) => *found,
                None => None,
            };
            row.found.push(found);
        }
        Ok(row)
    }

    /// Why a row with another number of fields is refused.
    pub fn ragged(&self, (row, fields): (usize, usize)) -> RejectedRow {
        let columns = self.header.names.len();
        let reason = format!("the row has {fields} fields where the header has {columns}");
        RejectedRow { row, column: String::new(), value: String::new(), reason }
    }

    /// The name of a column, for people.
    pub fn name(&self, column: Column) -> String {
        match column {
            Column::Own(position) => self.header.names[position].clone(),
            Column::Looked(lookup, position) => {
                let lookup = &self.lookups[lookup];
                format!("{}.{}", lookup.name, lookup.header.names[position])
            }
        }
    }
}

impl Row<'_> {
    /// The text of a column; empty where a lookup found no row.
    pub fn get(&self, column: Column) -> &str {
        match column {
            Column::Own(position) => self.block.field(self.row, position),
            Column::Looked(lookup, position) => {
                let Some(Some(place)) = self.found.get(lookup) else { return "" };
                self.columns.lookups[lookup].blocks[place.block].field(place.row, position)
            }
        }
    }
}

/// The first names of a list.
pub(super) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, ...") } else { shown }
}
