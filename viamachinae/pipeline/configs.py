"""Every configuration that made something in a run, under its hash."""

from __future__ import annotations

from viamachinae.config import ScanConfig
from viamachinae.options import to_yaml
from viamachinae.store.files import content_hash, write_text
from viamachinae.store.run import RunFolder


def config_hash(config: ScanConfig) -> str:
    """Name of a configuration."""
    return content_hash(to_yaml(config))


def keep_config(run: RunFolder, config: ScanConfig) -> str:
    """Keep the resolved configuration, unless it is there; its name."""
    name = config_hash(config)
    if not run.kept_config(name).is_file():
        write_text(run.kept_config(name), to_yaml(config))
    return name
