"""What the page on speed says about results that are known."""

import json
from pathlib import Path

import pytest
from benches.python.report import exponent, outcome, seconds, store_table, target_table
from benches.python.results import Result, from_calls, read_criterion, whole_work
from benches.python.targets import Target, verdicts

TARGET = Target(
    "work", "group", seconds=2.0, faster=(("slow", 10),), within=(("floor", 1.5),), memory=100.0
)


def result(median: float, **info: float) -> Result:
    return from_calls([median], 1.0, info)


def test_a_target_is_held_against_time_rivals_floor_and_memory() -> None:
    results = {
        ("group", "bridgex"): result(4.0, peak_memory=50.0),
        ("group", "slow"): result(20.0),
        ("group", "floor"): result(4.0),
    }
    excess = [one.excess for one in verdicts(TARGET, results)]
    assert excess == pytest.approx([2.0, 2.0, 1.0 / 1.5, 0.5])


def test_nothing_is_said_about_benches_that_did_not_run() -> None:
    assert {one.excess for one in verdicts(TARGET, {})} == {None}
    half = verdicts(TARGET, {("group", "slow"): result(1.0)})
    assert {one.excess for one in half} == {None}
    assert target_table({}).count("not run") > 10


def test_a_missed_target_says_by_how_much() -> None:
    assert outcome(1.0) == "yes"
    assert outcome(1.5) == "**no**, by a factor of 1.50"
    assert outcome(None) == "not run"


def test_times_have_three_digits_and_a_unit() -> None:
    shown = [seconds(value) for value in (676.0, 1.234, 0.00167, 4.2e-8)]
    assert shown == ["676 s", "1.23 s", "1.67 ms", "0.0420 µs"]


def test_an_exponent_is_the_slope_of_the_logarithms() -> None:
    assert exponent([(size, 3 * size**1.5) for size in (10.0, 100.0, 1000.0)]) == pytest.approx(1.5)


def test_parts_of_the_work_stand_for_all_of_it() -> None:
    results = {
        ("sets", "all"): result(1.0, pairs=100, neurons=50),
        ("sets", "few"): result(1.0, pairs=10, neurons=50),
        ("other", "any"): result(1.0),
    }
    whole = {key[1]: (one.median, one.scale) for key, one in whole_work(results).items()}
    assert whole == {"all": (1.0, 1.0), "few": (10.0, 10.0), "any": (1.0, 1.0)}


def test_criterion_counts_in_nanoseconds_for_many_calls(tmp_path: Path) -> None:
    new = tmp_path / "group" / "kernel" / "new"
    new.mkdir(parents=True)
    identity = {"group_id": "group", "function_id": "kernel"}
    (new / "benchmark.json").write_text(json.dumps(identity))
    (new / "sample.json").write_text(json.dumps({"iters": [1, 2, 4], "times": [1e9, 2e9, 8e9]}))
    one = read_criterion(tmp_path)["group", "kernel"]
    assert (one.low, one.median, one.high) == pytest.approx((1.0, 1.0, 1.5))


def test_the_store_is_held_against_a_raw_file() -> None:
    size = {"shape": [10, 100, 1000], "itemsize": 2}
    found = store_table(
        {
            ("store, write", "bridgex"): from_calls([0.5], 1.0, size),
            ("store, write", "np.memmap"): from_calls([0.25], 1.0, size),
            ("layer", "bridgex"): result(1.0),
        }
    )
    ours, base = found.splitlines()[2:]
    assert ours.startswith("| write, 10 × 100 × 1,000 | bridgex |")
    assert "| 500 ms | (once) | 1 | 2.00 × | 0.00400 GB/s |" in ours
    assert "| 250 ms | (once) | 1 | 1.00 × | 0.00800 GB/s |" in base
