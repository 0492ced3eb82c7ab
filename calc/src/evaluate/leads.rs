//! How points lead to others member by member: `rep`, its region, the month before. Such paths are
//! composed once into tables of codes, so that a block of rows is coded in one pass over its columns,
//! without the members in between.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use cube::{CubeId, DimensionId, MemberId};

use super::Session;
use crate::node::{Frame, Kind, MemberMap, Node};
use crate::points::{Block, Coder, OUTSIDE};

/// Tables may have so many entries for a point that is coded by them.
const ENTRIES_PER_POINT: usize = 4;

/// A member of a point, followed through maps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Path {
    /// From the member of an axis, the last map first.
    Axis(usize, DimensionId, Vec<(DimensionId, MemberMap)>),
    /// Always the same member.
    Member(MemberId),
}

/// The codes of points: what each member of an axis adds to them.
#[derive(Debug)]
pub(super) struct Leads {
    /// What every code has.
    base: u32,
    /// An axis, and per member of its dimension what it adds.
    tables: Vec<(usize, Vec<u32>)>,
}

/// How points lead to the cells of a cube by paths, where tables are worth it.
pub(super) type Known = HashMap<(CubeId, Vec<Path>), Option<Arc<Leads>>>;

/// The paths that nodes are; none where one is more than a path.
pub(super) fn paths<'n>(
    session: &Session<'_>,
    nodes: impl Iterator<Item = &'n Node>,
    frame: &Frame,
) -> Option<Vec<Path>> {
    nodes.map(|node| path(session, node, frame)).collect()
}

/// The paths to a frame's own axes.
pub(super) fn own_paths(frame: &Frame) -> Vec<Path> {
    let axes = frame.axes.iter().enumerate();
    axes.map(|(at, axis)| Path::Axis(at, axis.dimension, Vec::new())).collect()
}

fn path(session: &Session<'_>, node: &Node, frame: &Frame) -> Option<Path> {
    match &node.kind {
        Kind::Axis(axis) => Some(Path::Axis(*axis, frame.axes[*axis].dimension, Vec::new())),
        Kind::MemberLiteral(dimension, text) => {
            Some(Path::Member(session.tables.literal(session.version, *dimension, text)))
        }
        Kind::Map(inner, dimension, map) => match path(session, inner, frame)? {
            Path::Axis(axis, of, mut maps) => {
                maps.insert(0, (*dimension, map.clone()));
                Some(Path::Axis(axis, of, maps))
            }
            Path::Member(member) => {
                let table = session.tables.map(session.version, *dimension, map);
                Some(Path::Member(table.get(member)))
            }
        },
        _ => None,
    }
}

impl Leads {
    /// Paths as tables, worth making for so many points; none where they are not, or where the codes
    /// are too many for an array.
    pub fn new(
        session: &Session<'_>,
        paths: &[Path],
        coder: &Coder,
        points: usize,
    ) -> Option<Self> {
        coder.dense_space()?;
        let entries = paths.iter().map(|path| match path {
            Path::Axis(_, dimension, _) => session.version.dimension(*dimension).member_count(),
            Path::Member(_) => 0,
        });
        if entries.sum::<usize>() > points.saturating_mul(ENTRIES_PER_POINT) {
            return None;
        }
        let mut leads = Self { base: 0, tables: Vec::new() };
        for (position, path) in paths.iter().enumerate() {
            let (axis, dimension, maps) = match path {
                Path::Axis(axis, dimension, maps) => (*axis, *dimension, maps),
                Path::Member(member) => {
                    leads.base += coder.added(position, *member);
                    continue;
                }
            };
            let maps = maps.iter().rev();
            let maps: Vec<_> =
                maps.map(|(from, map)| session.tables.map(session.version, *from, map)).collect();
            let count = session.version.dimension(dimension).member_count();
            let added = (0..count).map(MemberId::from_idx).map(|member| {
                coder.added(position, maps.iter().fold(member, |member, map| map.get(member)))
            });
            match leads.tables.iter_mut().find(|(other, _)| *other == axis) {
                Some((_, table)) => {
                    table.iter_mut().zip(added).for_each(|(sum, more)| *sum += more)
                }
                None => leads.tables.push((axis, added.collect())),
            }
        }
        Some(leads)
    }

    /// The code of every point of a block, past the end of all codes where it leads nowhere.
    pub fn codes(&self, block: &Block) -> Vec<u32> {
        let mut codes = vec![self.base; block.len];
        for (axis, table) in &self.tables {
            let Some(origin) = &block.origin else {
                let members = block.members[*axis].iter();
                add(&mut codes, members.map(|member| member.0), table);
                continue;
            };
            origin.segment.coordinates[*axis].visit(&origin.rows, |at, member| {
                codes[at] += table.get(member.idx()).copied().unwrap_or(OUTSIDE);
            });
        }
        codes
    }
}

fn add(codes: &mut [u32], members: impl Iterator<Item = u32>, table: &[u32]) {
    for (code, member) in codes.iter_mut().zip(members) {
        *code += table.get(member as usize).copied().unwrap_or(OUTSIDE);
    }
}

impl Session<'_> {
    /// How points lead to the cells of a cube, made once; none where tables are not worth it.
    pub(super) fn leads_to_cube(
        &self,
        cube: CubeId,
        paths: Vec<Path>,
        coder: &Coder,
    ) -> Option<Arc<Leads>> {
        let mut known = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        let volume = self.volume();
        let leads = known.entry((cube, paths));
        let leads = leads
            .or_insert_with_key(|(_, paths)| Leads::new(self, paths, coder, volume).map(Arc::new));
        leads.clone()
    }
}
