"""Parts whose arrays are laid out as zarr can read them, but a memory map cannot."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import zarr

from bridgex.store.files import measure
from bridgex.store.local import LocalFolder
from bridgex.store.markers import Marker

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store import Store


def lay_out(store: Store, array: str, values: NDArray[np.generic], **options: Any) -> Path:
    """Write an array of the only part anew, and its files into the marker; return where it is."""
    (path,) = (
        path for path in store.path.glob("commits/*/*/*.json") if "neurons" not in path.parts
    )
    folder = LocalFolder(store.path)
    marker = Marker.read(folder, path.relative_to(store.path).as_posix())
    part = store.path / marker.directory
    shutil.rmtree(part / array)
    stored = zarr.create_array(str(part / array), shape=values.shape, dtype=values.dtype, **options)
    stored[...] = values
    files = {
        file.relative_to(part).as_posix(): measure(file)
        for file in sorted(part.rglob("*"))
        if file.is_file()
    }
    path.write_bytes(replace(marker, files=files).to_bytes())
    return part / array
