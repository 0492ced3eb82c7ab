//! Things that are worth keeping from one piece of work to the next, for as many threads as there are.

use std::sync::{Mutex, PoisonError};

/// Things that no thread is using.
#[derive(Debug, Default)]
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    /// Works with one of them, or a new one, and keeps it for the next.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = free().pop().unwrap_or_default();
        let done = work(&mut taken);
        free().push(taken);
        done
    }
}
