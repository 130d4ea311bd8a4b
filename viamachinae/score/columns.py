"""The columns of a table of scores."""

from __future__ import annotations


def ratio_columns(times: int) -> list[str]:
    """Names of the scores of single trainings; none where there is but one."""
    return [f"log_ratio_{number}" for number in range(times)] if times > 1 else []
