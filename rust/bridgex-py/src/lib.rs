//! `bridgex._native`: arrays in, arrays out, errors translated.

mod call;
mod dependence;
mod errors;
mod sets;

use pyo3::prelude::*;

/// The compiled core of bridgex.
#[pymodule]
mod _native {
    use pyo3::{exceptions::PyRuntimeWarning, prelude::*, types::PyDict};

    #[pymodule_export]
    use super::dependence::{dependence, p_values, resampled_scores, spectrum_scores};
    #[pymodule_export]
    use super::sets::{overlap_counts, top_k};

    /// Version, profile, SIMD path and number of threads of this build on this machine.
    #[pyfunction]
    fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let translated = |error| crate::errors::translate(py, &error);
        let threads = bridgex_core::parallel::thread_count(None).map_err(translated)?;
        let path = bridgex_core::simd::path().map_err(translated)?;
        let info = PyDict::new(py);
        info.set_item("version", env!("CARGO_PKG_VERSION"))?;
        info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
        info.set_item("simd", path.name())?;
        info.set_item("threads", threads)?;
        Ok(info)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        if cfg!(debug_assertions) {
            let message = c"bridgex._native is a debug build and very slow; run `make setup`";
            let category = module.py().get_type::<PyRuntimeWarning>();
            PyErr::warn(module.py(), &category, message, 1)?;
        }
        Ok(())
    }
}
