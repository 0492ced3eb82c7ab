//! Some rows of a file as texts: every field is a range of one buffer, so that rows cost no
//! allocation, whatever kind of file they come from. Numbers that the file holds as such are at hand
//! beside, and become texts when they are asked for.

use std::sync::Arc;

use super::numbers::Numbers;

/// Which columns of a file are read. The others take no room in blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selected {
    /// Per column of the file, its place among those that are read.
    places: Vec<Option<usize>>,
    count: usize,
}

impl Selected {
    /// Some of a number of columns.
    pub fn new(column_count: usize, used: impl IntoIterator<Item = usize>) -> Self {
        let mut places = vec![None; column_count];
        used.into_iter().for_each(|position| places[position] = Some(0));
        let mut count = 0;
        for place in places.iter_mut().flatten() {
            *place = count;
            count += 1;
        }
        Self { places, count }
    }

    /// Number of columns of the file.
    pub fn column_count(&self) -> usize {
        self.places.len()
    }

    /// The columns that are read, in the file's order.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        let places = self.places.iter().enumerate();
        places.filter(|(_, place)| place.is_some()).map(|(position, _)| position)
    }
}

/// A range of a block's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub length: u32,
}

/// Rows of a file.
#[derive(Debug)]
pub(super) struct Block {
    text: String,
    spans: Vec<Span>,
    /// Per place, what the file holds as numbers; such a place has no ranges. Empty where none does.
    numbers: Vec<Option<Numbers>>,
    selected: Arc<Selected>,
    /// Per row, its number in the file.
    row_numbers: Vec<usize>,
    /// Rows with more or fewer fields than there are columns: their number and how many.
    pub ragged: Vec<(usize, usize)>,
}

impl Block {
    /// The rows of some numbers with no fields yet.
    pub fn of_rows(selected: Arc<Selected>, numbers: Vec<usize>) -> Self {
        let spans = vec![Span::default(); numbers.len() * selected.count];
        let (text, ragged) = (String::new(), Vec::new());
        Self { text, spans, numbers: Vec::new(), selected, row_numbers: numbers, ragged }
    }

    /// Number of rows that have their fields.
    pub fn row_count(&self) -> usize {
        self.row_numbers.len()
    }

    /// The number of a row in the file.
    pub fn number(&self, row: usize) -> usize {
        self.row_numbers[row]
    }

    /// A field by its row and the column of the file; empty where that was not selected.
    #[inline]
    pub fn field(&self, row: usize, column: usize) -> &str {
        let Some(place) = self.selected.places[column] else { return "" };
        if let Some(Some(numbers)) = self.numbers.get(place) {
            return numbers.text(row);
        }
        let Span { start, length } = self.spans[row * self.selected.count + place];
        &self.text[start as usize..start as usize + length as usize]
    }

    /// What the file holds as numbers in one of its columns.
    pub fn numbers(&self, column: usize) -> Option<&Numbers> {
        self.numbers.get(self.selected.places[column]?)?.as_ref()
    }

    /// Appends a row: `fields` are all of it, in the file's order.
    pub fn push(&mut self, number: usize, fields: &[Span]) {
        if fields.len() != self.selected.column_count() {
            self.push_ragged(number, fields.len());
            return;
        }
        self.row_numbers.push(number);
        let fields = fields.iter().zip(&self.selected.places);
        self.spans.extend(fields.filter(|(_, place)| place.is_some()).map(|(span, _)| *span));
    }

    /// Appends a row of which the fields are those that are read.
    #[inline]
    pub fn push_selected(&mut self, number: usize, fields: impl Iterator<Item = Span>) {
        self.row_numbers.push(number);
        self.spans.extend(fields);
    }

    /// Appends a row that has another number of fields than there are columns.
    pub fn push_ragged(&mut self, number: usize, field_count: usize) {
        self.ragged.push((number, field_count));
    }

    /// Says where the fields of a column that is read stand, a row each.
    pub fn fill(&mut self, place: usize, fields: impl Iterator<Item = Span>) {
        let column = self.spans.iter_mut().skip(place).step_by(self.selected.count);
        column.zip(fields).for_each(|(span, field)| *span = field);
    }

    /// The block with what the file holds as numbers, per place.
    pub fn with_numbers(self, numbers: Vec<Option<Numbers>>) -> Self {
        Self { numbers, ..self }
    }

    /// The block with the text that its fields are ranges of.
    pub fn with_text(self, text: String) -> Self {
        Self { text, ..self }
    }
}
