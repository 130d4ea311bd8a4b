"""Patches of the sky: their tiling, and their frames."""

from viamachinae.sky.patch import FramePositions, IcrsPositions, Patch
from viamachinae.sky.tiling import dusty_patches, overlaps, patch_id, patches_named, tile
from viamachinae.sky.vectors import direction, east_north

__all__ = [
    "FramePositions",
    "IcrsPositions",
    "Patch",
    "direction",
    "dusty_patches",
    "east_north",
    "overlaps",
    "patch_id",
    "patches_named",
    "tile",
]
