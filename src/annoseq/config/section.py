"""Base class of configuration sections, and shared value types."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
FractionOrZero = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Dropout = FractionOrZero
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Seed of a generator of torch, which takes 64 bits."""
Task = Literal["annotate", "translate"]
DeviceName = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]


class ConfigSection(BaseModel):
    """An immutable group of settings; field docstrings are the help texts of the command line."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
