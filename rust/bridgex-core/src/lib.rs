//! Bitsets, top-k selection and kernel dependence between sets of neurons.
