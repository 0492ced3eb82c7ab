//! Questions to the budget when all is computed, each with the time that it takes and its answer in short: the number
//! of groups and what they add up to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use calc::Revision;
use cube::dimension::Dimension;
use cube::rollup::{Arithmetic, Axis, Filter, Grain, Operator, Output, Request, rollup};
use cube::{HierarchyId, MeasureId, MemberId, View};

use crate::model::{BUDGET, month_members};

const SCENARIO: usize = 0;
const MONTH: usize = 1;
const ENTITY: usize = 2;
const DEPARTMENT: usize = 3;
const PRODUCT: usize = 4;
const CHANNEL: usize = 5;
const SEGMENT: usize = 6;
const CURRENCY: usize = 7;

const UNITS: MeasureId = MeasureId(0);
const PRICE: MeasureId = MeasureId(1);
const NET: MeasureId = MeasureId(6);
const MARGIN: MeasureId = MeasureId(7);

/// The upper level of a dimension: regions, categories.
const UPPER: (HierarchyId, usize) = (HierarchyId(0), 0);
const RUNS: usize = 15;

/// What is known of a question that was asked.
pub struct Asked {
    pub groups: usize,
    pub total: i128,
    pub median: Duration,
}

struct Budget<'a> {
    revision: &'a Revision,
}

impl Budget<'_> {
    fn dimension(&self, position: usize) -> &Dimension {
        let version = &self.revision.version;
        version.dimension(version.model.cube_def(BUDGET).dimensions[position])
    }

    /// By the members that hold cells.
    fn leaves(&self, position: usize) -> Axis {
        let cardinality = self.dimension(position).member_count() as u32;
        Axis {
            position,
            codes: Arc::new((0..cardinality).collect()),
            cardinality,
            grain: Grain::Leaf,
        }
    }

    fn upper(&self, position: usize) -> Axis {
        let groups = self.dimension(position).groups(None, UPPER.0, UPPER.1);
        let cardinality = groups.len() as u32;
        let grain = Grain::Level(UPPER.0, UPPER.1);
        Axis { position, codes: Arc::new(groups.codes.clone()), cardinality, grain }
    }

    /// The n-th member that holds cells.
    fn only(&self, position: usize, n: usize) -> Filter {
        let dimension = self.dimension(position);
        let mut leaves = dimension.members().filter(|&member| dimension.holds_facts(member));
        let members = leaves.nth(n).map(|member| member.0).into_iter().collect();
        Filter { position, members, grain: Grain::Leaf, level: None }
    }

    /// What is below the n-th member of the upper level.
    fn below(&self, position: usize, n: u32) -> Filter {
        let dimension = self.dimension(position);
        let above = &dimension.shape(UPPER.0).ancestors[UPPER.1];
        let leaves = dimension.members().filter(|&member| dimension.holds_facts(member));
        let members = leaves.filter(|leaf| above[leaf.idx()] == MemberId(n)).map(|leaf| leaf.0);
        Filter { position, members: members.collect(), grain: Grain::Free, level: Some(UPPER) }
    }

    fn first_year(&self) -> Filter {
        let months = month_members(self.revision);
        let members = months[..12].iter().map(|month| month.0).collect();
        Filter { position: MONTH, members, grain: Grain::Leaf, level: None }
    }
}

/// The questions of `queries()` in `xtask/peers/planning_polars.py`.
pub fn ask(revision: &Revision) -> Vec<Asked> {
    let budget = Budget { revision };
    let sums = |measures: &[MeasureId]| measures.iter().map(|&m| Output::Sum(m)).collect();
    let takings = Arithmetic::Binary(
        Operator::Times,
        Box::new(Arithmetic::Measure(UNITS)),
        Box::new(Arithmetic::Measure(PRICE)),
    );
    let requests = [
        Request {
            axes: vec![budget.leaves(ENTITY), budget.leaves(MONTH)],
            filters: vec![budget.only(SCENARIO, 0)],
            outputs: sums(&[NET]),
            ..Request::of(BUDGET)
        },
        Request {
            axes: vec![budget.upper(PRODUCT), budget.leaves(CHANNEL)],
            filters: vec![budget.only(SCENARIO, 1), budget.first_year()],
            outputs: sums(&[NET, MARGIN]),
            ..Request::of(BUDGET)
        },
        Request {
            axes: vec![budget.leaves(PRODUCT)],
            filters: vec![budget.only(SCENARIO, 0), budget.below(ENTITY, 2)],
            outputs: sums(&[UNITS]),
            ..Request::of(BUDGET)
        },
        Request {
            axes: vec![budget.leaves(SCENARIO)],
            outputs: sums(&[NET]),
            ..Request::of(BUDGET)
        },
        Request {
            axes: vec![budget.leaves(DEPARTMENT), budget.leaves(SEGMENT)],
            filters: vec![budget.below(PRODUCT, 3)],
            outputs: sums(&[MARGIN]),
            ..Request::of(BUDGET)
        },
        Request {
            axes: vec![budget.leaves(CURRENCY)],
            filters: vec![budget.only(CHANNEL, 2), budget.only(SCENARIO, 2)],
            computed: vec![takings],
            outputs: vec![Output::SumOf(0)],
            ..Request::of(BUDGET)
        },
    ];
    let view = View::unrestricted(Arc::clone(&revision.version));
    requests.iter().map(|request| asked(&view, request)).collect()
}

fn asked(view: &View, request: &Request<'_>) -> Asked {
    let (mut times, mut found) = (Vec::new(), (0, 0));
    // once more than is counted: level columns are made then
    for run in 0..=RUNS {
        let started = Instant::now();
        let answer = match rollup(view, request) {
            Ok(answer) => answer,
            Err(error) => panic!("{error}"),
        };
        if run > 0 {
            times.push(started.elapsed());
        }
        let values = answer.columns.iter().flat_map(|column| column.values.iter().flatten());
        found = (answer.group_count, values.sum());
    }
    times.sort_unstable();
    Asked { groups: found.0, total: found.1, median: times[RUNS / 2] }
}
