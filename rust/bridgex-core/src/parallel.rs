//! A thread pool of our own, built when it is first needed.
//!
//! The global pool of rayon does not survive `fork`: a child that uses it waits for ever for
//! threads that only its parent has. Pools are therefore kept by process id, and a child builds
//! its own.

use std::{
    collections::HashMap,
    process,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, Result, simd};

/// The environment variable that gives the number of threads where a call does not.
pub const VARIABLE: &str = "BRIDGEX_NUM_THREADS";

/// More threads than this are taken for a mistake.
const MOST_THREADS: usize = 1024;

/// Pools by process id and number of threads.
type Pools = HashMap<(u32, usize), Arc<ThreadPool>>;

static POOLS: LazyLock<Mutex<Pools>> = LazyLock::new(Mutex::default);

/// The number of threads a call uses: the argument, else the environment's, else all cores.
///
/// # Errors
/// [`Error::Threads`] when the number is zero or not a number.
pub fn thread_count(threads: Option<usize>) -> Result<usize> {
    if let Some(count) = threads {
        return positive("threads", &count.to_string());
    }
    match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => positive(VARIABLE, &text),
        _ => Ok(thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// Run an operation on a pool of that many threads.
///
/// # Errors
/// [`Error::Threads`] for a bad number of threads, [`Error::ThreadPool`] when they cannot be
/// started, and the errors of [`simd::path`], which the operation's loops rely on.
///
/// # Example
/// ```
/// use rayon::prelude::*;
/// let sum = bridgex_core::parallel::run(Some(2), || (1..=4).into_par_iter().sum::<i32>())?;
/// assert_eq!(sum, 10);
/// # Ok::<(), bridgex_core::Error>(())
/// ```
pub fn run<R: Send>(threads: Option<usize>, operation: impl FnOnce() -> R + Send) -> Result<R> {
    simd::path()?;
    Ok(pool(thread_count(threads)?)?.install(operation))
}

/// Refuse to go on where the caller asked to stop.
///
/// # Errors
/// [`Error::Interrupted`] once `stop` is set.
pub(crate) fn check(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

fn pool(threads: usize) -> Result<Arc<ThreadPool>> {
    let pools = || POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (process::id(), threads);
    if let Some(pool) = pools().get(&key) {
        return Ok(Arc::clone(pool));
    }
    // Built outside the lock: a process that is forked meanwhile would inherit it locked.
    let built = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("bridgex-{index}"))
        .build()
        .map_err(|error| Error::ThreadPool { threads, message: error.to_string() })?;
    Ok(Arc::clone(pools().entry(key).or_insert_with(|| Arc::new(built))))
}

fn positive(what: &'static str, text: &str) -> Result<usize> {
    match text.trim().parse() {
        Ok(count) if (1..=MOST_THREADS).contains(&count) => Ok(count),
        _ => Err(Error::Threads { what, value: text.to_owned() }),
    }
}
