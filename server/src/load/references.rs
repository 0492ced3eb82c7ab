//! Attributes whose values are keys of members: the key in its one spelling, and keys of members
//! that are not there yet, which later loads may bring.

use cube::dimension::Dimension;
use cube::{KeyType, Scalar};

use super::report::Unresolved;

/// The canonical key of what a text names in a dimension, whether there is such a member or not.
pub(super) fn canonical_key(of: &Dimension, text: &str) -> Result<String, String> {
    if of.find(text).is_some() {
        return Ok(text.to_string());
    }
    let has_upper_levels = of.def.levels.len() > 1;
    let canonical = of.def.key_type.canonical(text);
    let canonical = match canonical {
        Err(_) if has_upper_levels => KeyType::Text.canonical(text),
        other => other,
    };
    canonical.map_err(|error| format!("dimension {}: {error}", of.def.name))
}

/// The key that a value is.
pub(super) fn key_of(value: Option<&Scalar>) -> Option<&str> {
    match value {
        Some(Scalar::Text(key)) => Some(key),
        _ => None,
    }
}

/// What is to be said of an attribute's keys that name no member; nothing where there are none.
pub(super) fn unresolved<'k>(
    attribute: &str,
    dimension: &str,
    missing: impl Iterator<Item = &'k str>,
) -> Option<Unresolved> {
    let mut missing = missing.peekable();
    let example = (*missing.peek()?).to_string();
    let (attribute, dimension) = (attribute.to_string(), dimension.to_string());
    Some(Unresolved { attribute, dimension, example, count: missing.count() })
}
