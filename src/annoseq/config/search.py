"""How an output is searched for."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from annoseq.config.section import ConfigSection


class SearchConfig(ConfigSection):
    """How an output is searched for among all that the model could write."""

    search: Literal["greedy", "beam", "sample", "top-k", "nucleus"] = "greedy"
    """greedy (always the likeliest), beam (the best of several followed at once), sample (draw),
    top-k (draw among the k likeliest), nucleus (draw among the likeliest that make up p)."""
    beam_size: PositiveInt = 5
    """Hypotheses that a beam search follows."""
    length_penalty: Annotated[float, Field(ge=0)] = 0.6
    """How much a beam search favours longer outputs, from 0: the alpha of Wu et al. 2016."""
    n_best: PositiveInt = 1
    """Outputs of a beam search to return for each text, the best first."""
    k: PositiveInt = 10
    """How many tokens top-k draws among."""
    p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """How much probability nucleus draws among."""
    temperature: PositiveFloat = 1.0
    """Below 1 a draw favours the likely, above 1 the unlikely."""
    samples: PositiveInt = 1
    """Outputs to draw for each text."""
    seed: NonNegativeInt = 42
    """Seed of the draws; what is drawn for a text does not depend on the others."""
    free: bool = False
    """Let the model write any token, as the notebook did, so that it may change the text."""

    @model_validator(mode="after")
    def _options_belong_to_the_search(self) -> Self:
        for name in sorted(self.model_fields_set & _BELONGS.keys()):
            if self.search not in _BELONGS[name]:
                option, searches = name.replace("_", "-"), " or ".join(_BELONGS[name])
                raise ValueError(
                    f"--{option} belongs to --search {searches}, and the search is {self.search}"
                )
        if self.n_best > self.beam_size:
            raise ValueError(
                f"--n-best {self.n_best} outputs do not come from --beam-size {self.beam_size}: "
                "it must be at least as large"
            )
        return self


_DRAWS = ("sample", "top-k", "nucleus")
_BELONGS: dict[str, tuple[str, ...]] = {
    "beam_size": ("beam",),
    "length_penalty": ("beam",),
    "n_best": ("beam",),
    "k": ("top-k",),
    "p": ("nucleus",),
    "temperature": _DRAWS,
    "samples": _DRAWS,
    "seed": _DRAWS,
}
