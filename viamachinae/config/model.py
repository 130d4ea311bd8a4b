"""What every part of the configuration is built from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """Base of all configuration models: immutable, finite, closed to unknown options."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def default_tag(name: str, tag: str) -> BeforeValidator:
    """A section that does not name its variant means the default one."""

    def fill(given: Any) -> Any:
        return {name: tag, **given} if isinstance(given, dict) else given

    return BeforeValidator(fill)
