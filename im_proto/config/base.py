"""What all configuration is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: A duration in seconds that must pass.
Positive = Annotated[float, Field(gt=0, le=86_400 * 366)]
#: A duration in seconds that may be nothing.
NotNegative = Annotated[float, Field(ge=0, le=86_400 * 366)]


class Frozen(BaseModel):
    """Frozen, and strict about names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )
