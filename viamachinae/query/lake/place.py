"""A folder on this machine or behind a URL, for reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.fs

from viamachinae.errors import BadInputError, install_extra


class Place(NamedTuple):
    """A folder in a file system.

    Attributes
    ----------
    filesystem : pyarrow.fs.FileSystem
    root : str
        The folder in it.
    name : str
        What messages call it.
    is_remote : bool
        Whether each access costs a journey.
    """

    filesystem: Any
    root: str
    name: str
    is_remote: bool

    def path(self, below: str) -> str:
        """The path of what stands below, for the file system."""
        return f"{self.root}/{below}"

    def open(self, below: str) -> Any:
        """Open a file for reading at random."""
        return self.filesystem.open_input_file(self.path(below))

    def read_text(self, below: str) -> str | None:
        """The text of a file; None where there is no such file."""
        try:
            with self.open(below) as stream:
                return bytes(stream.read()).decode()
        except FileNotFoundError:
            return None

    def files(self, below: str) -> dict[str, int]:
        """Size by path below the root of all files in a folder and the folders in it."""
        where = pa.fs.FileSelector(self.path(below), recursive=True, allow_not_found=True)
        found = self.filesystem.get_file_info(where)
        base = self.filesystem.normalize_path(self.root).rstrip("/") + "/"
        return {
            info.path.removeprefix(base): info.size
            for info in found
            if info.type == pa.fs.FileType.File
        }


def open_place(path: str | Path) -> Place:
    """A folder by its path, or by a URL that fsspec knows, as ``s3://bucket/folder``.

    Raises
    ------
    BadInputError
        If a URL needs a package that is not installed, or is of an unknown kind.
    """
    text = str(path)
    if "://" not in text:
        return Place(pa.fs.LocalFileSystem(), Path(text).as_posix(), text, is_remote=False)
    try:
        import fsspec

        filesystem, root = fsspec.core.url_to_fs(text)
    except (ImportError, ValueError) as error:
        raise BadInputError(
            f"{text} cannot be opened ({error}); s3:// URLs need {install_extra('s3')}, "
            "or give a path"
        ) from error
    handler = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(filesystem))
    return Place(handler, root.rstrip("/"), text.rstrip("/"), is_remote=True)
