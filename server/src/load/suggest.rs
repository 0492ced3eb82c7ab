//! What an unknown member may have been meant to be.

use cube::dimension::Dimension;

use crate::limits::{LOAD_SUGGESTION_MEMBERS_MAX, LOAD_SUGGESTIONS_MAX};

/// Looks for what was meant, as often as the limit allows.
#[derive(Debug, Default)]
pub(super) struct Suggestions {
    given: usize,
}

impl Suggestions {
    /// Why a text that is no key is refused, with the key of the member it names.
    pub fn no_key(&mut self, dimension: &Dimension, key: &str, reason: String) -> String {
        if self.is_spent(dimension) {
            return reason;
        }
        match named(dimension, key) {
            Some(named) => format!("{reason}; {named}"),
            None => reason,
        }
    }

    /// Whether nothing more is looked for; counts.
    fn is_spent(&mut self, dimension: &Dimension) -> bool {
        let is_spent = self.given == LOAD_SUGGESTIONS_MAX
            || dimension.member_count() > LOAD_SUGGESTION_MEMBERS_MAX;
        self.given += usize::from(!is_spent);
        is_spent
    }

    /// Why a key is refused, with the nearest keys of a dimension and of others at hand.
    pub fn unknown<'a>(
        &mut self,
        dimension: &'a Dimension,
        key: &str,
        others: impl Iterator<Item = &'a str>,
    ) -> String {
        let keys = dimension.members().map(|member| dimension.key(member));
        self.unknown_among(dimension, key, keys.chain(others))
    }

    /// Why a key is refused, with the nearest of some keys.
    pub fn unknown_among<'a>(
        &mut self,
        dimension: &Dimension,
        key: &str,
        keys: impl Iterator<Item = &'a str>,
    ) -> String {
        let name = &dimension.def.name;
        let reason = format!("member {key:?} of dimension {name} does not exist");
        if dimension.member_count() == 0 {
            return format!(
                "{reason}: the dimension has no members yet; load them first, with --dimension {name}"
            );
        }
        if let Some(outside) = dimension.outside_calendar(key) {
            return outside.to_string();
        }
        if self.is_spent(dimension) {
            return reason;
        }
        if let Some(named) = named(dimension, key) {
            return format!("{reason}; {named}");
        }
        let nearest = cube::error::nearest(key, keys);
        match nearest.is_empty() {
            true => reason,
            false => format!("{reason}; did you mean {}?", nearest.join(", ")),
        }
    }
}

fn named(dimension: &Dimension, name: &str) -> Option<String> {
    let member = dimension.members().find(|&member| dimension.name(member) == name)?;
    Some(format!("{:?} is the key of what has this name", dimension.key(member)))
}
