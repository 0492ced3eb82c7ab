//! What an aggregate tells apart and adds up, and where the group of a row has its place.

use std::sync::Arc;

use crate::dimension::LevelGroups;
use crate::id::{CubeId, HierarchyId, MeasureId, MemberId};
use crate::limits::{AGGREGATE_CELLS_MAX, AGGREGATE_VALUES_MAX};
use crate::model::Cube;
use crate::rollup::Arithmetic;
use crate::segment::{Reads, RowSet, Segment};
use crate::value::ValueType;
use crate::version::Version;

/// Something by which rows are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The members of a dimension, by its position in the cube.
    Members(usize),
    /// The ancestors of these in a hierarchy, down to the level at a position.
    Level(usize, HierarchyId, usize),
    /// The values of a measure.
    Values(MeasureId),
}

impl Key {
    /// Whether rows that another key tells apart are told apart by this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Members(own), Self::Members(position) | Self::Level(position, ..)) => {
                own == position
            }
            (Self::Level(own, in_own, lowest), Self::Level(position, hierarchy, level)) => {
                (own, in_own) == (position, hierarchy) && level <= lowest
            }
            (own, other) => own == other,
        }
    }

    /// Position of its dimension; none for a measure.
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::Members(position) | Self::Level(position, ..) => Some(*position),
            Self::Values(_) => None,
        }
    }
}

/// What a rollup asks for, or an aggregate holds: by what rows are told apart, and what is added up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Shape {
    /// In order, one a dimension or measure.
    pub keys: Vec<Key>,
    /// In order, each once. Rows are always counted.
    pub terms: Vec<Arithmetic>,
}

impl Shape {
    /// Whether what another shape asks for follows from what this one has.
    pub fn covers(&self, other: &Self) -> bool {
        other.keys.iter().all(|key| self.keys.iter().any(|own| own.covers(key)))
            && other.terms.iter().all(|term| self.terms.contains(term))
    }

    /// The columns that totals depend on.
    pub(super) fn reads(&self) -> Reads {
        let values = self.keys.iter().filter_map(|key| match key {
            Key::Values(measure) => Some(*measure),
            _ => None,
        });
        Reads {
            positions: self.keys.iter().filter_map(Key::position).collect(),
            measures: values.chain(self.terms.iter().flat_map(Arithmetic::measures)).collect(),
        }
    }

    /// The least shape that covers two.
    pub fn union(&self, other: &Self) -> Self {
        let mut keys = self.keys.clone();
        for key in &other.keys {
            let same = |own: &&mut Key| match (own.position(), key.position()) {
                (None, None) => **own == *key,
                (own, position) => own == position,
            };
            match keys.iter_mut().find(same) {
                None => keys.push(*key),
                Some(own) if own.covers(key) => {}
                Some(own) if key.covers(own) => *own = *key,
                // levels of two hierarchies: only the members tell apart what both do
                Some(own) => *own = own.position().map_or(*own, Key::Members),
            }
        }
        keys.sort_unstable();
        let mut terms = [self.terms.clone(), other.terms.clone()].concat();
        terms.sort_unstable();
        terms.dedup();
        Self { keys, terms }
    }
}

/// Where the group of a row is: a number a key, combined to one.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// In the order of the shape's keys.
    pub axes: Vec<LayoutAxis>,
}

/// How one key counts.
#[derive(Debug, Clone)]
pub(crate) struct LayoutAxis {
    pub places: Places,
    /// Places are below it.
    pub count: u32,
    /// What a place is multiplied by.
    pub stride: u32,
}

/// What the place of a row is.
#[derive(Debug, Clone)]
pub(crate) enum Places {
    /// Its member's id, in the dimension at a position.
    Members(usize),
    /// The group of its member.
    Groups(usize, Arc<LevelGroups>),
    /// How far its value is above what is lower than all values; zero where it is blank.
    Values(MeasureId, i64),
}

impl Layout {
    /// Places for all rows of a version; none where they would be too many.
    pub fn new(shape: &Shape, version: &Version, cube: CubeId) -> Option<Self> {
        let def = version.model.cube_def(cube);
        let axes = shape.keys.iter().map(|key| {
            let places = Places::new(*key, def, version, cube)?;
            let count = match &places {
                // new members find their place
                Places::Members(position) => {
                    let count = version.dimension(def.dimensions[*position]).member_count();
                    count + count / 16 + 1
                }
                Places::Groups(_, groups) => groups.len(),
                Places::Values(measure, below) => {
                    (value_bounds(version, cube, *measure)?.1 - below + 1) as usize
                }
            };
            Some(LayoutAxis { places, count: u32::try_from(count).ok()?, stride: 1 })
        });
        let mut axes = axes.collect::<Option<Vec<LayoutAxis>>>()?;
        let mut stride = 1usize;
        // the key with the fewest groups counts least: what follows each other is then often wanted
        let mut order: Vec<usize> = (0..axes.len()).collect();
        order.sort_by_key(|&at| (axes[at].count, at));
        for at in order {
            axes[at].stride = u32::try_from(stride).ok()?;
            stride = stride.checked_mul(axes[at].count as usize)?;
        }
        (stride <= AGGREGATE_CELLS_MAX).then_some(Self { axes })
    }

    /// The same places in another version; none where its members are in other groups.
    pub fn at(&self, version: &Version, cube: CubeId) -> Option<Self> {
        let def = version.model.cube_def(cube);
        let mut axes = self.axes.clone();
        for axis in &mut axes {
            if let Places::Groups(position, groups) = &mut axis.places {
                let dimension = version.dimension(def.dimensions[*position]);
                let now = groups.of_other_state(dimension);
                if !Arc::ptr_eq(&now.identity, &groups.identity) {
                    return None;
                }
                *groups = now;
            }
        }
        Some(Self { axes })
    }

    /// Number of places of groups.
    pub fn cell_count(&self) -> usize {
        self.axes.iter().map(|axis| axis.count as usize).product()
    }

    /// The places of the groups of rows; none where one has none.
    pub fn cells(&self, segment: &Segment, rows: &RowSet) -> Option<Vec<u32>> {
        let mut cells = vec![0u32; rows.len()];
        for axis in &self.axes {
            let mut largest = 0;
            let mut add = |at: usize, place: u32| {
                cells[at] = cells[at].wrapping_add(place.wrapping_mul(axis.stride));
                largest = largest.max(place);
            };
            match &axis.places {
                Places::Members(position) => {
                    segment.coordinates[*position].visit(rows, |at, member| add(at, member.0));
                }
                Places::Groups(position, groups) => {
                    let codes = &groups.codes;
                    segment.coordinates[*position]
                        .visit(rows, |at, member| add(at, codes[member.idx()]));
                }
                values @ Places::Values(..) => {
                    for (at, row) in rows.iter().enumerate() {
                        add(at, values.of_row(segment, row)?);
                    }
                }
            }
            if largest >= axis.count {
                return None;
            }
        }
        Some(cells)
    }
}

impl Places {
    fn new(key: Key, def: &Cube, version: &Version, cube: CubeId) -> Option<Self> {
        Some(match key {
            Key::Members(position) => Self::Members(position),
            Key::Level(position, hierarchy, level) => {
                let dimension = version.dimension(def.dimensions[position]);
                Self::Groups(position, dimension.groups(def.levels[position], hierarchy, level))
            }
            Key::Values(measure) => {
                Self::Values(measure, value_bounds(version, cube, measure)?.0.checked_sub(1)?)
            }
        })
    }

    /// A member of a place; none of that of a value.
    pub fn member(&self, place: u32) -> MemberId {
        match self {
            Self::Members(_) => MemberId(place),
            Self::Groups(_, groups) => groups.first[place as usize],
            Self::Values(..) => MemberId::NONE,
        }
    }

    /// Lets the CPU fetch what the place of a row is made of, which is read soon.
    pub fn fetch(&self, segment: &Segment, row: usize) {
        match self {
            Self::Members(position) | Self::Groups(position, _) => {
                segment.coordinates[*position].ints().fetch(row);
            }
            Self::Values(measure, _) => {
                if let Some(values) = segment.values.get(measure.idx()) {
                    values.ints().fetch(row);
                }
            }
        }
    }

    /// The place of a row; none where it has none.
    #[inline]
    pub fn of_row(&self, segment: &Segment, row: usize) -> Option<u32> {
        match self {
            Self::Members(position) => Some(segment.coordinates[*position].get(row).0),
            Self::Groups(position, groups) => {
                groups.codes.get(segment.coordinates[*position].get(row).idx()).copied()
            }
            Self::Values(measure, below) => {
                // a measure declared later is blank in older segments
                let Some(values) = segment.values.get(measure.idx()) else { return Some(0) };
                let Some(value) = values.get(row) else { return Some(0) };
                u32::try_from(value.checked_sub(*below)?).ok().filter(|place| *place > 0)
            }
        }
    }
}

/// Between which values a measure lies; none where they are many.
pub(super) fn value_bounds(
    version: &Version,
    cube: CubeId,
    measure: MeasureId,
) -> Option<(i64, i64)> {
    let def = version.model.cube_def(cube).def.measures.get(measure.idx())?;
    if def.value_type == ValueType::Text {
        return None;
    }
    let columns = version.rows(cube).segments().iter();
    let columns = columns.filter_map(|view| view.segment.values.get(measure.idx()));
    let bounds = columns.map(|values| values.ints().bounds());
    let (low, high) = bounds.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let is_few = high.checked_sub(low)? < AGGREGATE_VALUES_MAX;
    is_few.then_some((low, high))
}
