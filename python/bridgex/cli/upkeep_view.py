"""What compaction and merging did, as answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bridgex.cli.output import Answer, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridgex.store import Compaction, Merged

# The closed parts in one, and the last one.
_COMPACT = 2

_COMPACTED = (
    "kind",
    "of",
    "corpus",
    "gold",
    "parts_before",
    "parts_after",
    "bytes_before",
    "bytes_after",
    "ratio",
    "largest_relative_error",
    "written_parts",
)


def compact_answer(store: str, codec: str, found: Sequence[Compaction]) -> Answer:
    """Parts and bytes of every series, before and after, and what rounding cost."""
    rows = [_compaction_row(one) for one in found]
    total = {
        name: sum(row[name] for row in rows)
        for name in ("parts_before", "parts_after", "bytes_before", "bytes_after", "written_parts")
    }
    total["ratio"] = _ratio(total)
    total["largest_relative_error"] = max(
        (row["largest_relative_error"] for row in rows), default=0.0
    )
    heads = ("", "parts", "then", "bytes", "then", "ratio", "largest relative error")
    lines = [_compaction_line(_name(row), row) for row in rows]
    table = Table(
        f"Compaction of {store}, codec {codec}",
        heads,
        [*lines, _compaction_line("total", total)],
        _notes(rows),
    )
    meta = {"store": store, "codec": codec, "total": total}
    return Answer("bridgex.store-compact/1", rows, [table], meta, _COMPACTED)


def merge_answer(location: str, found: Sequence[Merged]) -> Answer:
    """Parts and bytes that every store gave."""
    rows = [{"source": one.source, **_series(one), **_counts(one)} for one in found]
    names = ("parts", "copied_parts", "copied_bytes")
    total = {name: sum(row[name] for row in rows) for name in names}
    lines = [[row["source"], _name(row), *(row[name] for name in names)] for row in rows]
    table = Table(
        f"Merged into {location}",
        ("from", "", "parts", "copied", "bytes"),
        [*lines, ["total", "", *total.values()]],
        [] if total["copied_parts"] else ["Everything was there already: nothing was written."],
    )
    columns = ("source", "kind", "of", "corpus", "gold", *names)
    return Answer("bridgex.store-merge/1", rows, [table], {"store": location, **total}, columns)


def _counts(one: Merged) -> dict[str, int]:
    return {
        "parts": one.parts,
        "copied_parts": one.copied_parts,
        "copied_bytes": one.copied_bytes,
    }


def _series(one: Compaction | Merged) -> dict[str, Any]:
    statistics = one.kind == "statistics"
    return {
        "kind": one.kind,
        "of": one.series[0] if statistics else f"{one.series[0]}-{one.series[1]}",
        "corpus": one.series[1] if statistics else None,
        "gold": None if statistics else one.series[2],
    }


def _compaction_row(one: Compaction) -> dict[str, Any]:
    row = {**_series(one), **asdict(one)}
    row["ratio"] = _ratio(row)
    return {name: row[name] for name in _COMPACTED}


def _ratio(row: dict[str, Any]) -> float | None:
    return row["bytes_before"] / row["bytes_after"] if row["bytes_after"] else None


def _name(row: dict[str, Any]) -> str:
    return f"{row['kind']} {row['of']} ({row['corpus'] or 'gold ' + row['gold']})"


def _compaction_line(name: str, row: dict[str, Any]) -> list[Any]:
    columns = ("parts_before", "parts_after", "bytes_before", "bytes_after")
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    return [
        name,
        *(row[column] for column in columns),
        ratio,
        _error(row),
    ]


def _error(row: dict[str, Any]) -> str | None:
    """Return what rounding cost, where anything can have been rounded."""
    exact = row.get("kind") == "statistics"
    return None if exact else f"{row['largest_relative_error']:.1e}"


def _notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["The store is empty."]
    gaps = [_name(row) for row in rows if row["parts_after"] > _COMPACT]
    broken = [f"Records are missing, and what follows them was not joined: {', '.join(gaps)}."]
    done = [_name(row) for row in rows if not row["written_parts"]]
    if len(done) == len(rows):
        return ["Everything was compact already: nothing was written.", *broken * bool(gaps)]
    return [f"Compact already: {', '.join(done)}."] * bool(done) + broken * bool(gaps)
