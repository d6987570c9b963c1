"""The weights that training begins with: drawn, those of vectors, or those of another model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from annoseq.errors import DatasetError, OptionError
from annoseq.models.build import build_seq2seq, build_tagger
from annoseq.models.tagger import Tagger
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.seq2seq_objective import Seq2SeqObjective
from annoseq.training.tagger_objective import TaggerObjective
from annoseq.vectors.init_embeddings import init_source_and_target
from annoseq.vectors.lookup import open_token_vectors

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.config import NetworkConfig, TaggerConfig, TrainingConfig
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.gazetteer import LexiconFeatures
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.vectors.init_embeddings import InitialEmbeddings
    from annoseq.vectors.lookup import TokenVectors


class InitialModel(NamedTuple):
    """What is trained: the network's final configuration, what it reads texts with, the network and
    what it learns by, and for which words there were vectors (of a tagger the file itself).
    """

    config: NetworkConfig
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer
    objective: TaggerObjective | Seq2SeqObjective
    vectors: InitialEmbeddings | TokenVectors | None = None


def initialize_model(
    dataset: Dataset,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    base: TrainedModel | None,
    vectors: str | Path | None,
    lexicon_features: LexiconFeatures,
) -> InitialModel:
    """Build what is to be trained on a dataset, or copy a trained model.

    Raises:
        OptionError: options do not go together with the network, or a lexicon or pattern file is bad.
        DatasetError: the data do not fit the trained model.
        VectorsError: the file of vectors cannot be read.
    """
    seed = training.seed
    if network.model == "tagger":
        tagger, tokenizer = initialize_tagger(
            dataset, network.tagger, base, lexicon_features, seed=seed, vectors=vectors
        )
        tagging = TaggerObjective(tagger, dataset, tokenizer)
        tokenizer.words.read_vectors()
        return InitialModel(network, tokenizer, tagging, tokenizer.words.vectors)
    if lexicon_features:
        raise OptionError(
            f"--lexicon and --patterns are for the tagger, and the model is {network.model}. Leave "
            "them off, or use --model tagger."
        )
    found: InitialEmbeddings | None = None
    if base is not None:
        writer = copy_network(base, dataset.tokenizer)
    elif vectors is not None:
        network, writer, found = initialize_from_vectors(network, dataset, vectors, seed=seed)
    else:
        writer = build_seq2seq(network, dataset.tokenizer, seed=seed)
    objective = Seq2SeqObjective(
        writer,
        training,
        train_rows=dataset.encoded_train.encodings,
        valid_rows=dataset.encoded_valid.encodings,
    )
    return InitialModel(network, dataset.tokenizer, objective, found)


def copy_network(base: TrainedModel, tokenizer: Seq2SeqTokenizer) -> AnySeq2SeqNetwork:
    """Copy the network of a trained model.

    Raises:
        DatasetError: the data have other vocabularies than the model.
    """
    assert not isinstance(base.network, Tagger)
    if base.tokenizer.signature() != tokenizer.signature():
        raise DatasetError(
            "the data were prepared with other vocabularies than the model's. "
            "Give the table of pairs, so that it is prepared with the model's own."
        )
    return deepcopy(base.network)


def initialize_tagger(
    dataset: Dataset,
    config: TaggerConfig,
    base: TrainedModel | None,
    lexicon_features: LexiconFeatures,
    *,
    seed: int,
    vectors: str | Path | None = None,
) -> tuple[Tagger, TaggerTokenizer]:
    """Build a tagger for a dataset, or copy that of a trained model, which has its vectors.

    Raises:
        OptionError: lists or patterns cannot be read, or are given with a trained model.
        VectorsError: the file of vectors cannot be read.
    """
    if base is None:
        tokenizer = TaggerTokenizer.fit(
            dataset.train,
            buckets=config.buckets,
            lexicon_features=lexicon_features,
            vectors=None if vectors is None else open_token_vectors(vectors),
        )
        return build_tagger(config, tokenizer, seed=seed), tokenizer
    if lexicon_features:
        raise OptionError(
            "--lexicon and --patterns were settled when the model was first trained. Leave them "
            "off, or train a new model."
        )
    assert isinstance(base.tokenizer, TaggerTokenizer)
    # Numbers of its own: an annotator of the base model may forget those of many texts.
    opened = base.tokenizer.words.vectors
    words = FeatureHasher(buckets=config.buckets, vectors=None if opened is None else opened.fresh())
    tokenizer = replace(base.tokenizer, words=words)
    network = build_tagger(config, tokenizer, seed=seed)
    network.load_state_dict(base.network.state_dict())
    return network, tokenizer


def initialize_from_vectors(
    config: NetworkConfig, dataset: Dataset, path: str | Path, *, seed: int
) -> tuple[NetworkConfig, AnySeq2SeqNetwork, InitialEmbeddings]:
    """Build a network whose embeddings are as wide as the vectors of a file, and filled with them.

    Returns its configuration, the network, and what was found for the target vocabulary. One
    factor brings the vectors of both sides to a mean length of 1: the output layer has the same
    weights, and scores of longer ones would begin far from a guess.

    Raises:
        VectorsError: the file cannot be read.
        OptionError: another width was asked for, or the network cannot have that of the vectors.
    """
    source, target = init_source_and_target(dataset.tokenizer, path, seed=seed, cache=dataset.folder)
    config = config.with_embedding(target.matrix.shape[1])
    network = build_seq2seq(config, dataset.tokenizer, seed=seed)
    length = float(np.linalg.norm(target.matrix, axis=1).mean())
    with torch.no_grad():
        if network.source.copies is None:
            network.source.table.weight.copy_(torch.from_numpy(source.matrix / length))
        network.target.embedding.weight.copy_(torch.from_numpy(target.matrix / length))
    return config, network, target
