"""Settings of decoding: greedy search, beam search and sampling."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from annoseq.config.section import ConfigSection
from annoseq.errors import option_name


class SearchConfig(ConfigSection):
    """Search for an output of a sequence-to-sequence model."""

    search: Literal["greedy", "beam", "sample", "top-k", "nucleus"] = "greedy"
    """greedy search, beam search, or sampling: sample (from all tokens), top-k (from the k most
    likely), nucleus (from the most likely with a total probability of p)."""
    beam_size: PositiveInt = 5
    """Hypotheses in the beam."""
    length_penalty: Annotated[float, Field(ge=0)] = 0.6
    """Length normalization of beam search (alpha of Wu et al. 2016); larger values favour longer
    outputs, 0 turns it off."""
    n_best: PositiveInt = 1
    """Outputs of beam search to return for each text, best first."""
    k: PositiveInt = 10
    """Number of tokens that top-k samples from."""
    p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Total probability of the tokens that nucleus samples from."""
    temperature: PositiveFloat = 1.0
    """Temperature of sampling: below 1 sharpens, above 1 flattens the distribution."""
    samples: PositiveInt = 1
    """Outputs to sample for each text."""
    seed: NonNegativeInt = 42
    """Random seed of sampling; the samples of a text do not depend on the other texts."""
    free: bool = False
    """Unconstrained decoding, as in the notebook: the model may produce any token and so change the
    text."""

    @model_validator(mode="after")
    def _options_belong_to_the_search(self) -> Self:
        for name in sorted(self.model_fields_set & _SEARCHES_OF_OPTION.keys()):
            if self.search not in _SEARCHES_OF_OPTION[name]:
                searches = " or ".join(_SEARCHES_OF_OPTION[name])
                raise ValueError(
                    f"{option_name(name)} belongs to --search {searches}, and the search is "
                    f"{self.search}"
                )
        if self.n_best > self.beam_size:
            raise ValueError(
                f"--n-best {self.n_best} outputs do not come from --beam-size {self.beam_size}: "
                "it must be at least as large"
            )
        return self


_SAMPLING = ("sample", "top-k", "nucleus")
_SEARCHES_OF_OPTION: dict[str, tuple[str, ...]] = {
    "beam_size": ("beam",),
    "length_penalty": ("beam",),
    "n_best": ("beam",),
    "k": ("top-k",),
    "p": ("nucleus",),
    "temperature": _SAMPLING,
    "samples": _SAMPLING,
    "seed": _SAMPLING,
}
