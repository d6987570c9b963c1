"""BLEU, chrF and TER by sacrebleu.

sacrebleu (Post 2018) extracts counts for each output, which are added up like all others. Its
signatures are part of the scores' signature, because a BLEU without one cannot be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from annoseq.errors import OptionError
from annoseq.evaluation.counts import Counts

if TYPE_CHECKING:
    from annoseq.evaluation.counts import Array, CountTotals

TEXT_SCORES = ("bleu", "chrf", "ter")


class TextScorer:
    """Scorer of outputs as text: counts for BLEU, chrF and TER, and their scores.

    Raises:
        OptionError: sacrebleu is not installed.
    """

    def __init__(self) -> None:
        try:
            from sacrebleu.metrics.bleu import BLEU
            from sacrebleu.metrics.chrf import CHRF
            from sacrebleu.metrics.ter import TER
        except ImportError:
            raise OptionError(
                "--text-scores needs sacrebleu, which is not installed. "
                "Run: pip install 'annoseq[text-scores]'"
            ) from None
        self._metrics: dict[str, Any] = {"bleu": BLEU(), "chrf": CHRF(), "ter": TER()}
        self._widths = {
            name: len(self._extract(metric, "", "")) for name, metric in self._metrics.items()
        }

    def count(self, output: str, target: str) -> Counts:
        """Count an output against its target."""
        return Counts(
            {
                f"{name}.{place}": value
                for name, metric in self._metrics.items()
                for place, value in enumerate(self._extract(metric, output, target))
                if value
            }
        )

    def scores(self, sums: CountTotals) -> dict[str, Array]:
        """Return the three scores, on sacrebleu's scale of 0 to 100; TER may be more."""
        return {name: self._score(name, sums) for name in TEXT_SCORES}

    @property
    def signatures(self) -> dict[str, str]:
        """Signature of each score, by sacrebleu."""
        return {name: str(metric.get_signature()) for name, metric in self._metrics.items()}

    def _score(self, name: str, sums: CountTotals) -> Array:
        columns = [sums[f"{name}.{place}"] for place in range(self._widths[name])]
        counts = np.stack(np.broadcast_arrays(*columns), axis=-1)
        compute = self._metrics[name]._compute_score_from_stats
        flat = [compute(row.tolist()).score for row in counts.reshape(-1, counts.shape[-1])]
        return np.array(flat).reshape(counts.shape[:-1])

    @staticmethod
    def _extract(metric: Any, output: str, target: str) -> list[int]:
        # All are whole numbers; TER's length is one as there is one target.
        return [int(n) for n in metric._extract_corpus_statistics([output], [[target]])[0]]
