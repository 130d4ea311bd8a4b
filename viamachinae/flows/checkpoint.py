"""Tensors and a JSON header in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

FORMAT = "viamachinae.flows"
# 2: conditions carry the range of their training. 3: the method of the score, and what it learned.
VERSION = 3


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a header of plain values to `path`.

    Raises
    ------
    ValueError
        If the header holds a value that JSON cannot, such as NaN.
    OSError
        If the file cannot be written.
    """
    text = json.dumps({"version": VERSION, **header}, allow_nan=False, sort_keys=True)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One key: the order of several would differ from file to file. And Python writes the bytes,
    # so that a full disk is an OSError as everywhere.
    path.write_bytes(save(plain, metadata={FORMAT: text}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the header of a file that `save_checkpoint` wrote.

    Raises
    ------
    ValueError
        If the file is damaged, is not a checkpoint, or has another version.
    """
    with _opened(path) as file:
        header = _header(path, file)
        return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118


def load_header(path: Path) -> dict[str, Any]:
    """The header alone; raises as `load_checkpoint` does."""
    with _opened(path) as file:
        return _header(path, file)


def _header(path: Path, file: Any) -> dict[str, Any]:
    metadata = file.metadata() or {}
    if FORMAT not in metadata:
        raise ValueError(f"{path} holds no flows of this package")
    header: dict[str, Any] = json.loads(metadata[FORMAT])
    version = header.pop("version")
    if version != VERSION:
        raise ValueError(f"{path} has checkpoint version {version}; this release reads {VERSION}")
    return header


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file ({error})") from error
