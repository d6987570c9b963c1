"""Sample corpus: synthetic clinical notes, to try annoseq without data of one's own."""

from __future__ import annotations

from annoseq.sample.generator import sample_pairs

__all__ = ["sample_pairs"]
