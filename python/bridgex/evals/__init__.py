"""Does the recommended bridge help? Tasks, strategies, scoring and comparison.

Nothing here loads a model: a ``Generator`` is handed in.
"""
