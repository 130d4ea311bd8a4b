"""A step of training recorded once as a CUDA graph, and launched as one from then on."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

logger = logging.getLogger("viamachinae.flows")

# Calls before the recording: in them libraries make their handles and kernels are compiled.
WARM_UP = 3


class Capture:
    """Runs the same work again and again; on CUDA from a recording.

    The work must read and write the same memory each time, and never wait for the device. The
    first calls do the work in the usual way, on a stream of their own as the recording needs
    it: no call is lost.

    Parameters
    ----------
    device : torch.device
        Where the work is done; on a CPU it is just called.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.refused = device.type != "cuda"

    def run(self, work: Callable[[], None]) -> None:
        """Do the work once more; from the recording, whatever `work` is, once there is one."""
        self.calls += 1
        if self.graph is None and not self.refused and self.calls > WARM_UP:
            self.graph = self._record(work)
        if self.graph is not None:
            self.graph.replay()
        elif self.refused:
            work()
        else:
            self._warm_up(work)

    def _warm_up(self, work: Callable[[], None]) -> None:
        here, aside = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            work()
        here.wait_stream(aside)

    def _record(self, work: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
        """The recording, which does none of the work; None, and a line in the log, without."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                work()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.refused = True
            first = str(error).partition("\n")[0]
            logger.warning("steps are launched kernel by kernel, for want of a graph: %s", first)
            return None
        return graph
