"""Where work runs: a model's activations into a store."""
