"""Initial weights: random, from word vectors, or from a trained model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from annoseq.config import BatchConfig, PretrainingConfig, TrainingConfig
from annoseq.data.pairs import Pairs
from annoseq.devices import ComputeDevice
from annoseq.errors import DatasetError, OptionError
from annoseq.models.build import build_seq2seq, build_tagger
from annoseq.models.encoder_folder import open_encoder
from annoseq.models.label_growth import grow_labels
from annoseq.models.language_model import LanguageModel
from annoseq.models.tagger import Tagger
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.language_modelling import build_language_model_head
from annoseq.training.objectives import Seq2SeqObjective, TaggerObjective
from annoseq.training.resources import check_encoder_options, check_lm_weight
from annoseq.vectors.init_embeddings import init_source_and_target
from annoseq.vectors.lookup import open_token_vectors

if TYPE_CHECKING:
    from annoseq.config import NetworkConfig, TaggerConfig
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.model_config import EncoderRecord, LanguageModelRecord
    from annoseq.models.pretrained_encoder import PretrainedEncoder
    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.training.distillation import Distillation, Lessons
    from annoseq.training.resources import Resources
    from annoseq.vectors.init_embeddings import InitialEmbeddings
    from annoseq.vectors.lookup import TokenVectors


def check_arguments(dataset: object, training: object, batching: object) -> None:
    """Raise `OptionError` for an argument of another type, with what to give instead."""
    if not isinstance(dataset, Dataset):
        hint = "Dataset.from_pairs(pairs)" if isinstance(dataset, Pairs) else "a Dataset"
        raise OptionError(
            f"found a {type(dataset).__name__} where a Dataset was expected. Give {hint}."
        )
    sections = (("training", training, TrainingConfig), ("batching", batching, BatchConfig))
    for name, value, expected in sections:
        if value is not None and not isinstance(value, expected):
            raise OptionError(
                f"{name}: found a {type(value).__name__} where a {expected.__name__} was expected. "
                f"Give {expected.__name__}(...)."
            )


class InitialModel(NamedTuple):
    """A network with its objective, tokenizer and final configuration, ready to be trained.

    `vectors` are the initial embeddings of the target vocabulary; of a tagger, the open file.
    `encoder` is the origin of a tagger's pre-trained encoder.
    """

    config: NetworkConfig
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer
    objective: TaggerObjective | Seq2SeqObjective
    vectors: InitialEmbeddings | TokenVectors | None = None
    encoder: EncoderRecord | None = None
    lessons: Lessons | None = None
    language_model: LanguageModelRecord | None = None


def initialize_model(
    dataset: Dataset,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    base: TrainedModel | None,
    resources: Resources,
    distillation: Distillation | None = None,
    compute: ComputeDevice | None = None,
) -> InitialModel:
    """Build the model to train on a dataset, or copy a trained model.

    `distillation` has the teachers of a tagger, which read its rows on the device `compute`.

    Raises:
        OptionError: options are not for this kind of network, or a lexicon or the patterns cannot
            be read.
        ModelError: the language model cannot be read.
        DatasetError: the data do not fit the trained model.
        VectorsError: the file of vectors cannot be read.
        EncoderError: the pre-trained encoder cannot be read.
    """
    if network.model == "tagger":
        tagger, tokenizer = initialize_tagger(
            dataset,
            network.tagger,
            base,
            resources,
            seed=training.seed,
        )
        record = _begin_with(resources.language_model, tagger, network.tagger, base)
        compute = compute or ComputeDevice.select(None)
        lessons = distillation.prepare(dataset, tokenizer, compute) if distillation else None
        initial = _tagger_to_train(network, tagger, tokenizer, dataset, training, lessons=lessons)
        return initial._replace(language_model=record)
    resources.check_tagger_options(network, has_teachers=distillation is not None)
    return _seq2seq_to_train(network, dataset, training, base=base, vectors=resources.vectors)


def _begin_with(
    folder: str | Path | None, tagger: Tagger, config: TaggerConfig, base: TrainedModel | None
) -> LanguageModelRecord | None:
    """Copy the weights of a language model, if there is one; return the origin of the weights."""
    if folder is None:
        return base.config.language_model if base else None
    language_model = LanguageModel.load(Path(folder))
    language_model.initialize(tagger, config)
    return language_model.record


def _tagger_to_train(
    config: NetworkConfig,
    tagger: Tagger,
    tokenizer: TaggerTokenizer,
    dataset: Dataset,
    training: TrainingConfig,
    *,
    lessons: Lessons | None,
) -> InitialModel:
    """Return a tagger with its objective, after reading the vectors of its tokens."""
    encoder = tagger.pretrained
    if encoder is not None:
        encoder.set_trained(
            freeze=training.freeze, gradient_checkpointing=training.gradient_checkpointing
        )
    objective = TaggerObjective(tagger, dataset, tokenizer, lessons)
    if training.lm_weight:
        _add_language_model(objective, config.tagger, training)
    tokenizer.feature_hasher.read_vectors()
    vectors = tokenizer.feature_hasher.vectors
    record = None if encoder is None else encoder.record
    return InitialModel(config, tokenizer, objective, vectors, record, lessons)


def _add_language_model(
    objective: TaggerObjective, config: TaggerConfig, training: TrainingConfig
) -> None:
    """Let a tagger predict words beside its tags.

    Raises:
        OptionError: its encoder is not an LSTM of one layer, or it has a pre-trained one.
    """
    check_lm_weight(config, has_encoder=objective.network.pretrained is not None)
    head = build_language_model_head(
        objective.train_rows,
        objective.tokenizer.feature_hasher,
        hidden=config.hidden,
        words=PretrainingConfig().words,
        seed=training.seed,
    )
    objective.add_language_model(head, weight=training.lm_weight)


def _seq2seq_to_train(
    network: NetworkConfig,
    dataset: Dataset,
    training: TrainingConfig,
    *,
    base: TrainedModel | None,
    vectors: str | Path | None,
) -> InitialModel:
    """Return a network that writes, with its objective; its embeddings are those of `vectors`."""
    embeddings: InitialEmbeddings | None = None
    if base is not None:
        seq2seq_network = copy_network(base, dataset.tokenizer)
    elif vectors is not None:
        network, seq2seq_network, embeddings = initialize_from_vectors(
            network, dataset, vectors, seed=training.seed
        )
    else:
        seq2seq_network = build_seq2seq(network, dataset.tokenizer, seed=training.seed)
    objective = Seq2SeqObjective(
        seq2seq_network,
        training,
        train_rows=dataset.encoded_train.encodings,
        valid_rows=dataset.encoded_valid.encodings,
    )
    return InitialModel(network, dataset.tokenizer, objective, embeddings)


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
    resources: Resources,
    *,
    seed: int,
) -> tuple[Tagger, TaggerTokenizer]:
    """Build a tagger for a dataset, or copy that of a trained model with its vectors and encoder.

    A copy gets the labels of the dataset that it does not know besides its own.

    Raises:
        OptionError: lexicons or patterns cannot be read, or options are given that do not apply.
        VectorsError: the file of vectors cannot be read.
        EncoderError: the pre-trained encoder cannot be read.
    """
    if base is None:
        vectors = resources.vectors
        pretrained = _open_encoder(resources.encoder, config)
        tokenizer = TaggerTokenizer.fit(
            dataset.fold_of or dataset.train,
            buckets=config.buckets,
            lexicon_features=resources.lexicon_features,
            vectors=None if vectors is None else open_token_vectors(vectors),
        )
        return build_tagger(config, tokenizer, seed=seed, pretrained=pretrained), tokenizer
    if resources.lexicon_features:
        raise OptionError(
            "--lexicon, --patterns and --gazetteers were settled when the model was first trained. "
            "Leave them off, or train a new model."
        )
    assert isinstance(base.tokenizer, TaggerTokenizer)
    # A hasher of its own: an annotator of the base model may clear that one.
    opened = base.tokenizer.feature_hasher.vectors
    feature_hasher = FeatureHasher(
        buckets=config.buckets, vectors=None if opened is None else opened.empty_copy()
    )
    known = base.tokenizer.labels
    tokenizer = replace(base.tokenizer.with_labels_of(dataset.train), feature_hasher=feature_hasher)
    assert isinstance(base.network, Tagger)
    pretrained = deepcopy(base.network.pretrained)
    network = build_tagger(config, tokenizer, seed=seed, pretrained=pretrained)
    weights = base.network.state_dict()
    if tokenizer.labels != known:
        weights = grow_labels(
            weights, network.state_dict(), old=len(known), new=len(tokenizer.labels)
        )
    network.load_state_dict(weights)
    return network, tokenizer


def _open_encoder(encoder: str | Path | None, config: TaggerConfig) -> PretrainedEncoder | None:
    """Open a pre-trained encoder, if there is one.

    Raises:
        OptionError: there is none, and an option of it was given.
        EncoderError: it cannot be read.
    """
    check_encoder_options(config, has_encoder=encoder is not None)
    return None if encoder is None else open_encoder(encoder, layers=config.encoder_layers)


def initialize_from_vectors(
    config: NetworkConfig, dataset: Dataset, path: str | Path, *, seed: int
) -> tuple[NetworkConfig, AnySeq2SeqNetwork, InitialEmbeddings]:
    """Build a network whose embeddings are as wide as the vectors of a file, and filled with them.

    Returns its configuration, the network, and the embeddings of the target vocabulary. One factor
    scales the vectors of both sides to a mean norm of 1: the output layer shares the weights, and
    larger ones would begin with extreme logits.

    Raises:
        VectorsError: the file cannot be read.
        OptionError: another width was asked for, or the network cannot have that of the vectors.
    """
    source, target = init_source_and_target(
        dataset.tokenizer, path, seed=seed, cache=dataset.folder
    )
    config = config.with_embedding(target.matrix.shape[1])
    network = build_seq2seq(config, dataset.tokenizer, seed=seed)
    length = float(np.linalg.norm(target.matrix, axis=1).mean())
    with torch.no_grad():
        if network.source.copies is None:
            network.source.table.weight.copy_(torch.from_numpy(source.matrix / length))
        network.target.embedding.weight.copy_(torch.from_numpy(target.matrix / length))
    return config, network, target
