"""What ``bridgex store`` commands found, as answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bridgex.cli.output import Answer, Cell, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridgex.store import (
        Collection,
        Finding,
        Garbage,
        LanguageInfo,
        ProbesInfo,
        StoreInfo,
        Verification,
    )


_PARTS = ("missing_records", "missing_parts", "parts", "codecs", "bytes")


def info_answer(info: StoreInfo) -> Answer:
    """Everything in a store, and what it was made with."""
    languages = [_language_row(one, info.provenance.neuron_count) for one in info.languages]
    probes = [_probes_row(one) for one in info.probes]
    tables = [_identity(info), _language_table(languages), _probe_table(probes)]
    meta = {
        "path": info.path,
        "format_version": info.format_version,
        "provenance": info.provenance.to_json(),
        "fingerprint": info.provenance.fingerprint,
        "part_bytes": info.part_bytes,
        "probe_block": info.probe_block,
        "garbage": [asdict(one) for one in info.garbage],
        "bytes_on_disk": info.bytes_on_disk,
    }
    return Answer("bridgex.store-info/1", [*languages, *probes], tables, meta)


def _language_row(one: LanguageInfo, neurons: int) -> dict[str, Any]:
    return {
        "kind": "statistics",
        "of": one.language,
        "corpora": ", ".join(one.corpora),
        "gold": None,
        "tokens": one.tokens,
        "samples": None,
        "records": one.records,
        **_parts(one),
        "neurons": neurons,
        "dtype": None,
        "bytes": one.bytes,
    }


def _probes_row(one: ProbesInfo) -> dict[str, Any]:
    return {
        "kind": "probes",
        "of": str(one.pair),
        "corpora": None,
        "gold": one.gold,
        "tokens": None,
        "samples": one.samples,
        "records": one.considered,
        **_parts(one),
        "neurons": one.neurons,
        "dtype": one.dtype,
        "bytes": one.bytes,
    }


def _parts(one: LanguageInfo | ProbesInfo) -> dict[str, Any]:
    return {
        "parts": one.parts,
        "ingested_parts": one.ingested_parts,
        "missing_records": one.missing_records,
        "missing_parts": one.missing_parts,
        "codecs": ", ".join(one.codecs),
    }


def _identity(info: StoreInfo) -> Table:
    made = info.provenance
    rows = [
        ("model", made.model),
        ("architecture", made.architecture),
        ("layers", str(len(made.layer_sizes))),
        ("neurons", f"{made.neuron_count:,}"),
        ("site", made.site),
        *((name, str(value)) for name, value in made.policies.items()),
        *((f"{name} version", version) for name, version in made.versions.items()),
        ("fingerprint", made.fingerprint[:16]),
        ("bytes on disk", f"{info.bytes_on_disk:,}"),
        *(
            (f"{one.kind}, not counting", f"{one.count:,} with {one.bytes:,} bytes")
            for one in info.garbage
            if one.count
        ),
        ("bytes that store gc would free", f"{sum(one.old_bytes for one in info.garbage):,}"),
    ]
    return Table(f"Store {info.path}, format {info.format_version}", ("", ""), rows)


def _language_table(rows: list[dict[str, Any]]) -> Table:
    columns = ("of", "corpora", "tokens", "records", *_PARTS)
    return _table("Statistics", "language", rows, columns)


def _probe_table(rows: list[dict[str, Any]]) -> Table:
    columns = ("of", "gold", "neurons", "dtype", "samples", "records", *_PARTS)
    return _table("Probes", "pair", rows, columns)


def _table(title: str, first: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Table:
    heads = (first, *(column.replace("_", " ") for column in columns[1:]))
    return Table(title, heads, [[row[column] for column in columns] for row in rows])


def verification_answer(found: Verification) -> Answer:
    """What is damaged in a store, and what else a user may want to know."""
    read = f"{found.parts:,} parts, {found.files:,} files, {found.bytes:,} bytes were read"
    tables = [_finding_table(f"Store {found.path}: {read}, {_sum_up(found)}", found.findings)]
    if found.notes:
        tables.append(_finding_table("No damage, but worth knowing", found.notes))
    meta = {
        "path": found.path,
        "parts": found.parts,
        "files": found.files,
        "bytes": found.bytes,
        "notes": [asdict(note) for note in found.notes],
    }
    rows = [asdict(finding) for finding in found.findings]
    columns = ("path", "problem", "kind", "remedy")
    return Answer("bridgex.store-verification/1", rows, tables, meta, columns)


def _sum_up(found: Verification) -> str:
    count = len(found.findings)
    if not count:
        return "all is as it was committed"
    return f"{count:,} {'finding' if count == 1 else 'findings'}"


def _finding_table(title: str, findings: Sequence[Finding]) -> Table:
    rows = [
        row
        for finding in findings
        for row in ((finding.kind, finding.path), ("", finding.problem), ("", finding.remedy))
    ]
    return Table(title, ("", ""), rows)


def collection_answer(found: Collection) -> Answer:
    """What was removed of a store, or would be, and what was left and why."""
    fates = {
        "would be removed" if found.dry_run else "removed": found.removed,
        "left: not old enough": found.younger,
        "left: its successor is damaged": found.needed,
    }
    rows = [{**asdict(one), "fate": fate} for fate, all_ in fates.items() for one in all_]
    table = Table(
        f"Store {found.path}: what does not count",
        ("", "kind", "count", "bytes"),
        [row for fate, all_ in fates.items() for row in _garbage_rows(fate, all_)],
        _collection_notes(found),
    )
    meta = {"path": found.path, "dry_run": found.dry_run}
    columns = ("path", "kind", "bytes", "age", "fate")
    return Answer("bridgex.store-gc/1", rows, [table], meta, columns)


def _collection_notes(found: Collection) -> list[str]:
    if found.needed:
        return ["bridgex store verify says what is damaged."]
    return [] if found.removed or found.younger else ["There is nothing that does not count."]


def _garbage_rows(fate: str, garbage: Sequence[Garbage]) -> list[list[Cell]]:
    kinds = sorted({one.kind for one in garbage})
    sizes = {kind: [one.bytes for one in garbage if one.kind == kind] for kind in kinds}
    return [[fate, kind, len(sizes[kind]), sum(sizes[kind])] for kind in kinds]
