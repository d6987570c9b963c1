"""Options of the resources of a network: word vectors, encoder, language model, lexicons."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from annoseq.training.resources import Resources

VectorsPath = Annotated[
    Path | None,
    Parameter(
        help="Word vectors: a file of fastText (.bin, .vec, .vec.gz), or the folder of a "
        "pre-trained encoder or of static embeddings. The tagger reads words by them; in the other "
        "networks the embeddings begin with them.",
        group="Network",
    ),
]
Encoder = Annotated[
    str | None,
    Parameter(
        help="Pre-trained encoder that the tagger reads beside its features: a folder with "
        "config.json, model.safetensors and tokenizer.json, or a name on the Hugging Face hub.",
        group="Network",
    ),
]
LanguageModelPath = Annotated[
    Path | None,
    Parameter(
        help="Folder of `annoseq pretrain`, with whose weights the tagger begins.",
        group="Network",
    ),
]
Lexicon = Annotated[
    tuple[Path, ...],
    Parameter(
        help="List of names, places, drugs, one a line, that the tagger marks in the text; it "
        "learns what a mark is worth. Can be given several times.",
        group="Network",
        negative="",
        consume_multiple=False,
        show_default=False,
    ),
]
Gazetteers = Annotated[
    tuple[str, ...],
    Parameter(
        help="Language whose names and places the tagger marks in the text, such as es, from "
        "Faker and GeoNames. Can be given several times.",
        group="Network",
        negative="",
        consume_multiple=False,
        show_default=False,
    ),
]
PatternsPath = Annotated[
    Path | None,
    Parameter(
        help="Named regular expressions (TOML) whose matches the tagger marks in the text.",
        group="Network",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceOptions:
    """Options of what a network reads or begins with beside the pairs."""

    vectors: VectorsPath = None
    encoder: Encoder = None
    language_model: LanguageModelPath = None
    lexicon: Lexicon = ()
    patterns: PatternsPath = None
    gazetteers: Gazetteers = ()

    def parse(self) -> Resources:
        """Return the resources of a learner."""
        from annoseq.tokenization.gazetteer import LexiconFeatures
        from annoseq.training.resources import Resources

        return Resources(
            vectors=self.vectors,
            encoder=self.encoder,
            language_model=self.language_model,
            lexicon_features=LexiconFeatures(self.lexicon, self.patterns, self.gazetteers),
        )

    def plan(self) -> dict[str, Any]:
        """Return the fingerprints by which a resumed command knows them.

        Raises:
            VectorsError, EncoderError, ModelError: a file is not there, or is another one.
        """
        from annoseq.models.encoder_folder import fingerprint_encoder
        from annoseq.models.language_model import fingerprint_language_model
        from annoseq.vectors.lookup import fingerprint_vectors

        return {
            "--vectors": fingerprint_vectors(self.vectors) if self.vectors else None,
            "--encoder": fingerprint_encoder(self.encoder) if self.encoder else None,
            "--language-model": fingerprint_language_model(self.language_model)
            if self.language_model
            else None,
            "--lexicon": [fingerprint_file(path) for path in self.lexicon],
            "--patterns": fingerprint_file(self.patterns),
            "--gazetteers": list(self.gazetteers),
        }


def fingerprint_file(path: Path | None) -> str | None:
    """Return a fingerprint of the file of an option, by which a resumed run knows it."""
    if path is None:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
