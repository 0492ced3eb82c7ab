//! The sample company Meridian: a model, and members and rows made from a seed.
//!
//! The model is a folder of files as a user would write it, and the rows are ordinary changes, so
//! that the demo takes the same way in as everything else. Nothing here reads a clock or a file:
//! the same seed gives the same company, and `docs/demo.md` states its figures.

mod deals;
mod finance;
mod members;
mod random;

use cube::{Change, Result, Version};

use crate::model_files::ModelFiles;
use random::Random;

/// The seed of the company that `docs/demo.md` describes.
pub const SEED: u64 = 20_240_101;

const MODEL: [(&str, &str); 15] = [
    ("model.toml", include_str!("demo/model/model.toml")),
    ("dimensions/account.toml", include_str!("demo/model/dimensions/account.toml")),
    ("dimensions/currency.toml", include_str!("demo/model/dimensions/currency.toml")),
    ("dimensions/customer.toml", include_str!("demo/model/dimensions/customer.toml")),
    ("dimensions/date.toml", include_str!("demo/model/dimensions/date.toml")),
    ("dimensions/entity.toml", include_str!("demo/model/dimensions/entity.toml")),
    ("dimensions/product.toml", include_str!("demo/model/dimensions/product.toml")),
    ("dimensions/region.toml", include_str!("demo/model/dimensions/region.toml")),
    ("dimensions/rep.toml", include_str!("demo/model/dimensions/rep.toml")),
    ("dimensions/scenario.toml", include_str!("demo/model/dimensions/scenario.toml")),
    ("cubes/deals.toml", include_str!("demo/model/cubes/deals.toml")),
    ("cubes/exchange_rate.toml", include_str!("demo/model/cubes/exchange_rate.toml")),
    ("cubes/finance.toml", include_str!("demo/model/cubes/finance.toml")),
    ("cubes/quota.toml", include_str!("demo/model/cubes/quota.toml")),
    ("rules/sales.toml", include_str!("demo/model/rules/sales.toml")),
];

/// The company's model.
pub fn model_files() -> ModelFiles {
    let files = MODEL.iter().map(|(path, text)| ((*path).to_string(), (*text).to_string()));
    ModelFiles { files: files.collect() }
}

/// The company's members, then its rows, for a version that has its model and no members yet.
///
/// # Errors
/// A version without the model.
pub fn changes(version: &Version) -> Result<Vec<Change>> {
    generate(version, SEED)
}

/// The same for a company of another seed.
///
/// # Errors
/// A version without the model.
pub fn generate(version: &Version, seed: u64) -> Result<Vec<Change>> {
    let mut random = Random::new(seed);
    let (members, customers) = members::all(version, &mut random)?;
    let mut version = version.clone();
    for write in &members {
        version = version.with_members(write)?;
    }
    let mut rows = deals::all(&version, &mut random, &customers)?;
    rows.extend(finance::all(&version, &mut random)?);
    let members = members.into_iter().map(Change::Members);
    Ok(members.chain(rows.into_iter().map(Change::Rows)).collect())
}

#[cfg(test)]
pub(crate) mod tests;
