"""What is loaded for the work that is done: torch takes seconds, and most of the memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from viamachinae.config import ScanConfig
from viamachinae.options import to_yaml
from viamachinae.sky import tile
from viamachinae.store.run import RunFolder

# All that is not training or scoring, in one process.
WORK = """
import sys
from pathlib import Path

from viamachinae.options import read_config
from viamachinae.pipeline import inspect, scan, status, workers
from viamachinae.pipeline.batch import batch
from viamachinae.pipeline.extent import Extent
from viamachinae.pipeline.link import link
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.prepare import prepare

config, out = read_config(Path(sys.argv[1])), Path(sys.argv[2])
prepare(config, out)
patch(config, out, sys.argv[3], Extent(("preprocess", "lines")))
link(config, out, report=False)
print("torch" in sys.modules)
patch(config, out, sys.argv[3], Extent(("score",)))
print("torch" in sys.modules)
"""


def test_torch_is_loaded_to_train_and_score_alone(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(scanned, tmp_path / "run"))
    first = tile(small.sky)[0].id
    for stage, scan in (("preprocess", None), ("lines", None), ("score", "pm_lam")):
        RunFolder(out).record(stage, first, scan).unlink()
    config = tmp_path / "small.yaml"
    config.write_text(to_yaml(small))
    words = [sys.executable, "-c", WORK, str(config), str(out), first]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True"]
