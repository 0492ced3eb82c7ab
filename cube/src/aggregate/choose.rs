//! Which aggregates are worth their memory: by what was asked for, and by what is likely to be.
//!
//! A question that nobody asked yet is as likely as the levels that it names are frequent among those
//! that were asked for, dimension by dimension. Of all shapes, the one that saves most per byte is
//! chosen first, then the one that saves most beyond it, as long as there is room.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::value_bounds;
use super::{CELL_ROWS, Key, Shape};
use crate::id::CubeId;
use crate::limits::{AGGREGATE_CELLS_MAX, AGGREGATES_MAX};
use crate::rollup::Arithmetic;
use crate::version::Version;

/// Shapes that are remembered.
const SEEN_MAX: usize = 256;
/// Likely shapes that are looked at beside those seen.
const LIKELY_MAX: usize = 640;
/// Terms that likely shapes ask for: those that were asked for most often.
const LIKELY_TERMS_MAX: usize = 4;
/// What was asked for counts less from one choice to the next.
const FADING: f64 = 0.8;
/// Weight of all likely shapes together, of all that count.
const LIKELY_SHARE: f64 = 0.4;
/// Estimated bytes of a cell: of its count of rows, and of a sum.
const CELL_BYTES: (f64, f64) = (1.0, 4.0);
/// Fewer cells take no less time: a query has more to do than that.
const CELLS_MIN: f64 = 2_000.0;
/// What an aggregate takes beside its cells, as a part of the budget: time for each write, above all.
const FIXED_PART: f64 = 0.002;
/// An aggregate must save this part of what all questions took without any.
const SAVED_MIN: f64 = 2e-4;

/// The rollups of a cube that were asked for.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<Shape, Asked>);

/// How often a shape was asked for.
#[derive(Debug, Clone)]
struct Asked {
    count: f64,
    /// Per key, the part of its groups that was wanted, added up over all times.
    parts: Vec<f64>,
}

impl Seen {
    pub fn add(&mut self, shape: &Shape, parts: &[f32]) {
        if let Some(asked) = self.0.get_mut(shape) {
            asked.count += 1.0;
            asked.parts.iter_mut().zip(parts).for_each(|(sum, part)| *sum += f64::from(*part));
            return;
        }
        if self.0.len() >= SEEN_MAX {
            let rarest = self.0.iter().min_by(|a, b| a.1.count.total_cmp(&b.1.count));
            let rarest = rarest.map(|(shape, _)| shape.clone());
            rarest.and_then(|shape| self.0.remove(&shape));
        }
        let parts = parts.iter().map(|part| f64::from(*part)).collect();
        self.0.insert(shape.clone(), Asked { count: 1.0, parts });
    }

    /// What was seen so far; it counts less from now on.
    pub fn take(&mut self) -> Self {
        let seen = Self(self.0.clone());
        self.0.values_mut().for_each(|asked| {
            asked.count *= FADING;
            asked.parts.iter_mut().for_each(|sum| *sum *= FADING);
        });
        self.0.retain(|_, asked| asked.count >= 0.1);
        seen
    }
}

/// A question and how much it counts.
#[derive(Debug, Clone)]
struct Question {
    shape: Shape,
    /// Per key of the shape, the part of its groups that is wanted.
    parts: Vec<f64>,
    weight: f64,
}

/// A shape that may be kept.
struct Candidate {
    shape: Shape,
    cells: f64,
    bytes: f64,
}

/// The shapes to keep, the most useful ones first.
pub(super) fn choose(seen: &Seen, version: &Version, cube: CubeId, budget: usize) -> Vec<Shape> {
    let sizes = Sizes::new(seen, version, cube);
    let scan = version.rows(cube).row_count() as f64;
    let budget = budget as f64;
    let questions = questions(seen);
    let candidates = candidates(&questions, &sizes, budget);
    // what each question takes with each candidate
    let costs: Vec<Vec<f64>> = candidates
        .iter()
        .map(|candidate| questions.iter().map(|question| candidate.cost(question, scan)).collect())
        .collect();
    let with = |chosen: &[usize]| -> Vec<f64> {
        let least =
            |question: usize| chosen.iter().map(|&at| costs[at][question]).fold(scan, f64::min);
        (0..questions.len()).map(least).collect()
    };
    let saved = |before: &[f64], after: &[f64]| -> f64 {
        let each = questions.iter().zip(before).zip(after);
        each.map(|((question, before), after)| question.weight * (before - after).max(0.0)).sum()
    };
    let least = SAVED_MIN * scan;
    let mut chosen: Vec<usize> = Vec::new();
    let mut left = budget;
    while chosen.len() < AGGREGATES_MAX {
        let now = with(&chosen);
        let open = (0..candidates.len()).filter(|&at| candidates[at].bytes <= left);
        let rated =
            open.map(|at| (saved(&now, &costs[at]), at)).filter(|(saved, _)| *saved > least);
        let per_byte =
            |(saved, at): &(f64, usize)| saved / (candidates[*at].bytes + FIXED_PART * budget);
        let Some((_, best)) = rated.max_by(|a, b| per_byte(a).total_cmp(&per_byte(b))) else {
            break;
        };
        left -= candidates[best].bytes;
        chosen.push(best);
    }
    // what came first may be of little use beside what came later
    for at in (0..chosen.len()).rev() {
        let mut others = chosen.clone();
        others.remove(at);
        if saved(&with(&others), &with(&chosen)) < least {
            chosen = others;
        }
    }
    chosen.into_iter().map(|at| candidates[at].shape.clone()).collect()
}

impl Candidate {
    /// What a question takes, in rows scanned: the cells that are read, or all rows.
    fn cost(&self, question: &Question, scan: f64) -> f64 {
        if !self.shape.covers(&question.shape) {
            return scan;
        }
        let wanted: f64 = question.parts.iter().product();
        let cells = (self.cells * wanted).max(CELLS_MIN) * CELL_ROWS as f64;
        cells.min(scan)
    }
}

/// What was asked for, and what is likely to be.
fn questions(seen: &Seen) -> Vec<Question> {
    let total: f64 = seen.0.values().map(|asked| asked.count).sum();
    let mut questions: Vec<Question> = Vec::new();
    for (shape, asked) in &seen.0 {
        let parts = asked.parts.iter().map(|sum| sum / asked.count).collect();
        let weight = (1.0 - LIKELY_SHARE) * asked.count / total.max(1.0);
        questions.push(Question { shape: shape.clone(), parts, weight });
    }
    let likely = likely(seen, total);
    let sum: f64 = likely.iter().map(|question| question.weight).sum();
    questions.extend(likely.into_iter().map(|question| Question {
        weight: LIKELY_SHARE * question.weight / sum.max(f64::MIN_POSITIVE),
        ..question
    }));
    questions
}

/// Per thing that keys tell apart, a dimension or a measure.
type Subject = (Option<usize>, Option<Key>);

fn subject(key: &Key) -> Subject {
    match key.position() {
        Some(position) => (Some(position), None),
        None => (None, Some(*key)),
    }
}

/// How often a key was used, and which part of its groups was wanted in all these times.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    count: f64,
    parts: f64,
}

/// The most likely combinations of keys that were used, each with the terms that were asked for most
/// often.
fn likely(seen: &Seen, total: f64) -> Vec<Question> {
    let mut usages: BTreeMap<Subject, BTreeMap<Key, Usage>> = BTreeMap::new();
    let mut terms: BTreeMap<&Arithmetic, f64> = BTreeMap::new();
    for (shape, asked) in &seen.0 {
        for (key, part) in shape.keys.iter().zip(&asked.parts) {
            let usage = usages.entry(subject(key)).or_default().entry(*key).or_default();
            usage.count += asked.count;
            usage.parts += part;
        }
        shape.terms.iter().for_each(|term| *terms.entry(term).or_default() += asked.count);
    }
    let start = Question { shape: Shape::default(), parts: Vec::new(), weight: 1.0 };
    let mut combined = vec![start];
    for keys in usages.values() {
        let used: f64 = keys.values().map(|usage| usage.count).sum();
        let mut next = Vec::new();
        for question in &combined {
            let without = question.weight * (1.0 - used / total).max(0.02);
            next.push(Question { weight: without, ..question.clone() });
            for (key, usage) in keys {
                let mut with = question.clone();
                with.shape.keys.push(*key);
                with.parts.push(usage.parts / usage.count);
                with.weight *= usage.count / total;
                next.push(with);
            }
        }
        next.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        next.truncate(LIKELY_MAX);
        combined = next;
    }
    let mut often: Vec<(&Arithmetic, f64)> = terms.into_iter().collect();
    often.sort_by(|a, b| b.1.total_cmp(&a.1));
    often.truncate(LIKELY_TERMS_MAX);
    let mut terms: Vec<Arithmetic> = often.into_iter().map(|(term, _)| term.clone()).collect();
    terms.sort_unstable();
    for question in &mut combined {
        let keys = question.shape.keys.iter().copied().zip(question.parts.iter().copied());
        let mut order: Vec<(Key, f64)> = keys.collect();
        order.sort_by_key(|(key, _)| *key);
        (question.shape.keys, question.parts) = order.into_iter().unzip();
        question.shape.terms.clone_from(&terms);
    }
    combined
}

/// The shapes of all questions and of pairs of those that count most, as far as there is room for them.
fn candidates(questions: &[Question], sizes: &Sizes, budget: f64) -> Vec<Candidate> {
    let mut by_weight: Vec<&Question> = questions.iter().collect();
    by_weight.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let mut shapes: BTreeSet<Shape> = questions.iter().map(|q| q.shape.clone()).collect();
    let often: Vec<&Shape> = by_weight.iter().take(32).map(|question| &question.shape).collect();
    for (at, a) in often.iter().enumerate() {
        shapes.extend(often[at + 1..].iter().map(|b| a.union(b)));
    }
    let candidate = |shape: Shape| {
        let cells = sizes.cells(&shape)?;
        let cell = CELL_BYTES.0 + CELL_BYTES.1 * shape.terms.len() as f64;
        let bytes = cells * cell;
        (bytes <= budget).then_some(Candidate { shape, cells, bytes })
    };
    shapes.into_iter().filter_map(candidate).collect()
}

/// How many groups each key tells apart.
struct Sizes(BTreeMap<Key, Option<f64>>);

impl Sizes {
    fn new(seen: &Seen, version: &Version, cube: CubeId) -> Self {
        let def = version.model.cube_def(cube);
        let of_key = |key: &Key| match *key {
            Key::Members(position) => {
                Some(version.dimension(def.dimensions[position]).member_count() as f64)
            }
            Key::Level(position, hierarchy, level) => {
                let dimension = version.dimension(def.dimensions[position]);
                Some(dimension.groups(def.levels[position], hierarchy, level).len() as f64)
            }
            Key::Values(measure) => {
                value_bounds(version, cube, measure).map(|(low, high)| (high - low + 2) as f64)
            }
        };
        let mut sizes = BTreeMap::new();
        for key in seen.0.keys().flat_map(|shape| &shape.keys) {
            sizes.entry(*key).or_insert_with(|| of_key(key));
            // what two shapes have in common may be the members themselves
            if let Some(position) = key.position() {
                let members = Key::Members(position);
                sizes.entry(members).or_insert_with(|| of_key(&members));
            }
        }
        Self(sizes)
    }

    /// Cells of a shape; none where there would be too many.
    fn cells(&self, shape: &Shape) -> Option<f64> {
        let each = shape.keys.iter().map(|key| self.0.get(key).copied().flatten());
        let cells: f64 = each.collect::<Option<Vec<f64>>>()?.into_iter().product();
        (cells <= AGGREGATE_CELLS_MAX as f64).then_some(cells)
    }
}
