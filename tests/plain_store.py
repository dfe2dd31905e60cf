"""The store's format as its document describes it, in plain Python: no bridgex, and no speed.

Reads statistics and probes, checks all that a reader must check, and commits statistics. Arrays are
read by NumPy; only those that are compressed by zarr, as any Zarr array would be.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Marker = dict[str, Any]
    Arrays = dict[str, NDArray[Any]]

NO_RECORDS = "0" * 64
PLAIN = [{"name": "bytes", "configuration": {"endian": "little"}}]
STATISTICS = {"positive_count": 0, "sum": 0.0, "sum_squares": 0.0, "maximum": -np.inf}
SERIES = {
    "statistics": ("language", "corpus"),
    "neurons": ("source", "target", "gold"),
    "probes": ("source", "target", "gold"),
}
COUNTED = {"statistics": "tokens", "neurons": "neurons", "probes": "samples"}


def shifted(value: int) -> int:
    """Return the remainder of a byte, by which CRC-32C is computed bytewise."""
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


REMAINDERS = [shifted(byte) for byte in range(256)]


def crc32c(content: bytes) -> str:
    value = 0xFFFFFFFF
    for byte in content:
        value = (value >> 8) ^ REMAINDERS[(value ^ byte) & 0xFF]
    return f"{value ^ 0xFFFFFFFF:08x}"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def spaced(value: object, *, sort: bool = False) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=sort).encode()


def object_checksum(value: dict[str, Any]) -> str:
    rest = {key: member for key, member in value.items() if key != "crc32c"}
    compact = json.dumps(rest, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return crc32c(compact.encode())


def chain(before: str, text: str) -> str:
    return sha256(bytes.fromhex(before) + hashlib.sha256(text.encode()).digest())


def record_digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def series_of(marker: Marker) -> tuple[str, ...]:
    return tuple(marker["place"][name] for name in SERIES[marker["kind"]])


def pieces(marker: Marker) -> list[dict[str, Any]]:
    place = marker["place"]
    alone = {
        "part": marker["part"],
        "records_before": place["records_before"],
        "chain_before": place["chain_before"],
        "records": marker["records"],
        "chain_after": marker["chain_after"],
        "counted": marker[COUNTED[marker["kind"]]],
    }
    found: list[dict[str, Any]] = marker.get("members", [alone])
    return found


def end(piece: dict[str, Any]) -> int:
    return int(piece["records_before"] + piece["records"])


class PlainStore:
    """A store in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        group = json.loads((path / "zarr.json").read_bytes())
        assert set(group) == {"zarr_format", "node_type", "attributes"}
        self.root = group["attributes"]["bridgex"]
        assert self.root["format_version"] == 1
        assert self.root["crc32c"] == object_checksum(self.root)
        sizes = self.root["provenance"]["layer_sizes"]
        self.layer_sizes: list[int] = sizes
        assert self.root["layer_offsets"] == [0, *np.cumsum(sizes).tolist()]

    @property
    def fingerprint(self) -> str:
        given = self.root["provenance"]
        identity = {
            "architecture": given["architecture"],
            "weights": given["weights"],
            "configuration": given["config"],
            "tokenizer": given["tokenizer"],
            "layer sizes": given["layer_sizes"],
            "site": given["site"],
        }
        if "experts" in given:
            identity["experts"] = given["experts"]
        identity |= {f"policy {name}": value for name, value in given["policies"].items()}
        for name, version in given["versions"].items():
            identity[f"version of {name}"] = ".".join(version.split(".")[:2])
        return sha256(spaced(identity, sort=True))

    def part_id(self, marker: Marker) -> str:
        chains = [marker["place"]["chain_before"], marker["chain_after"]]
        made_of: list[Any] = [self.fingerprint, marker["kind"], [*series_of(marker)], chains]
        if "members" in marker:
            encoding = marker["encoding"]
            made_of.append([encoding["codec"], encoding["level"], encoding["keep_bits"]])
            made_of.append(marker["supersedes"])
        return sha256(spaced(made_of))[:32]

    def markers(self, commits: str) -> list[Marker]:
        """Read and check all markers in a directory."""
        return [
            self.read_marker(path)
            for path in sorted((self.path / "commits" / commits).glob("*.json"))
            if not path.name.startswith(".bridgex-")
        ]

    def read_marker(self, path: Path) -> Marker:
        marker: Marker = json.loads(path.read_bytes())
        assert marker["format"] == 1
        assert marker["crc32c"] == object_checksum(marker)
        assert marker["part"] == path.stem == self.part_id(marker)
        counted = sum(piece["counted"] for piece in pieces(marker))
        assert counted == marker[COUNTED[marker["kind"]]]
        at = marker["place"]["records_before"], marker["place"]["chain_before"]
        for piece in pieces(marker):
            assert (piece["records_before"], piece["chain_before"]) == at
            at = end(piece), piece["chain_after"]
        assert at == (marker["place"]["records_before"] + marker["records"], marker["chain_after"])
        return marker

    def counting(self, commits: str) -> dict[tuple[str, ...], list[Marker]]:
        """Return the parts that count, of every series, in the order of their places."""
        markers = self.markers(commits)
        superseded = {part for marker in markers for part in marker.get("supersedes", [])}
        rest = [marker for marker in markers if marker["part"] not in superseded]
        rest.sort(key=lambda m: (m["place"]["records_before"], -m["records"], m["part"]))
        found: dict[tuple[str, ...], list[Marker]] = {}
        for marker in rest:
            taken = found.setdefault(series_of(marker), [])
            if not taken or marker["place"]["records_before"] >= end(pieces(taken[-1])[-1]):
                taken.append(marker)
            else:
                self.check_same_records(taken[-1], marker)
        for taken in found.values():
            for one, other in pairwise(taken):
                if end(pieces(one)[-1]) == other["place"]["records_before"]:
                    assert one["chain_after"] == other["place"]["chain_before"]
        return found

    def check_same_records(self, taken: Marker, other: Marker) -> None:
        starts = {piece["records_before"]: piece for piece in pieces(taken)}
        for piece in pieces(other):
            same = starts[piece["records_before"]]
            assert piece["records"] <= same["records"]
            assert piece["chain_before"] == same["chain_before"]
            digests = [self.digests(*one) for one in ((taken, same), (other, piece))]
            assert digests[0][: piece["records"]] == digests[1]

    def digests(self, marker: Marker, piece: dict[str, Any]) -> list[int]:
        start = piece["records_before"] - marker["place"]["records_before"]
        whole = self.array(marker, "record_digests", (marker["records"],))
        return [int(digest) for digest in whole[start : start + piece["records"]]]

    def directory(self, marker: Marker) -> Path:
        return self.path / "parts" / f"{marker['part']}.{marker['attempt']}"

    def attributes(self, marker: Marker) -> dict[str, Any]:
        attributes: dict[str, Any] = json.loads(self.content(marker, "zarr.json"))["attributes"]
        assert attributes["bridgex"]["kind"] == marker["kind"]
        return dict(attributes["bridgex"])

    def content(self, marker: Marker, name: str) -> bytes:
        content = (self.directory(marker) / name).read_bytes()
        assert marker["files"][name] == {"size": len(content), "crc32c": crc32c(content)}
        return content

    def array(self, marker: Marker, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        metadata = json.loads(self.content(marker, f"{name}/zarr.json"))
        assert metadata["shape"] == list(shape)
        chunk = "/".join(["c", *["0"] * len(shape)])
        content = self.content(marker, f"{name}/{chunk}")
        if metadata["codecs"] != PLAIN:
            array = zarr.open_array(str(self.directory(marker) / name), mode="r")
            return np.asarray(array[...])
        dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        return np.frombuffer(content, dtype).reshape(shape)

    def statistics(self, language: str, corpus: str | None = None) -> dict[str, Any]:
        """Return statistics of a language or of one of its corpora."""
        series = self.counting(f"statistics/{language}")
        chosen = sorted(one for one in series if corpus in (None, one[1]))
        sums = [self.add_up([self.part(marker) for marker in series[one]]) for one in chosen]
        markers = [marker for one in chosen for marker in series[one]]
        return self.add_up(sums) | {
            "token_count": sum(marker["tokens"] for marker in markers),
            "record_count": sum(marker["records"] for marker in markers),
        }

    @property
    def sums(self) -> dict[str, float]:
        """Names of the arrays of statistics, and what nothing adds up to."""
        routed = {"routed_count": 0} if "experts" in self.root["provenance"] else {}
        return STATISTICS | routed

    def part(self, marker: Marker) -> Arrays:
        arrays = {name: self.array(marker, name, (sum(self.layer_sizes),)) for name in self.sums}
        seen = arrays.get("routed_count", np.array(marker["tokens"]))
        assert (arrays["positive_count"] <= seen).all()
        assert (seen <= marker["tokens"]).all()
        return arrays

    def add_up(self, terms: list[Arrays]) -> dict[str, Any]:
        total = {}
        for name, neutral in self.sums.items():
            total[name] = np.full(sum(self.layer_sizes), neutral, terms[0][name].dtype)
            for term in terms:
                operation = np.maximum if name == "maximum" else np.add
                total[name] = operation(total[name], term[name])
        return total

    def probes(self, source: str, target: str, gold: str) -> dict[str, Any]:
        """Return the words, the kept neurons and the (neuron, sample) matrices of a pair."""
        pair = f"{source}-{target}"
        markers = self.counting(f"probes/{pair}")[source, target, gold]
        kept, dtype, digest = self.form(source, target, gold)
        words, considered = [], 0
        columns: list[list[NDArray[Any]]] = [[] for _ in self.layer_sizes]
        for marker in markers:
            attributes = self.attributes(marker)
            assert len(attributes["words"]) == marker["samples"]
            assert attributes.get("neurons") == digest
            words += attributes["words"]
            considered += attributes["considered"]
            for layer, rows in enumerate(kept):
                if marker["samples"] and len(rows):
                    shape = (len(rows), marker["samples"])
                    columns[layer].append(self.array(marker, f"layer_{layer}", shape))
                    assert columns[layer][-1].dtype == dtype
        layers = [
            np.concatenate(blocks, axis=1) if blocks else np.empty((len(rows), len(words)), dtype)
            for rows, blocks in zip(kept, columns, strict=True)
        ]
        return {"words": words, "considered": considered, "neurons": kept, "layers": layers}

    def form(self, source: str, target: str, gold: str) -> tuple[list[list[int]], str, str | None]:
        """Return what probes keep: neurons of each layer, the dtype, and a digest of which."""
        everything = [list(range(size)) for size in self.layer_sizes]
        found = self.counting(f"neurons/{source}-{target}").get((source, target, gold))
        if not found:
            return everything, "<f4", None
        (marker,) = found
        attributes = self.attributes(marker)
        dtype, digest = {"f32": "<f4", "f16": "<f2"}[attributes["dtype"]], attributes["digest"]
        if digest is None:
            return everything, dtype, None
        neurons = self.array(marker, "neurons", (marker["neurons"],))
        assert sha256(neurons.astype("<i8").tobytes()) == digest
        offsets = self.root["layer_offsets"]
        return (
            [
                [int(neuron) - start for neuron in neurons if start <= neuron < stop]
                for start, stop in pairwise(offsets)
            ],
            dtype,
            digest,
        )

    def commit_statistics(
        self, series: tuple[str, str], before: list[str], records: list[str], sums: dict[str, Any]
    ) -> Path:
        """Commit the statistics of some records of a corpus; return the marker's path."""
        chains = [NO_RECORDS]
        for text in [*before, *records]:
            chains.append(chain(chains[-1], text))
        marker: Marker = {
            "format": 1,
            "kind": "statistics",
            "place": {
                "language": series[0],
                "corpus": series[1],
                "records_before": len(before),
                "chain_before": chains[len(before)],
            },
            "records": len(records),
            "chain_after": chains[-1],
            "tokens": sums["token_count"],
            "attempt": secrets.token_hex(8),
            "writer": secrets.token_hex(8),
            "files": {},
        }
        marker["part"] = self.part_id(marker)
        digests = np.array([record_digest(text) for text in records], dtype=np.uint64)
        arrays = {name: sums[name] for name in self.sums} | {"record_digests": digests}
        contents = {"zarr.json": spaced(group({"kind": "statistics"}))}
        for name, values in arrays.items():
            contents[f"{name}/zarr.json"] = spaced(array_metadata(values))
            contents[f"{name}/c/0"] = values.astype(values.dtype.newbyteorder("<")).tobytes()
        for name, content in contents.items():
            file = self.directory(marker) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            marker["files"][name] = {"size": len(content), "crc32c": crc32c(content)}
        marker["crc32c"] = object_checksum(marker)
        path = self.path / "commits" / "statistics" / series[0] / f"{marker['part']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(".bridgex-plain.tmp")
        temporary.write_bytes(spaced(marker))
        os.link(temporary, path)
        temporary.unlink()
        return path


def group(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": {"bridgex": attributes}}


def array_metadata(values: NDArray[Any]) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(values.shape),
        "data_type": values.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(values.shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN" if values.dtype.kind == "f" else 0,
        "codecs": PLAIN,
        "attributes": {},
    }
