//! Cases of loading, each with the exact answer.

mod adventureworks;
