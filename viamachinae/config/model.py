"""What every part of the configuration is built from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError("give the lower end first, then the upper one")
    return ends


Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1)]
Range = Annotated[tuple[float, float], AfterValidator(_ascending)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_ascending)]


class Model(BaseModel):
    """Base of all configuration models: immutable, finite, closed to unknown options."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def default_tag(name: str, tag: str) -> BeforeValidator:
    """A section that does not name its variant means the default one."""

    def fill(given: Any) -> Any:
        return {name: tag, **given} if isinstance(given, dict) else given

    return BeforeValidator(fill)


def check_colours(bluest: float | None, reddest: float | None) -> None:
    """Raise ValueError where no star has a colour between the cuts; None is no cut."""
    if bluest is not None and reddest is not None and bluest >= reddest:
        raise ValueError("min_colour must be below max_colour: no star would be left")
