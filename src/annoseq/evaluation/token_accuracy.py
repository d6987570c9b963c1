"""Accuracies of generated ids: padded (the 2019 notebook's), token and exact match."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from annoseq.tokenization.vocabulary import END, PAD, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ratio:
    """A share as two counts; ratios of parts are added."""

    hits: int = 0
    total: int = 0

    def __add__(self, other: Ratio) -> Ratio:
        return Ratio(self.hits + other.hits, self.total + other.total)

    @property
    def value(self) -> float:
        """The share; 0 if nothing was counted."""
        return self.hits / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Three accuracies of the same outputs.

    `padded` is the notebook's: the share of equal positions of the padded rectangle. It
    overestimates, because padding is easily predicted and counts as much as a word. `token` is the
    share of target tokens (with the end symbol, without padding) at the same position of the
    output. `exact` is the share of rows without an error; a row whose target has an unknown token
    is never one.
    """

    padded: Ratio = Ratio()
    token: Ratio = Ratio()
    exact: Ratio = Ratio()

    def __add__(self, other: Accuracy) -> Accuracy:
        return Accuracy(
            self.padded + other.padded, self.token + other.token, self.exact + other.exact
        )

    def counts(self) -> list[int]:
        """Return all counts as a list."""
        return [
            count for ratio in (self.padded, self.token, self.exact) for count in astuple(ratio)
        ]

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> Accuracy:
        """Restore accuracies from `counts`."""
        return cls(*map(Ratio, counts[::2], counts[1::2]))

    def values(self) -> dict[str, float]:
        """Return the three shares by name."""
        return {
            "padded_accuracy": self.padded.value,
            "token_accuracy": self.token.value,
            "exact_match": self.exact.value,
        }


def measure_accuracy(output: Tensor, target: Tensor) -> Accuracy:
    """Compare the ids of outputs (B, O) with those of targets (B, T), the shorter padded.

    Ids after an output's first end symbol count as padding.
    """
    import torch.nn.functional as F

    width = max(output.shape[1], target.shape[1])
    output = F.pad(_pad_after_end(output), (0, width - output.shape[1]), value=PAD)
    target = F.pad(target, (0, width - target.shape[1]), value=PAD)
    agrees, counts = output == target, target != PAD
    is_exact = agrees.all(1) & (target != UNKNOWN).all(1)
    return Accuracy(
        padded=Ratio(int(agrees.sum()), agrees.numel()),
        token=Ratio(int((agrees & counts).sum()), int(counts.sum())),
        exact=Ratio(int(is_exact.sum()), len(target)),
    )


def _pad_after_end(output: Tensor) -> Tensor:
    ends = output == END
    return output.masked_fill(ends.cumsum(1) > ends.long(), PAD)
