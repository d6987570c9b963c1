"""A corpus of invented clinical notes, to try annoseq on before one has data of one's own."""

from __future__ import annotations

from annoseq.sample.generator import sample_pairs

__all__ = ["sample_pairs"]
