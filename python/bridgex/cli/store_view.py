"""What ``bridgex store`` commands found, as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridgex.cli.output import Answer, Table

if TYPE_CHECKING:
    from bridgex.store import StoreInfo


def info_answer(info: StoreInfo) -> Answer:
    """Everything in a store, and what it was made with."""
    languages = [
        {
            "kind": "statistics",
            "of": one.language,
            "corpora": ", ".join(one.corpora),
            "gold": None,
            "tokens": one.tokens,
            "samples": None,
            "records": one.records,
            "parts": one.parts,
            "missing_records": one.missing_records,
            "bytes": one.bytes,
        }
        for one in info.languages
    ]
    probes = [
        {
            "kind": "probes",
            "of": str(one.pair),
            "corpora": None,
            "gold": one.gold,
            "tokens": None,
            "samples": one.samples,
            "records": one.considered,
            "parts": one.parts,
            "missing_records": one.missing_records,
            "bytes": one.bytes,
        }
        for one in info.probes
    ]
    tables = [_identity(info), _language_table(languages), _probe_table(probes)]
    meta = {
        "path": info.path,
        "format_version": info.format_version,
        "provenance": info.provenance.to_json(),
        "fingerprint": info.provenance.fingerprint,
        "part_bytes": info.part_bytes,
        "probe_block": info.probe_block,
        "bytes_on_disk": info.bytes_on_disk,
    }
    return Answer("bridgex.store-info/1", [*languages, *probes], tables, meta)


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
    ]
    return Table(f"Store {info.path}, format {info.format_version}", ("", ""), rows)


def _language_table(rows: list[dict[str, Any]]) -> Table:
    columns = ("of", "corpora", "tokens", "records", "missing_records", "parts", "bytes")
    return _table("Statistics", "language", rows, columns)


def _probe_table(rows: list[dict[str, Any]]) -> Table:
    columns = ("of", "gold", "samples", "records", "missing_records", "parts", "bytes")
    return _table("Probes", "pair", rows, columns)


def _table(title: str, first: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Table:
    heads = (first, *(column.replace("_", " ") for column in columns[1:]))
    return Table(title, heads, [[row[column] for column in columns] for row in rows])
