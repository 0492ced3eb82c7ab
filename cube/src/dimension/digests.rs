//! Digests of members' keys, from which rows are hashed.

use std::sync::Arc;

use rayon::prelude::*;

use super::Dimension;
use crate::id::MemberId;
use crate::state_hash::{NameDigest, Piece};

/// All members get their digest where there are not many more than rows that ask for one.
const MEMBERS_A_ROW: usize = 2;
/// Members that a thread takes at once.
const MEMBERS_A_TASK: usize = 1_024;

impl Dimension {
    /// The digest of a member's key and its dimension.
    pub(crate) fn digest(&self, member: MemberId) -> NameDigest {
        NameDigest::of(Piece::new("key").text(&self.def.name).text(self.key(member)))
    }

    /// The digests of all members, if they are known or about so many rows are worth making them.
    pub(crate) fn digests(&self, row_count: usize) -> Option<&[NameDigest]> {
        let count = self.member_count();
        let make = || -> Arc<[NameDigest]> {
            let members = (0..count).into_par_iter().with_min_len(MEMBERS_A_TASK);
            members.map(|at| self.digest(MemberId::from_idx(at))).collect()
        };
        match count <= row_count.saturating_mul(MEMBERS_A_ROW) {
            true => Some(self.digests.get_or_init(make)),
            false => self.digests.get().map(AsRef::as_ref),
        }
    }
}
