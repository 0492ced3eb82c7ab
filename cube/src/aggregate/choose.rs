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
const LIKELY_MAX: usize = 384;
/// Weight of all likely shapes together, of all that count.
const LIKELY_SHARE: f64 = 0.4;
/// Estimated bytes of a cell: of its count of rows, and of a sum.
const CELL_BYTES: (f64, f64) = (1.0, 4.0);
/// Fewer cells take no less time: a query has more to do than that.
const CELLS_MIN: f64 = 2_000.0;
/// What an aggregate takes beside its cells, in bytes: the time for each write, above all.
const FIXED_BYTES: f64 = 100_000.0;
/// An aggregate must save this part of what all questions took without any.
const SAVED_MIN: f64 = 1e-3;

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

    /// What was seen so far; it counts half from now on.
    pub fn take(&mut self) -> Self {
        let seen = Self(self.0.clone());
        self.0.values_mut().for_each(|asked| {
            asked.count /= 2.0;
            asked.parts.iter_mut().for_each(|sum| *sum /= 2.0);
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
    let questions = questions(seen);
    let mut costs = vec![scan; questions.len()];
    let candidates = candidates(&questions, &sizes, budget as f64);
    let mut chosen: Vec<&Candidate> = Vec::new();
    let mut left = budget as f64;
    let least: f64 = questions.iter().map(|question| question.weight * scan * SAVED_MIN).sum();
    while chosen.len() < AGGREGATES_MAX {
        let saved = |candidate: &Candidate| -> f64 {
            let saved = |(q, now): (&Question, &f64)| match candidate.shape.covers(&q.shape) {
                true => q.weight * (now - candidate.cost(q)).max(0.0),
                false => 0.0,
            };
            questions.iter().zip(&costs).map(saved).sum()
        };
        let open = candidates.iter().filter(|candidate| candidate.bytes <= left);
        let rated = open.map(|candidate| (saved(candidate), candidate));
        let rated = rated.filter(|(saved, _)| *saved > least);
        let per_byte = |(saved, candidate): &(f64, &Candidate)| saved / (candidate.bytes + FIXED_BYTES);
        let Some((_, best)) = rated.max_by(|a, b| per_byte(a).total_cmp(&per_byte(b))) else {
            break;
        };
        left -= best.bytes;
        chosen.push(best);
        costs = questions.iter().map(|question| cheapest(&chosen, question, scan)).collect();
    }
    // what came first may be of little use beside what came later
    let total = |chosen: &[&Candidate]| -> f64 {
        questions.iter().map(|q| q.weight * cheapest(chosen, q, scan)).sum()
    };
    for at in (0..chosen.len()).rev() {
        let mut others = chosen.clone();
        others.remove(at);
        if total(&others) - total(&chosen) < least {
            chosen = others;
        }
    }
    chosen.into_iter().map(|candidate| candidate.shape.clone()).collect()
}

/// What a question takes with some aggregates, in rows scanned.
fn cheapest(chosen: &[&Candidate], question: &Question, scan: f64) -> f64 {
    let covering = chosen.iter().filter(|candidate| candidate.shape.covers(&question.shape));
    covering.map(|candidate| candidate.cost(question)).fold(scan, f64::min)
}

impl Candidate {
    /// What a question that it covers takes: the cells that are read.
    fn cost(&self, question: &Question) -> f64 {
        let wanted: f64 = question.parts.iter().product();
        (self.cells * wanted).max(CELLS_MIN) * CELL_ROWS as f64
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

/// All combinations of keys that are frequent by themselves, the most likely ones, each with the terms
/// that were most often asked for.
fn likely(seen: &Seen, total: f64) -> Vec<Question> {
    let mut usages: BTreeMap<Subject, BTreeMap<Key, Usage>> = BTreeMap::new();
    let mut terms: BTreeMap<&[Arithmetic], f64> = BTreeMap::new();
    for (shape, asked) in &seen.0 {
        for (key, part) in shape.keys.iter().zip(&asked.parts) {
            let usage = usages.entry(subject(key)).or_default().entry(*key).or_default();
            usage.count += asked.count;
            usage.parts += part;
        }
        *terms.entry(&shape.terms).or_default() += asked.count;
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
    let asked_for: f64 = terms.values().sum();
    let mut all = Vec::new();
    for question in combined {
        for (terms, count) in &terms {
            let mut with = question.clone();
            with.weight *= count / asked_for;
            with.shape.terms = terms.to_vec();
            let mut order: Vec<(Key, f64)> =
                with.shape.keys.iter().copied().zip(with.parts.iter().copied()).collect();
            order.sort_by_key(|(key, _)| *key);
            (with.shape.keys, with.parts) = order.into_iter().unzip();
            all.push(with);
        }
    }
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    all.truncate(LIKELY_MAX);
    all
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
