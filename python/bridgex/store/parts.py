"""Reading committed parts: every byte that is read whole is compared with its marker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridgex.store.arrays import METADATA, decoded, group_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store.folder import Folder
    from bridgex.store.markers import Marker


def part_attributes(folder: Folder, marker: Marker) -> dict[str, Any]:
    """Read the attributes of a part's group.

    Raises
    ------
    StoreError
        If they are missing, or are not what was committed.
    """
    files = {name: file for name, file in marker.files.items() if name == METADATA}
    content = folder.committed(marker.directory, files).get(METADATA, b"{}")
    return group_attributes(content, folder.display(f"{marker.directory}/{METADATA}"))


def part_array(folder: Folder, marker: Marker, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Open one array of a part; see ``Folder.array``."""
    return folder.array(f"{marker.directory}/{name}", shape, marker.arrays.get(name, {}))


def checked_array(
    folder: Folder, marker: Marker, name: str, shape: tuple[int, ...]
) -> NDArray[Any]:
    """Read one array of a part, after comparing its files with the marker.

    Raises
    ------
    StoreError
        If a file of the array is missing, or is not what was committed.
    """
    path = f"{marker.directory}/{name}"
    contents = folder.committed(path, marker.arrays.get(name, {}))
    return decoded(contents, shape, folder.display(path))


def part_rows(
    folder: Folder, marker: Marker, name: str, shape: tuple[int, int], indices: NDArray[np.intp]
) -> NDArray[Any]:
    """Read rows of a matrix of a part; see ``Folder.rows``."""
    return folder.rows(f"{marker.directory}/{name}", shape, marker.arrays.get(name, {}), indices)


def read_part(
    folder: Folder, marker: Marker, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Read some arrays of a part, after comparing all of its files with its marker.

    Parameters
    ----------
    folder, marker
        The part.
    shapes
        Shape of every array that is wanted, by its name.

    Raises
    ------
    StoreError
        If a file of the part is missing, or is not what was committed.
    """
    contents = folder.committed(marker.directory, marker.files)
    return {
        name: decoded(
            {file: contents[f"{name}/{file}"] for file in marker.arrays.get(name, {})},
            shape,
            folder.display(f"{marker.directory}/{name}"),
        )
        for name, shape in shapes.items()
    }
