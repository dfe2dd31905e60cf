"""What stderr shows of work."""

from __future__ import annotations

import pytest

from bridgex.cli import progress
from bridgex.cli.progress import Lines, Terminal


@pytest.mark.parametrize("passing", [False, True])
def test_short_work_leaves_a_line_unless_it_is_passing(
    capsys: pytest.CaptureFixture[str], *, passing: bool
) -> None:
    with Lines(passing=passing).task("resampling", total=2, unit="layers") as work:
        work.advance(1)
        work.advance(1)
    assert ("resampling: done in 0 s" in capsys.readouterr().err) is not passing


def test_long_work_is_told_of_in_any_case(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with Lines(passing=True).task("resampling", total=2, unit="layers") as work:
        work.advance(1)
    assert "resampling: 1 of 2 layers" in capsys.readouterr().err


@pytest.mark.parametrize("passing", [False, True])
def test_a_bar_counts_what_is_done(capsys: pytest.CaptureFixture[str], *, passing: bool) -> None:
    with Terminal(passing=passing).task("resampling", total=2, unit="layers") as work:
        work.advance(2)
    shown = capsys.readouterr().err
    assert ("100%" in shown) is not passing
