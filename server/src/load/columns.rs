//! The columns at hand: those of the file and, beside them, those that lookups bring in.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use toml::Spanned;

use super::map::{Lookup, MapFile};
use super::table::{Fields, Table};
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
    header: Vec<String>,
    separator_hint: Option<String>,
    lookups: Vec<LookupTable<'a>>,
}

#[derive(Debug)]
struct LookupTable<'a> {
    name: &'a str,
    file: &'a str,
    header: Vec<String>,
    rows: Vec<Fields<'a>>,
    /// What is matched: the columns at hand.
    keys: Vec<Column>,
    /// Values of the matched columns to the row that has them; none where several have.
    index: HashMap<Vec<Cow<'a, str>>, Option<usize>>,
}

/// One row with what lookups found for it.
pub(super) struct Row<'r, 'a> {
    /// Its number in the file.
    pub number: usize,
    fields: &'r [Cow<'a, str>],
    found: Vec<Option<usize>>,
    columns: &'r Columns<'a>,
}

impl<'a> Columns<'a> {
    /// The columns of a table and of the files its map looks up.
    pub fn open(
        table: &Table<'a>,
        map: &'a MapFile<'a>,
        lookups: &'a BTreeMap<String, String>,
    ) -> Result<Self, FileProblem> {
        let mut columns = Self {
            map,
            header: table.header.clone(),
            separator_hint: table.separator_hint(),
            lookups: Vec::new(),
        };
        for (name, lookup) in &map.map.lookups {
            let text = lookups.get(lookup.file.get_ref()).ok_or_else(|| {
                let message = format!("{} was not given with the file", lookup.file.get_ref());
                map.problem(&lookup.file, message)
            })?;
            let opened = columns.lookup(name.get_ref(), lookup, text)?;
            columns.lookups.push(opened);
        }
        Ok(columns)
    }

    fn lookup(
        &self,
        name: &'a str,
        lookup: &'a Lookup,
        text: &'a str,
    ) -> Result<LookupTable<'a>, FileProblem> {
        let file = lookup.file.get_ref();
        let fault = |message: String| self.map.problem(&lookup.file, format!("{file}: {message}"));
        let mut table = Table::open(text).map_err(|error| fault(error.message))?;
        let mut own = Vec::new();
        let mut keys = Vec::new();
        for (its, at_hand) in &lookup.matches {
            own.push(self.position(&table.header, its.get_ref(), its, file)?);
            keys.push(self.resolve(at_hand.get_ref(), at_hand)?);
        }
        let mut rows = Vec::new();
        let mut index = HashMap::new();
        let mut fields = Vec::new();
        while let Some(number) = table.read(&mut fields).map_err(|error| fault(error.message))? {
            if fields.len() != table.header.len() {
                let (count, columns) = (fields.len(), table.header.len());
                return Err(fault(format!("row {number} has {count} fields, not {columns}")));
            }
            let key: Vec<Cow<'a, str>> = own.iter().map(|&at| fields[at].clone()).collect();
            let place = rows.len();
            index.entry(key).and_modify(|row| *row = None).or_insert(Some(place));
            rows.push(std::mem::take(&mut fields));
        }
        Ok(LookupTable { name, file, header: table.header, rows, keys, index })
    }

    /// The column of a name: `COLUMN` of the file, or `lookup.COLUMN`.
    pub fn resolve<T>(&self, name: &str, at: &Spanned<T>) -> Result<Column, FileProblem> {
        if let Some((prefix, column)) = name.split_once('.')
            && let Some(lookup) = self.lookups.iter().position(|lookup| lookup.name == prefix)
        {
            let table = &self.lookups[lookup];
            let position = self.position(&table.header, column, at, table.file)?;
            return Ok(Column::Looked(lookup, position));
        }
        self.position(&self.header, name, at, "the file").map(Column::Own)
    }

    fn position<T>(
        &self,
        header: &[String],
        name: &str,
        at: &Spanned<T>,
        file: &str,
    ) -> Result<usize, FileProblem> {
        let mut found = header.iter().enumerate().filter(|(_, column)| *column == name);
        match (found.next(), found.next()) {
            (Some((position, _)), None) => Ok(position),
            (Some(_), Some(_)) => {
                Err(self.map.problem(at, format!("{file} has several columns {name:?}")))
            }
            (None, _) => {
                let nearest = cube::error::nearest(name, header.iter().map(String::as_str));
                let hint = match (&self.separator_hint, nearest.is_empty()) {
                    (Some(hint), _) => hint.clone(),
                    (None, false) => format!("did you mean {}?", nearest.join(", ")),
                    (None, true) => format!("its columns are {}", some_of(header)),
                };
                let problem = self.map.problem(at, format!("{file} has no column {name:?}"));
                Err(problem.with_hint(Some(hint)))
            }
        }
    }

    /// A row with what lookups find for it, or the reason why they find too much.
    pub fn row<'r>(
        &'r self,
        number: usize,
        fields: &'r [Cow<'a, str>],
    ) -> Result<Row<'r, 'a>, (String, String)> {
        let mut row = Row { number, fields, found: Vec::new(), columns: self };
        for lookup in &self.lookups {
            let key: Vec<Cow<'_, str>> =
                lookup.keys.iter().map(|&column| Cow::Borrowed(row.get(column))).collect();
            let is_blank = key.iter().any(|part| part.is_empty());
            let found = match lookup.index.get(key.as_slice()) {
                _ if is_blank => None,
                Some(None) => {
                    let reason = format!("several rows of {} match {}", lookup.file, lookup.name);
                    return Err((key.join(", "), reason));
                }
                Some(found) => *found,
                None => None,
            };
            row.found.push(found);
        }
        Ok(row)
    }

    /// The number of columns of the file.
    pub fn own_count(&self) -> usize {
        self.header.len()
    }

    /// The name of a column, for people.
    pub fn name(&self, column: Column) -> String {
        match column {
            Column::Own(position) => self.header[position].clone(),
            Column::Looked(lookup, position) => {
                let lookup = &self.lookups[lookup];
                format!("{}.{}", lookup.name, lookup.header[position])
            }
        }
    }
}

impl Row<'_, '_> {
    /// The text of a column; empty where a lookup found no row.
    pub fn get(&self, column: Column) -> &str {
        match column {
            Column::Own(position) => self.fields.get(position).map_or("", AsRef::as_ref),
            Column::Looked(lookup, position) => {
                let Some(Some(row)) = self.found.get(lookup) else { return "" };
                &self.columns.lookups[lookup].rows[*row][position]
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
