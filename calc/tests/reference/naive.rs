//! The reference: a tenant as maps from keys to values, changed and computed by brute force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::calendar;
use crate::exact::Exact;
use crate::formula::{Expression, Read, Trouble, assigned};
use crate::universe::{DimensionSpec, Kind, PLAN, SALES, Universe};

/// One key a dimension.
pub type Coordinate = Vec<String>;
/// A row key: text and line.
pub type RowKey = (String, i64);
/// One value a measure of the cube; none is blank.
pub type Values = Vec<Option<i64>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    Number(i64),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    pub name: String,
    pub level: Option<String>,
    /// Per hierarchy with parents of its own.
    pub parents: BTreeMap<usize, String>,
    pub properties: BTreeMap<String, Property>,
}

/// What is to change of a member; a new key is a new member.
#[derive(Clone, Debug, Default)]
pub struct MemberEdit {
    pub key: String,
    pub name: Option<String>,
    pub level: Option<String>,
    pub parents: Vec<(usize, Option<String>)>,
    pub properties: Vec<(String, Option<Property>)>,
}

/// A row or cell as written.
#[derive(Clone, Debug)]
pub struct RowEdit {
    /// Of records.
    pub key: RowKey,
    pub coordinate: Coordinate,
    /// One value a measure that the write names.
    pub values: Values,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    pub expression: Expression,
    /// Position of a dimension and the level below which the result is blank.
    pub at_or_above: Option<(usize, &'static str)>,
}

/// One change.
#[derive(Clone, Debug)]
pub enum Action {
    Members { dimension: usize, edits: Vec<MemberEdit> },
    Set { cube: usize, measures: Vec<usize>, rows: Vec<RowEdit> },
    Remove { cube: usize, rows: Vec<RowEdit> },
    SetFormula { cube: usize, measure: usize, formula: Formula },
    RemoveFormula { cube: usize, measure: usize },
}

/// Inputs and definitions.
#[derive(Clone, Debug)]
pub struct World {
    pub universe: Arc<Universe>,
    pub members: Vec<BTreeMap<String, Member>>,
    /// Per dimension, the keys in the order in which they came.
    pub arrival: Vec<Vec<String>>,
    pub cells: BTreeMap<Coordinate, Values>,
    pub rows: BTreeMap<RowKey, (Coordinate, Values)>,
    pub formulas: BTreeMap<(usize, usize), Formula>,
}

/// All values, formulas included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    pub cells: BTreeMap<Coordinate, Values>,
    pub rows: BTreeMap<RowKey, (Coordinate, Values)>,
}

impl World {
    /// A model with the members of its calendar.
    pub fn new(universe: Universe) -> Self {
        let count = universe.dimensions.len();
        let mut world = Self {
            members: vec![BTreeMap::new(); count],
            arrival: vec![Vec::new(); count],
            cells: BTreeMap::new(),
            rows: BTreeMap::new(),
            formulas: BTreeMap::new(),
            universe: Arc::new(universe),
        };
        for dimension in 0..count {
            if let Some(month) = world.universe.dimensions[dimension].fiscal_month {
                world.add_calendar(dimension, month);
            }
        }
        world
    }

    fn add_calendar(&mut self, dimension: usize, fiscal_month: u32) {
        for period in calendar::periods(fiscal_month) {
            let parents = [(0, period.calendar), (1, period.fiscal)];
            let member = Member {
                name: period.name,
                level: Some(period.level.into()),
                parents: parents
                    .into_iter()
                    .filter_map(|(idx, parent)| Some((idx, parent?)))
                    .collect(),
                properties: BTreeMap::new(),
            };
            self.arrival[dimension].push(period.key.clone());
            self.members[dimension].insert(period.key, member);
        }
    }

    fn spec(&self, dimension: usize) -> &DimensionSpec {
        &self.universe.dimensions[dimension]
    }

    /// Members that may hold facts, in the order in which they came.
    pub fn leaves(&self, dimension: usize) -> Vec<&String> {
        let leaf = self.spec(dimension).leaf_level();
        let holds = |key: &&String| self.members[dimension][*key].level.as_deref() == leaf;
        self.arrival[dimension].iter().filter(holds).collect()
    }

    pub fn parent(&self, dimension: usize, hierarchy: usize, key: &str) -> Option<&String> {
        let own = self.spec(dimension).parents_of(hierarchy);
        self.members[dimension][key].parents.get(&own)
    }

    /// The number of an attribute; blank is none.
    pub fn number(&self, dimension: usize, key: &str, name: &str) -> Option<Exact> {
        let (_, kind) = self.spec(dimension).attribute(name);
        match self.members[dimension][key].properties.get(name)? {
            Property::Number(stored) => Some(Exact::new(i128::from(*stored), kind.scale())),
            Property::Text(_) => None,
        }
    }

    /// The state after an action, or why it cannot be.
    pub fn after(&self, action: &Action) -> Result<Self, String> {
        let mut world = self.clone();
        match action {
            Action::Members { dimension, edits } => world.edit_members(*dimension, edits)?,
            Action::Set { cube, measures, rows } => world.set(*cube, measures, rows)?,
            Action::Remove { cube, rows } => world.remove(*cube, rows)?,
            Action::SetFormula { cube, measure, formula } => {
                world.set_formula(*cube, *measure, formula)?
            }
            Action::RemoveFormula { cube, measure } => {
                world.formulas.remove(&(*cube, *measure)).ok_or("there is no such formula")?;
            }
        }
        Ok(world)
    }

    fn edit_members(&mut self, dimension: usize, edits: &[MemberEdit]) -> Result<(), String> {
        let leaf_level = self.spec(dimension).leaf_level().map(String::from);
        for edit in edits {
            if let Some(member) = self.members[dimension].get_mut(&edit.key) {
                if edit.level.is_some() && edit.level != member.level {
                    return Err("a member stays on its level".into());
                }
                member.name = edit.name.clone().unwrap_or_else(|| member.name.clone());
                continue;
            }
            let name = edit.name.clone().unwrap_or_else(|| edit.key.clone());
            let level = edit.level.clone().or_else(|| leaf_level.clone());
            let member =
                Member { name, level, parents: BTreeMap::new(), properties: BTreeMap::new() };
            self.members[dimension].insert(edit.key.clone(), member);
            self.arrival[dimension].push(edit.key.clone());
        }
        for edit in edits {
            self.set_properties(dimension, edit)?;
        }
        (0..self.spec(dimension).hierarchies.len())
            .try_for_each(|h| self.check_hierarchy(dimension, h))
    }

    fn set_properties(&mut self, dimension: usize, edit: &MemberEdit) -> Result<(), String> {
        for (hierarchy, parent) in &edit.parents {
            let own = self.spec(dimension).parents_of(*hierarchy);
            if parent.as_ref().is_some_and(|parent| !self.members[dimension].contains_key(parent)) {
                return Err("no such parent".into());
            }
            let member = self.members[dimension].get_mut(&edit.key).expect("it is there");
            match parent {
                Some(parent) => member.parents.insert(own, parent.clone()),
                None => member.parents.remove(&own),
            };
        }
        let member = self.members[dimension].get_mut(&edit.key).expect("it is there");
        for (name, value) in &edit.properties {
            match value {
                Some(value) => member.properties.insert(name.clone(), value.clone()),
                None => member.properties.remove(name),
            };
        }
        Ok(())
    }

    fn check_hierarchy(&self, dimension: usize, hierarchy: usize) -> Result<(), String> {
        let levels = self.spec(dimension).hierarchies[hierarchy].levels;
        for key in self.members[dimension].keys() {
            let Some(parent) = self.parent(dimension, hierarchy, key) else { continue };
            let place = |key: &str| {
                let level = self.members[dimension][key].level.clone().unwrap_or_default();
                levels.iter().position(|other| *other == level)
            };
            if !levels.is_empty()
                && (place(key).is_none() || place(parent) >= place(key) || place(parent).is_none())
            {
                return Err(format!("{parent} is not on a level above {key}"));
            }
            let (mut at, mut steps) = (key, 0);
            while let Some(parent) = self.parent(dimension, hierarchy, at) {
                (at, steps) = (parent, steps + 1);
                if steps > self.members[dimension].len() {
                    return Err(format!("{key} is on or below a cycle"));
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, cube: usize, measures: &[usize], rows: &[RowEdit]) -> Result<(), String> {
        self.check_rows(cube, rows, Some(measures))?;
        let count = self.universe.cubes[cube].measures.len();
        for row in rows {
            let blank = || vec![None; count];
            let values = if cube == SALES {
                let place =
                    self.rows.entry(row.key.clone()).or_insert_with(|| (Vec::new(), blank()));
                place.0.clone_from(&row.coordinate);
                &mut place.1
            } else {
                self.cells.entry(row.coordinate.clone()).or_insert_with(blank)
            };
            for (&measure, value) in measures.iter().zip(&row.values) {
                values[measure] = *value;
            }
        }
        self.cells.retain(|_, values| values.iter().any(Option::is_some));
        Ok(())
    }

    fn remove(&mut self, cube: usize, rows: &[RowEdit]) -> Result<(), String> {
        self.check_rows(cube, rows, None)?;
        for row in rows {
            if cube == SALES {
                self.rows.remove(&row.key);
            } else {
                self.cells.remove(&row.coordinate);
            }
        }
        Ok(())
    }

    fn check_rows(
        &self,
        cube: usize,
        rows: &[RowEdit],
        measures: Option<&[usize]>,
    ) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for row in rows {
            let key = if cube == SALES {
                format!("{:?}", row.key)
            } else {
                format!("{:?}", row.coordinate)
            };
            if !seen.insert(key) {
                return Err("a row is written twice".into());
            }
            let is_free = measures.is_none() && cube == SALES;
            for (position, key) in row.coordinate.iter().enumerate().filter(|_| !is_free) {
                let dimension = self.universe.cubes[cube].dimensions[position];
                if !self.leaves(dimension).contains(&key) {
                    return Err(format!("{key} is a consolidated member"));
                }
            }
            for (&measure, value) in measures.unwrap_or_default().iter().zip(&row.values) {
                let kind = self.universe.cubes[cube].measures[measure].kind;
                let too_long = |value: i64| matches!(kind, Kind::Decimal(p, _) if value.unsigned_abs() >= 10u64.pow(u32::from(p)));
                if value.is_some_and(too_long) {
                    return Err("a value does not fit".into());
                }
            }
        }
        let computed =
            measures.unwrap_or_default().iter().any(|&m| self.formulas.contains_key(&(cube, m)));
        if computed { Err("a formula takes no input".into()) } else { Ok(()) }
    }

    fn set_formula(
        &mut self,
        cube: usize,
        measure: usize,
        formula: &Formula,
    ) -> Result<(), String> {
        let mut inputs = self.cells.values().chain(self.rows.values().map(|row| &row.1));
        let is_new = !self.formulas.contains_key(&(cube, measure));
        let of_cube = self.universe.cubes[cube].measures.len();
        if is_new && inputs.any(|values| values.len() == of_cube && values[measure].is_some()) {
            return Err("the measure holds inputs".into());
        }
        if formula.expression.is_broadcast() {
            return Err("the formula has no support".into());
        }
        self.formulas.insert((cube, measure), formula.clone());
        let mut open = vec![(measure, 0)];
        while let Some((at, depth)) = open.pop() {
            if depth > of_cube {
                return Err("formulas need each other".into());
            }
            if let Some(formula) = self.formulas.get(&(cube, at)) {
                open.extend(
                    formula.expression.measures().into_iter().map(|next| (next, depth + 1)),
                );
            }
        }
        Ok(())
    }

    /// All values of all cells and rows.
    pub fn compute(&self) -> (Tables, Trouble) {
        let mut trouble = Trouble::default();
        let mut tables = Tables::default();
        for (key, (coordinate, inputs)) in &self.rows {
            let leaf =
                Leaf { world: self, cube: SALES, coordinate, inputs, sums: &BTreeMap::new() };
            tables.rows.insert(key.clone(), (coordinate.clone(), leaf.all(&mut trouble)));
        }
        let sums = self.sums(&tables);
        let blank = vec![None; self.universe.cubes[PLAN].measures.len()];
        for coordinate in self.cells.keys().chain(sums.keys()) {
            let inputs = self.cells.get(coordinate).unwrap_or(&blank);
            let leaf = Leaf { world: self, cube: PLAN, coordinate, inputs, sums: &sums };
            let values = leaf.all(&mut trouble);
            if values.iter().any(Option::is_some) {
                tables.cells.insert(coordinate.clone(), values);
            }
        }
        (tables, trouble)
    }

    /// Per coordinate of the cells cube and measure of the records cube, the sum of the rows there.
    fn sums(&self, tables: &Tables) -> BTreeMap<Coordinate, BTreeMap<usize, Exact>> {
        let (plan, sales) = (&self.universe.cubes[PLAN], &self.universe.cubes[SALES]);
        let positions: Vec<usize> = plan
            .dimensions
            .iter()
            .filter_map(|dimension| sales.dimensions.iter().position(|other| other == dimension))
            .collect();
        let mut sums: BTreeMap<Coordinate, BTreeMap<usize, Exact>> = BTreeMap::new();
        for (coordinate, values) in tables.rows.values() {
            let target = positions.iter().map(|&position| coordinate[position].clone()).collect();
            let sums = sums.entry(target).or_default();
            for (measure, value) in values.iter().enumerate() {
                let Some(value) = value else { continue };
                let value = Exact::new(i128::from(*value), sales.measures[measure].kind.scale());
                let sum = sums.entry(measure).or_insert_with(|| Exact::new(0, 0));
                *sum = sum.add(&value);
            }
        }
        sums
    }
}

/// One cell or row while its formulas are computed.
struct Leaf<'a> {
    world: &'a World,
    cube: usize,
    coordinate: &'a Coordinate,
    inputs: &'a Values,
    sums: &'a BTreeMap<Coordinate, BTreeMap<usize, Exact>>,
}

impl Leaf<'_> {
    fn all(&self, trouble: &mut Trouble) -> Values {
        (0..self.inputs.len()).map(|measure| self.stored(measure, trouble)).collect()
    }

    fn stored(&self, measure: usize, trouble: &mut Trouble) -> Option<i64> {
        let Some(formula) = self.world.formulas.get(&(self.cube, measure)) else {
            return self.inputs[measure];
        };
        if let Some((position, level)) = formula.at_or_above {
            let dimension = self.world.universe.dimension(self.cube, position);
            if dimension.leaf_level() != Some(level) {
                return None;
            }
        }
        let spec = &self.world.universe.cubes[self.cube].measures[measure];
        assigned(formula.expression.value(self, trouble), spec.kind, spec.half_up, trouble)
    }
}

impl Read for Leaf<'_> {
    fn measure(&self, measure: usize, trouble: &mut Trouble) -> Option<Exact> {
        let kind = self.world.universe.cubes[self.cube].measures[measure].kind;
        Some(Exact::new(i128::from(self.stored(measure, trouble)?), kind.scale()))
    }

    fn attribute(&self, position: usize, name: &str) -> Option<Exact> {
        let dimension = self.world.universe.cubes[self.cube].dimensions[position];
        self.world.number(dimension, &self.coordinate[position], name)
    }

    fn sum(&self, measure: usize) -> Option<Exact> {
        self.sums.get(self.coordinate)?.get(&measure).cloned()
    }
}
