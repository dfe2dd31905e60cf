//! Running the core without the interpreter's lock, but within reach of Ctrl-C.

use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use bridgex_core::Result;
use pyo3::prelude::*;

use crate::errors::translate;

/// How often signals are looked at while the core works.
const INTERVAL: Duration = Duration::from_millis(50);

/// An operation of fewer steps, of some nanoseconds at most, ends before signals are looked at.
const SHORT: usize = 1 << 24;

/// Run an operation of so many steps with the lock released: see [`interruptible`].
///
/// A short one is not worth a thread.
pub(crate) fn sized<R: Send>(
    py: Python<'_>,
    steps: usize,
    operation: impl FnOnce(&AtomicBool) -> Result<R> + Send,
) -> PyResult<R> {
    if steps >= SHORT {
        return interruptible(py, operation);
    }
    let result = py.detach(|| operation(&AtomicBool::new(false)));
    result.map_err(|error| translate(py, &error))
}

/// Run a long operation with the lock released; a signal sets its flag and is raised when it ends.
#[allow(clippy::redundant_closure_for_method_calls)] // the bare method has one lifetime only
pub(crate) fn interruptible<R: Send>(
    py: Python<'_>,
    operation: impl FnOnce(&AtomicBool) -> Result<R> + Send,
) -> PyResult<R> {
    let stop = AtomicBool::new(false);
    let mut signal = Ok(());
    let result = py.detach(|| {
        thread::scope(|scope| {
            let (done, finished) = channel::<()>();
            let flag = &stop;
            let worker = scope.spawn(move || {
                let result = operation(flag);
                drop(done);
                result
            });
            while finished.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if signal.is_ok() {
                    signal = Python::attach(|py| py.check_signals());
                    stop.store(signal.is_err(), Ordering::Relaxed);
                }
            }
            worker.join()
        })
    });
    signal?;
    match result {
        Ok(result) => result.map_err(|error| translate(py, &error)),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
