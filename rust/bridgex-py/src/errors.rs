//! The one place where errors of the core become Python exceptions.

use bridgex_core::Error;
use pyo3::{exceptions::PyKeyboardInterrupt, prelude::*, types::PyDict};

/// The exception of `bridgex.errors` that stands for an error of the core.
pub(crate) fn translate(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).unwrap_or_else(|failure| failure)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let name = match error.kind() {
        "interrupted" => return Ok(PyKeyboardInterrupt::new_err(())),
        "invalid_input" => "InvalidInputError",
        _ => "BridgexError",
    };
    let options = PyDict::new(py);
    options.set_item("hint", error.hint())?;
    let class = py.import("bridgex.errors")?.getattr(name)?;
    Ok(PyErr::from_value(class.call((error.to_string(),), Some(&options))?))
}
