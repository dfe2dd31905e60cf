"""Libraries that share no code with bridgex give the same numbers."""

from importlib.util import find_spec

import pytest

MISSING = [library for library in ("dcor", "repsim") if find_spec(library) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"needs {MISSING}, which the dev extra brings")
def test_every_estimator_agrees_with_two_libraries() -> None:
    from benches.python.agreement import BANDWIDTHS, compare

    rows = list(compare())
    cases = 2 * (2 * len(BANDWIDTHS) + 1)  # normalize × (kernel estimators × bandwidth + linear)
    assert sum(row.library == "dcor" for row in rows) == cases
    assert sum(row.library == "repsim" for row in rows) == cases
    assert [row for row in rows if not row.difference <= 1e-10] == []
