//! Where work runs. What somebody waits for at a screen runs on rayon's own pool, and commands of a few cells on a
//! thread for blocking work; what takes its time (loads, large commands, rules, aggregates) runs on a second pool,
//! whose threads give way to the others, so that queries go on beside it. Both pools have a thread a processor. What
//! the SQL engine makes of rows, and that is not quick, has threads of its own too, so that connections are served
//! while an operator is at work.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use crate::sql::complexity::STACK_BYTES;
use thread_priority::{ThreadPriority, set_current_thread_priority};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// Priority of threads in the background, of 100; a thread has 50 unless told otherwise. It is a niceness of
/// 11 on Linux: beside others that are busy such a thread gets about a twelfth of a processor.
const BACKGROUND_PRIORITY: u8 = 20;

/// How soon an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Somebody waits.
    Prompt,
    /// It takes its time.
    Background,
}

static BACKGROUND: LazyLock<Option<rayon::ThreadPool>> = LazyLock::new(|| {
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|at| format!("background-{at}"))
        .stack_size(STACK_BYTES)
        .start_handler(|_| give_way())
        .build();
    pool.inspect_err(|error| tracing::warn!(%error, "no threads for work in the background")).ok()
});

static OPERATORS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.thread_name("operators").enable_all().thread_stack_size(STACK_BYTES);
    let runtime = builder.build();
    runtime.inspect_err(|error| tracing::warn!(%error, "no threads for operators")).ok()
});

/// Where the SQL engine's operators run that are not quick.
pub fn operators() -> Option<&'static Handle> {
    OPERATORS.as_ref().map(Runtime::handle)
}

/// Makes the thread one of the background.
pub fn give_way() {
    let priority = BACKGROUND_PRIORITY.try_into().map(ThreadPriority::Crossplatform);
    let is_set = priority.is_ok_and(|priority| set_current_thread_priority(priority).is_ok());
    if !is_set {
        tracing::debug!("a thread in the background has the priority of all others");
    }
}

/// Makes the pool of this process whose threads do not give way; once, the first call does it.
pub fn start_prompt() {
    let _ = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build_global();
}

impl Pool {
    /// Runs something and gives back what it returned, or its panic.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Box<dyn Any + Send>> {
        let (sender, receiver) = oneshot::channel();
        let work = move || {
            // Whoever asked may have gone away.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        };
        match self {
            // what is short is not worth waking a pool, whose threads go on looking for more
            Self::Prompt => drop(tokio::task::spawn_blocking(work)),
            Self::Background => match BACKGROUND.as_ref() {
                Some(pool) => pool.spawn(work),
                None => rayon::spawn(work),
            },
        }
        receiver.await.unwrap_or_else(|gone| Err(Box::new(gone.to_string())))
    }
}

/// What a panic said.
pub fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// Runs something of a thread in the background, and what it splits off, there.
pub fn in_background<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match BACKGROUND.as_ref() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_in_the_background_has_threads_of_its_own() {
        let name = || std::thread::current().name().map(str::to_owned);
        let background = Pool::Background.run(name).await.ok().flatten();
        assert!(background.is_some_and(|name| name.starts_with("background-")));
        let prompt = Pool::Prompt.run(name).await.ok().flatten();
        assert!(prompt.is_none_or(|name| !name.starts_with("background-")));
        assert!(in_background(name).is_some_and(|name| name.starts_with("background-")));
    }

    #[tokio::test]
    async fn a_panic_comes_back() {
        let panic = Pool::Background.run(|| -> () { panic!("no luck") }).await.unwrap_err();
        assert_eq!(panic_text(panic), "no luck");
    }
}
