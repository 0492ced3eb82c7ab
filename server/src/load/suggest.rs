//! What an unknown member may have been meant to be.

use cube::dimension::Dimension;

use crate::limits::{LOAD_SUGGESTION_MEMBERS_MAX, LOAD_SUGGESTIONS_MAX};

/// Looks for what was meant, as often as the limit allows.
#[derive(Debug, Default)]
pub(super) struct Suggestions {
    given: usize,
}

impl Suggestions {
    /// Why a key is refused, with the nearest keys of a dimension and of others at hand.
    pub fn unknown<'a>(
        &mut self,
        dimension: &'a Dimension,
        key: &str,
        others: impl Iterator<Item = &'a str>,
    ) -> String {
        let reason = format!("member {key:?} of dimension {} does not exist", dimension.def.name);
        let count = dimension.member_count();
        if self.given == LOAD_SUGGESTIONS_MAX || count > LOAD_SUGGESTION_MEMBERS_MAX {
            return reason;
        }
        self.given += 1;
        let named = dimension.members().find(|&member| dimension.name(member) == key);
        if let Some(member) = named {
            return format!("{reason}; {:?} is the key of what has this name", dimension.key(member));
        }
        let keys = dimension.members().map(|member| dimension.key(member));
        let nearest = cube::error::nearest(key, keys.chain(others));
        match nearest.is_empty() {
            true => reason,
            false => format!("{reason}; did you mean {}?", nearest.join(", ")),
        }
    }
}
