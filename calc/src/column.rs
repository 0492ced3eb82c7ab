//! Values of many points at once, blanks included.

use std::borrow::Cow;
use std::sync::Arc;

use cube::{CubeError, MemberId, Number};

use crate::node::{Type, Value};

/// One value a point.
#[derive(Debug, Clone)]
pub enum Column {
    /// Numbers of one scale; dates as days.
    Fixed(Fixed),
    /// Numbers of any scale.
    Numbers(Vec<Option<Number>>),
    /// Members, NONE where there is none.
    Members(Vec<MemberId>),
    /// True or false, and where something was there to say so: `=` is total and has a value even
    /// where both sides are blank, but no support.
    Flags(Vec<Option<bool>>, Vec<bool>),
    /// Texts.
    Texts(Vec<Option<Arc<str>>>),
    /// So many blanks.
    Blank(usize),
    /// Values of which some could not be computed.
    Faulty(Box<Faulty>),
}

/// A column with errors in it. An error belongs to its point and says nothing about others, so that it
/// does not matter which points are evaluated together.
#[derive(Debug, Clone)]
pub struct Faulty {
    /// The values, blank where there is an error.
    pub column: Column,
    /// Where the errors are.
    pub faults: Faults,
}

/// Errors at some points.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Their places, ascending.
    places: Vec<u32>,
    /// What went wrong at the first of them as far as it was noted: sure where the column has one point.
    /// Of many points places alone are kept; the one that is shown is evaluated again by itself.
    first: Option<Arc<Fault>>,
}

/// What went wrong at a point.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What.
    pub source: CubeError,
    /// The point of what was looked at elsewhere, in words; none: the point itself.
    pub origin: Option<String>,
}

impl From<CubeError> for Fault {
    fn from(source: CubeError) -> Self {
        Self { source, origin: None }
    }
}

impl Faults {
    /// Notes an error; places must come in order.
    pub fn add(&mut self, at: usize, fault: Option<Arc<Fault>>) {
        if self.places.is_empty() {
            self.first = fault;
        }
        self.places.push(at as u32);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Their places, ascending.
    pub fn places(&self) -> &[u32] {
        &self.places
    }

    /// What went wrong, of a column of one point.
    pub fn first(&self) -> Option<&Arc<Fault>> {
        self.first.as_ref()
    }

    /// These and others, at other points.
    pub fn merged(self, other: Self) -> Self {
        if other.is_empty() {
            return self;
        }
        let mut all: Vec<(u32, Option<Arc<Fault>>)> = Vec::new();
        for Self { places, first } in [self, other] {
            all.extend(places.into_iter().map(|at| (at, first.clone())));
        }
        all.sort_by_key(|(at, _)| *at);
        let mut merged = Self::default();
        all.into_iter().for_each(|(at, fault)| merged.add(at as usize, fault));
        merged
    }

    fn contains(&self, at: usize) -> bool {
        u32::try_from(at).is_ok_and(|at| self.places.binary_search(&at).is_ok())
    }
}

/// Numbers of one scale.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// Mantissas, zero where blank.
    pub values: Mantissas,
    /// Whether there is a value; absent where every point has one.
    pub present: Option<Vec<bool>>,
    /// Digits after the point of every value.
    pub scale: u32,
}

/// Whole numbers: of 64 bits as long as these hold them, which stored values always do, else of 128.
#[derive(Debug, Clone)]
pub enum Mantissas {
    /// Of 64 bits.
    Narrow(Vec<i64>),
    /// Of 128 bits.
    Wide(Vec<i128>),
}

impl Mantissas {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(values) => values.len(),
            Self::Wide(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at a place.
    pub fn get(&self, at: usize) -> i128 {
        match self {
            Self::Narrow(values) => values[at].into(),
            Self::Wide(values) => values[at],
        }
    }

    /// All of them in 128 bits.
    pub fn wide(&self) -> Cow<'_, [i128]> {
        match self {
            Self::Narrow(values) => values.iter().map(|&value| value.into()).collect(),
            Self::Wide(values) => Cow::Borrowed(values),
        }
    }

    /// Those at some places; zero past the end.
    fn taken(&self, places: &[u32]) -> Self {
        fn take<T: Copy + Default>(values: &[T], places: &[u32]) -> Vec<T> {
            places.iter().map(|&at| values.get(at as usize).copied().unwrap_or_default()).collect()
        }
        match self {
            Self::Narrow(values) => Self::Narrow(take(values, places)),
            Self::Wide(values) => Self::Wide(take(values, places)),
        }
    }

    /// The results of an operation that says whether it overflows: in 64 bits where none does, else in
    /// 128; none where that overflows too.
    pub fn mapped(
        &self,
        narrow: impl Fn(i64) -> (i64, bool),
        wide: impl Fn(i128) -> (i128, bool),
    ) -> Option<Self> {
        if let Self::Narrow(values) = self
            && let Some(results) = exact(values.iter().map(|&value| narrow(value)))
        {
            return Some(Self::Narrow(results));
        }
        exact(self.wide().iter().map(|&value| wide(value))).map(Self::Wide)
    }

    /// The same of two operands.
    pub fn with(
        &self,
        other: &Self,
        narrow: impl Fn(i64, i64) -> (i64, bool),
        wide: impl Fn(i128, i128) -> (i128, bool),
    ) -> Option<Self> {
        if let (Self::Narrow(a), Self::Narrow(b)) = (self, other)
            && let Some(results) = exact(a.iter().zip(b).map(|(&a, &b)| narrow(a, b)))
        {
            return Some(Self::Narrow(results));
        }
        let (a, b) = (self.wide(), other.wide());
        exact(a.iter().zip(b.iter()).map(|(&a, &b)| wide(a, b))).map(Self::Wide)
    }

    /// The same, zero where there is no value.
    pub fn blanked(mut self, present: Option<&[bool]>) -> Self {
        fn blank<T: Copy + Default>(values: &mut [T], present: &[bool]) {
            for (value, present) in values.iter_mut().zip(present) {
                *value = if *present { *value } else { T::default() };
            }
        }
        if let Some(present) = present {
            match &mut self {
                Self::Narrow(values) => blank(values, present),
                Self::Wide(values) => blank(values, present),
            }
        }
        self
    }
}

/// All results; none where one overflows.
fn exact<T>(results: impl Iterator<Item = (T, bool)>) -> Option<Vec<T>> {
    let mut overflows = false;
    let results = results.map(|(result, overflow)| {
        overflows |= overflow;
        result
    });
    let results = results.collect();
    (!overflows).then_some(results)
}

impl Fixed {
    /// Numbers of a scale, those that are not present made blank.
    pub fn blanked(values: Mantissas, present: Vec<bool>, scale: u32) -> Self {
        let present = present.contains(&false).then_some(present);
        Self { values: values.blanked(present.as_deref()), present, scale }
    }

    /// Numbers of a scale, blank where there is none.
    pub fn of_options(values: &[Option<i128>], scale: u32) -> Self {
        let present: Vec<bool> = values.iter().map(Option::is_some).collect();
        let values: Vec<i128> = values.iter().map(|value| value.unwrap_or(0)).collect();
        let narrow = values.iter().map(|&value| i64::try_from(value));
        Self {
            values: match narrow.collect::<Result<_, _>>() {
                Ok(narrow) => Mantissas::Narrow(narrow),
                Err(_) => Mantissas::Wide(values),
            },
            present: present.contains(&false).then_some(present),
            scale,
        }
    }

    /// Several of one scale, one after the other.
    pub fn concatenated(parts: &[&Self]) -> Self {
        let narrow = parts.iter().map(|part| match &part.values {
            Mantissas::Narrow(values) => Some(values.as_slice()),
            Mantissas::Wide(_) => None,
        });
        let values = match narrow.collect::<Option<Vec<&[i64]>>>() {
            Some(narrow) => Mantissas::Narrow(narrow.concat()),
            None => Mantissas::Wide(
                parts.iter().flat_map(|part| part.values.wide().into_owned()).collect(),
            ),
        };
        let present = parts.iter().any(|part| part.present.is_some()).then(|| {
            let present = |part: &&Self| match &part.present {
                Some(present) => present.clone(),
                None => vec![true; part.values.len()],
            };
            parts.iter().flat_map(present).collect()
        });
        Self { values, present, scale: parts.first().map_or(0, |part| part.scale) }
    }

    /// Whether there is a value.
    pub fn is_present(&self, at: usize) -> bool {
        self.present.as_ref().is_none_or(|present| present[at])
    }

    /// The mantissa of a point that has a value.
    pub fn get(&self, at: usize) -> Option<i128> {
        self.is_present(at).then(|| self.values.get(at))
    }
}

impl Column {
    /// Number of points.
    pub fn len(&self) -> usize {
        match self {
            Self::Fixed(fixed) => fixed.values.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Members(members) => members.len(),
            Self::Flags(flags, _) => flags.len(),
            Self::Texts(texts) => texts.len(),
            Self::Blank(len) => *len,
            Self::Faulty(faulty) => faulty.column.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers, where they are of one scale.
    pub fn fixed(&self) -> Option<&Fixed> {
        match self {
            Self::Fixed(fixed) => Some(fixed),
            _ => None,
        }
    }

    /// The same value at every point.
    pub fn constant(value: &Value, len: usize) -> Self {
        match value {
            Value::Number(number) => match number.mantissa() {
                Some(mantissa) => Self::Fixed(Fixed {
                    values: match i64::try_from(mantissa) {
                        Ok(mantissa) => Mantissas::Narrow(vec![mantissa; len]),
                        Err(_) => Mantissas::Wide(vec![mantissa; len]),
                    },
                    present: None,
                    scale: number.scale,
                }),
                None => Self::Numbers(vec![Some(*number); len]),
            },
            Value::Date(days) => Self::Fixed(Fixed {
                values: Mantissas::Narrow(vec![i64::from(*days); len]),
                present: None,
                scale: 0,
            }),
            Value::Text(text) => Self::Texts(vec![Some(Arc::clone(text)); len]),
            Value::Boolean(flag) => Self::Flags(vec![Some(*flag); len], vec![true; len]),
            Value::Member(member) => Self::Members(vec![*member; len]),
        }
    }

    /// Whether there is a value.
    pub fn is_present(&self, at: usize) -> bool {
        match self {
            Self::Fixed(fixed) => fixed.is_present(at),
            Self::Numbers(numbers) => numbers[at].is_some(),
            Self::Members(members) => members[at] != MemberId::NONE,
            Self::Flags(_, support) => support[at],
            Self::Texts(texts) => texts[at].is_some(),
            Self::Blank(_) => false,
            Self::Faulty(faulty) => faulty.column.is_present(at),
        }
    }

    /// The errors in it.
    pub fn faults(&self) -> Option<&Faults> {
        match self {
            Self::Faulty(faulty) => Some(&faulty.faults),
            _ => None,
        }
    }

    /// Whether there is an error at a point.
    pub fn is_fault(&self, at: usize) -> bool {
        self.faults().is_some_and(|faults| faults.contains(at))
    }

    /// Whether there is a value or an error: both make support.
    pub fn is_there(&self, at: usize) -> bool {
        match self {
            Self::Faulty(faulty) => {
                let is_flag = matches!(faulty.column, Self::Flags(..));
                faulty.column.is_present(at) || (!is_flag && faulty.faults.contains(at))
            }
            other => other.is_present(at),
        }
    }

    /// The column with errors at points where it is blank.
    pub fn with_faults(self, faults: Faults) -> Self {
        if faults.is_empty() {
            return self;
        }
        Self::Faulty(Box::new(Faulty { column: self, faults }))
    }

    /// Values and errors apart.
    pub fn split(self) -> (Self, Faults) {
        match self {
            Self::Faulty(faulty) => (faulty.column, faulty.faults),
            other => (other, Faults::default()),
        }
    }

    /// The column with errors that count as something that is there, conditions included.
    pub fn with_faults_there(mut self, faults: Faults) -> Self {
        if let Self::Flags(_, support) = &mut self {
            faults.places.iter().for_each(|&at| support[at as usize] = true);
        }
        self.with_faults(faults)
    }

    /// The number of a point.
    pub fn number(&self, at: usize) -> Option<Number> {
        match self {
            Self::Fixed(fixed) => fixed.get(at).map(|value| Number::new(value, fixed.scale)),
            Self::Numbers(numbers) => numbers[at],
            Self::Faulty(faulty) => faulty.column.number(at),
            _ => None,
        }
    }

    /// The day of a point.
    pub fn day(&self, at: usize) -> Option<i32> {
        match self {
            Self::Fixed(fixed) => fixed.get(at).and_then(|days| i32::try_from(days).ok()),
            Self::Faulty(faulty) => faulty.column.day(at),
            _ => None,
        }
    }

    /// The flag of a point.
    pub fn flag(&self, at: usize) -> Option<bool> {
        match self {
            Self::Flags(flags, _) => flags[at],
            Self::Faulty(faulty) => faulty.column.flag(at),
            _ => None,
        }
    }

    /// The text of a point.
    pub fn text(&self, at: usize) -> Option<&Arc<str>> {
        match self {
            Self::Texts(texts) => texts[at].as_ref(),
            Self::Faulty(faulty) => faulty.column.text(at),
            _ => None,
        }
    }

    /// The member of a point, or NONE.
    pub fn member(&self, at: usize) -> MemberId {
        match self {
            Self::Members(members) => members[at],
            Self::Faulty(faulty) => faulty.column.member(at),
            _ => MemberId::NONE,
        }
    }

    /// The value of a point, of a type.
    pub fn value(&self, at: usize, value_type: Type) -> Option<Value> {
        match value_type {
            Type::Date => self.day(at).map(Value::Date),
            Type::Number => self.number(at).map(Value::Number),
            Type::Text => self.text(at).cloned().map(Value::Text),
            Type::Boolean => self.flag(at).map(Value::Boolean),
            Type::Member(_) => {
                Some(self.member(at)).filter(|&member| member != MemberId::NONE).map(Value::Member)
            }
            Type::Blank => None,
        }
    }

    /// The value of a point where it has support: a total comparison has a value where both sides are
    /// blank, but nothing there to make a cell or to be counted.
    pub fn supported_value(&self, at: usize, value_type: Type) -> Option<Value> {
        self.value(at, value_type).filter(|_| self.is_present(at))
    }

    /// The values at some places, in their order; a place past the end is blank.
    pub fn taken(&self, places: &[u32]) -> Self {
        let at = |place: &u32| *place as usize;
        match self {
            Self::Fixed(fixed) => Self::Fixed(Fixed {
                values: fixed.values.taken(places),
                present: match &fixed.present {
                    None if places.iter().all(|place| at(place) < fixed.values.len()) => None,
                    None => Some(places.iter().map(|p| at(p) < fixed.values.len()).collect()),
                    Some(present) => {
                        let taken = |p| present.get(at(p)).copied().unwrap_or(false);
                        Some(places.iter().map(taken).collect())
                    }
                },
                scale: fixed.scale,
            }),
            Self::Numbers(numbers) => Self::Numbers(
                places.iter().map(|p| numbers.get(at(p)).copied().flatten()).collect(),
            ),
            Self::Members(members) => Self::Members(
                places
                    .iter()
                    .map(|p| members.get(at(p)).copied().unwrap_or(MemberId::NONE))
                    .collect(),
            ),
            Self::Flags(flags, support) => Self::Flags(
                places.iter().map(|p| flags.get(at(p)).copied().flatten()).collect(),
                places.iter().map(|p| support.get(at(p)).copied().unwrap_or(false)).collect(),
            ),
            Self::Texts(texts) => {
                Self::Texts(places.iter().map(|p| texts.get(at(p)).cloned().flatten()).collect())
            }
            Self::Blank(_) => Self::Blank(places.len()),
            Self::Faulty(faulty) => {
                let mut faults = Faults::default();
                for (to, place) in places.iter().enumerate() {
                    if faulty.faults.contains(at(place)) {
                        faults.add(to, faulty.faults.first.clone());
                    }
                }
                faulty.column.taken(places).with_faults(faults)
            }
        }
    }

    /// A column of some values of a type.
    pub fn of_values(values: Vec<Option<Value>>, value_type: Type) -> Self {
        let len = values.len();
        let values = values.into_iter();
        match value_type {
            Type::Number => Self::Numbers(
                values
                    .map(|value| match value {
                        Some(Value::Number(number)) => Some(number),
                        _ => None,
                    })
                    .collect(),
            ),
            Type::Date => {
                let days: Vec<Option<i32>> = values
                    .map(|value| match value {
                        Some(Value::Date(days)) => Some(days),
                        _ => None,
                    })
                    .collect();
                Self::of_days(&days)
            }
            Type::Boolean => Self::of_flags(
                values
                    .map(|value| match value {
                        Some(Value::Boolean(flag)) => Some(flag),
                        _ => None,
                    })
                    .collect(),
            ),
            Type::Text => Self::Texts(
                values
                    .map(|value| match value {
                        Some(Value::Text(text)) => Some(text),
                        _ => None,
                    })
                    .collect(),
            ),
            Type::Member(_) => Self::Members(
                values
                    .map(|value| match value {
                        Some(Value::Member(member)) => member,
                        _ => MemberId::NONE,
                    })
                    .collect(),
            ),
            Type::Blank => Self::Blank(len),
        }
    }

    /// Flags with support where they are.
    pub fn of_flags(flags: Vec<Option<bool>>) -> Self {
        let support = flags.iter().map(Option::is_some).collect();
        Self::Flags(flags, support)
    }

    /// A column of days.
    pub fn of_days(days: &[Option<i32>]) -> Self {
        let present: Vec<bool> = days.iter().map(Option::is_some).collect();
        let values = days.iter().map(|day| i64::from(day.unwrap_or(0))).collect();
        Self::Fixed(Fixed {
            values: Mantissas::Narrow(values),
            present: present.contains(&false).then_some(present),
            scale: 0,
        })
    }
}
