//! Queries answered by brute force: every cell is looked at, every group kept as a list of cells.

use std::collections::{BTreeMap, BTreeSet};

use cube::model::{Consolidation, TimeSummary};

use crate::exact::{Exact, Ties};
use crate::formula::{Read, Trouble, assigned};
use crate::naive::{Coordinate, Property, Tables, Values, World};
use crate::universe::{MeasureSpec, SALES};

/// How fine a question looks at a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fineness {
    Free,
    /// Hierarchy and position of a level, 0 at the top.
    Level(usize, usize),
    Leaf,
}

/// What cells are grouped by.
#[derive(Clone, Debug)]
pub enum Grouping {
    Leaf,
    Level(usize, usize),
    /// A text attribute.
    Attribute(&'static str),
}

/// Leaf members that are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub position: usize,
    pub leaves: BTreeSet<String>,
    pub fineness: Fineness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Consolidated(usize),
    Sum(usize),
    Count(usize),
    Min(usize),
    Max(usize),
    CountRows,
    /// To this many digits after the point.
    Average(usize, u32),
}

#[derive(Clone, Debug)]
pub struct Question {
    pub cube: usize,
    pub axes: Vec<(usize, Grouping)>,
    pub filters: Vec<Wanted>,
    /// Per dimension of the universe, what a restricted reader may see.
    pub rights: BTreeMap<usize, BTreeSet<String>>,
    pub asked: Vec<Asked>,
}

/// Group labels to values.
pub type Answer = BTreeMap<Vec<String>, Vec<Option<Exact>>>;

type Cell<'a> = (&'a Coordinate, &'a Values);

/// The group that a leaf is in; empty where it is in none.
pub fn label(world: &World, dimension: usize, grouping: &Grouping, leaf: &str) -> String {
    match grouping {
        Grouping::Leaf => leaf.to_string(),
        Grouping::Attribute(name) => match world.members[dimension][leaf].properties.get(*name) {
            Some(Property::Text(text)) => text.clone(),
            _ => String::new(),
        },
        Grouping::Level(hierarchy, position) => {
            ancestor(world, dimension, *hierarchy, *position, leaf).unwrap_or_default()
        }
    }
}

/// The path from a member to its root.
fn path(world: &World, dimension: usize, hierarchy: usize, leaf: &str) -> Vec<String> {
    let mut path = vec![leaf.to_string()];
    while let Some(parent) =
        world.parent(dimension, hierarchy, path.last().expect("it has a start"))
    {
        path.push(parent.clone());
    }
    path
}

fn ancestor(
    world: &World,
    dimension: usize,
    hierarchy: usize,
    position: usize,
    leaf: &str,
) -> Option<String> {
    let path = path(world, dimension, hierarchy, leaf);
    let levels = world.universe.dimensions[dimension].hierarchies[hierarchy].levels;
    if levels.is_empty() {
        return path.iter().rev().nth(position).cloned();
    }
    let is_there =
        |key: &&String| world.members[dimension][*key].level.as_deref() == Some(levels[position]);
    path.iter().find(is_there).cloned()
}

/// What a leaf counts for in its ancestor at a level, or in the total over all roots.
pub fn weight(
    world: &World,
    dimension: usize,
    hierarchy: usize,
    level: Option<usize>,
    leaf: &str,
) -> Exact {
    let one = Exact::new(1, 0);
    let Some(name) = world.universe.dimensions[dimension].hierarchies[hierarchy].weight else {
        return one;
    };
    let stop = level.map(|position| ancestor(world, dimension, hierarchy, position, leaf));
    if stop == Some(None) {
        return one;
    }
    let path = path(world, dimension, hierarchy, leaf);
    let below = path.iter().take_while(|&key| stop.as_ref() != Some(&Some(key.clone())));
    below.fold(one, |product, key| product.multiply(&own_weight(world, dimension, key, name)))
}

fn own_weight(world: &World, dimension: usize, key: &str, name: &str) -> Exact {
    match world.members[dimension][key].properties.get(name) {
        None => Exact::new(1, 0),
        Some(Property::Text(operator)) => match operator.as_str() {
            "+" => Exact::new(1, 0),
            "-" => Exact::new(-1, 0),
            _ => Exact::new(0, 0),
        },
        Some(Property::Number(_)) => world.number(dimension, key, name).expect("it is a number"),
    }
}

/// One question about one state.
pub struct Asking<'a> {
    pub world: &'a World,
    pub tables: &'a Tables,
    pub question: &'a Question,
}

impl Asking<'_> {
    /// The answer, group by group.
    pub fn answer(&self) -> (Answer, Trouble) {
        let mut groups: BTreeMap<Vec<String>, Vec<Cell<'_>>> = BTreeMap::new();
        if self.question.axes.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        for cell in self.cells().into_iter().filter(|cell| self.is_wanted(cell.0)) {
            let labels = self.question.axes.iter().map(|(position, grouping)| {
                label(self.world, self.dimension(*position), grouping, &cell.0[*position])
            });
            groups.entry(labels.collect()).or_default().push(cell);
        }
        let mut trouble = Trouble::default();
        let mut answer = Answer::new();
        for (labels, cells) in groups {
            let values =
                self.question.asked.iter().map(|&asked| self.value(asked, &cells, &mut trouble));
            answer.insert(labels, values.collect());
        }
        (answer, trouble)
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        if self.question.cube == SALES {
            self.tables.rows.values().map(|(coordinate, values)| (coordinate, values)).collect()
        } else {
            self.tables.cells.iter().collect()
        }
    }

    fn dimension(&self, position: usize) -> usize {
        self.world.universe.cubes[self.question.cube].dimensions[position]
    }

    fn is_wanted(&self, coordinate: &Coordinate) -> bool {
        let filtered = |wanted: &Wanted| wanted.leaves.contains(&coordinate[wanted.position]);
        let allowed = |(position, key): (usize, &String)| {
            let rights = self.question.rights.get(&self.dimension(position));
            rights.is_none_or(|leaves| leaves.contains(key))
        };
        self.question.filters.iter().all(filtered) && coordinate.iter().enumerate().all(allowed)
    }

    fn spec(&self, measure: usize) -> &MeasureSpec {
        &self.world.universe.cubes[self.question.cube].measures[measure]
    }

    fn value(&self, asked: Asked, cells: &[Cell<'_>], trouble: &mut Trouble) -> Option<Exact> {
        let number = |measure: usize| {
            let scale = self.spec(measure).kind.scale();
            cells
                .iter()
                .filter_map(move |cell| Some(Exact::new(i128::from(cell.1[measure]?), scale)))
        };
        let count = |measure: usize| Exact::new(number(measure).count() as i128, 0);
        let sum = |measure: usize| number(measure).reduce(|a, b| a.add(&b));
        match asked {
            Asked::CountRows => Some(Exact::new(cells.len() as i128, 0)),
            Asked::Count(measure) => Some(count(measure)),
            Asked::Sum(measure) => sum(measure),
            Asked::Min(measure) => number(measure).min_by(Exact::compare),
            Asked::Max(measure) => number(measure).max_by(Exact::compare),
            Asked::Average(measure, scale) => {
                sum(measure).map(|sum| mean(&sum, number(measure).count(), scale))
            }
            Asked::Consolidated(measure) => match self.spec(measure).rule {
                Consolidation::Sum => self.weighted(measure, cells),
                Consolidation::Average => self.value(
                    Asked::Average(measure, self.spec(measure).kind.scale()),
                    cells,
                    trouble,
                ),
                Consolidation::Min => self.value(Asked::Min(measure), cells, trouble),
                Consolidation::Max => self.value(Asked::Max(measure), cells, trouble),
                Consolidation::Count => Some(count(measure)),
                Consolidation::None if self.is_at_leaves() => number(measure).next(),
                Consolidation::None => None,
                Consolidation::Formula => self.formula(measure, cells, trouble),
            },
        }
    }

    /// How a dimension is looked at: whether at leaves, and the finest level of each hierarchy.
    fn fineness(&self, position: usize) -> (bool, BTreeMap<usize, usize>) {
        let axes =
            self.question.axes.iter().filter(|axis| axis.0 == position).map(|axis| match axis.1 {
                Grouping::Leaf => Fineness::Leaf,
                Grouping::Level(hierarchy, level) => Fineness::Level(hierarchy, level),
                Grouping::Attribute(_) => Fineness::Free,
            });
        let filters = self.question.filters.iter().filter(|wanted| wanted.position == position);
        let all: Vec<Fineness> = axes.chain(filters.map(|wanted| wanted.fineness)).collect();
        let mut levels = BTreeMap::new();
        for fineness in &all {
            if let Fineness::Level(hierarchy, level) = *fineness {
                let finest = levels.entry(hierarchy).or_insert(level);
                *finest = level.max(*finest);
            }
        }
        (all.contains(&Fineness::Leaf), levels)
    }

    fn is_at_leaves(&self) -> bool {
        let count = self.world.universe.cubes[self.question.cube].dimensions.len();
        (0..count).all(|position| {
            let names_one =
                |wanted: &Wanted| wanted.position == position && wanted.leaves.len() < 2;
            let groups =
                |axis: &(usize, Grouping)| axis.0 == position && matches!(axis.1, Grouping::Leaf);
            self.question.axes.iter().any(groups) || self.question.filters.iter().any(names_one)
        })
    }

    /// What a cell counts for: the product over its dimensions, each up to the level asked for.
    fn cell_weight(&self, coordinate: &Coordinate) -> Exact {
        let mut product = Exact::new(1, 0);
        for (position, key) in coordinate.iter().enumerate() {
            let dimension = self.dimension(position);
            let (at_leaf, mut levels) = self.fineness(position);
            if at_leaf || self.world.universe.dimensions[dimension].hierarchies.is_empty() {
                continue;
            }
            let tops: Vec<(usize, Option<usize>)> = if levels.is_empty() {
                vec![(0, None)]
            } else {
                std::mem::take(&mut levels).into_iter().map(|(h, level)| (h, Some(level))).collect()
            };
            for (hierarchy, level) in tops {
                product = product.multiply(&weight(self.world, dimension, hierarchy, level, key));
            }
        }
        product
    }

    /// Stocks give one value a leaf, flows all; a weight of zero does not count at all.
    fn weighted(&self, measure: usize, cells: &[Cell<'_>]) -> Option<Exact> {
        let scale = self.spec(measure).kind.scale();
        let mut flows: Vec<Exact> = Vec::new();
        let mut stocks: BTreeMap<Coordinate, (String, Exact)> = BTreeMap::new();
        for (coordinate, values) in cells {
            let Some(value) = values[measure] else { continue };
            let weight = self.cell_weight(coordinate);
            if weight.is_zero() {
                continue;
            }
            let value = Exact::new(i128::from(value), scale).multiply(&weight);
            let (summary, position) = self.summary(measure, coordinate);
            if summary == TimeSummary::Sum {
                flows.push(value);
                continue;
            }
            let mut leaf = (*coordinate).clone();
            let date = leaf.remove(position);
            let kept = stocks.get(&leaf).map(|(kept, _)| kept.clone());
            let counts = kept.is_none_or(|kept| {
                if summary == TimeSummary::Last { date > kept } else { date < kept }
            });
            if counts {
                stocks.insert(leaf, (date, value));
            }
        }
        let all = flows.into_iter().chain(stocks.into_values().map(|(_, value)| value));
        all.reduce(|a, b| a.add(&b))
    }

    fn summary(&self, measure: usize, coordinate: &Coordinate) -> (TimeSummary, usize) {
        let Some(rule) = &self.spec(measure).time else { return (TimeSummary::Sum, 0) };
        let chosen = rule.by.and_then(|(position, name)| {
            let dimension = self.dimension(position);
            let kind =
                label(self.world, dimension, &Grouping::Attribute(name), &coordinate[position]);
            rule.rules.iter().find(|(value, _)| *value == kind).map(|(_, summary)| *summary)
        });
        (chosen.unwrap_or(rule.default), rule.position)
    }

    fn formula(&self, measure: usize, cells: &[Cell<'_>], trouble: &mut Trouble) -> Option<Exact> {
        let formula = &self.world.formulas[&(self.question.cube, measure)];
        if formula.at_or_above.is_some_and(|(position, level)| self.is_finer(position, level)) {
            return None;
        }
        let spec = self.spec(measure);
        let group = Group { asking: self, cells };
        let value = formula.expression.value(&group, trouble);
        let stored = assigned(value, spec.kind, spec.half_up, trouble)?;
        Some(Exact::new(i128::from(stored), spec.kind.scale()))
    }

    /// Whether the question looks at a dimension below a level.
    fn is_finer(&self, position: usize, level: &str) -> bool {
        let dimension = &self.world.universe.dimensions[self.dimension(position)];
        let height = |hierarchy: usize, place: usize| {
            dimension.hierarchies[hierarchy].levels.len() - 1 - place
        };
        let of_level = dimension.hierarchies.iter().enumerate().find_map(|(idx, hierarchy)| {
            let place = hierarchy.levels.iter().position(|other| *other == level)?;
            Some(height(idx, place))
        });
        let of_level = of_level.expect("the level is of this dimension");
        let (at_leaf, levels) = self.fineness(position);
        (at_leaf && of_level > 0)
            || levels.into_iter().any(|(hierarchy, place)| height(hierarchy, place) < of_level)
    }
}

fn mean(sum: &Exact, count: usize, scale: u32) -> Exact {
    // a quotient of 28 digits would be rounded twice: compare twice the remainder instead
    let count = Exact::new(count as i128, 0);
    let unit = Exact::new(1, scale);
    let near = sum.divide(&count).expect("there are values").rounded(scale, Ties::Even);
    let candidates = [near.subtract(&unit), near.clone(), near.add(&unit)];
    let distance = |candidate: &Exact| candidate.multiply(&count).subtract(sum);
    let absolute = |number: Exact| {
        if number.compare(&Exact::new(0, 0)).is_lt() { number.negate() } else { number }
    };
    let is_even =
        |candidate: &Exact| candidate.mantissa().is_some_and(|mantissa| mantissa % 2 == 0);
    let best = candidates.into_iter().min_by(|a, b| {
        let by_distance = absolute(distance(a)).compare(&absolute(distance(b)));
        by_distance.then_with(|| is_even(b).cmp(&is_even(a)))
    });
    best.expect("there are three")
}

/// A group as the operands of a formula.
struct Group<'a> {
    asking: &'a Asking<'a>,
    cells: &'a [Cell<'a>],
}

impl Read for Group<'_> {
    fn measure(&self, measure: usize, trouble: &mut Trouble) -> Option<Exact> {
        self.asking.value(Asked::Consolidated(measure), self.cells, trouble)
    }

    fn attribute(&self, _position: usize, _name: &str) -> Option<Exact> {
        unreachable!("a formula of consolidated cells reads no attribute")
    }

    fn sum(&self, _measure: usize) -> Option<Exact> {
        unreachable!("a formula of consolidated cells reads no other cube")
    }
}
