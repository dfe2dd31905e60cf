"""Find the best bridge language inside a multilingual language model, and prove it."""
