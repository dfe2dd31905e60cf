"""Plain definitions that the fast code is tested against."""
