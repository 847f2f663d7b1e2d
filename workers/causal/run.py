"""Measuring a checkpoint from its files, whether it has a language head or not."""

from collections.abc import Mapping, Sequence

from app.registry.definitions import Feature
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.tokenization import TokenizedCorpus
from workers.causal.head import NoLanguageHeadError, load_with_head
from workers.causal.measure import OnBatch, measure
from workers.causal.measurement import CausalMeasurement, empty_measurement
from workers.causal.settings import CausalSettings
from workers.features.dictionaries import DictionarySource
from workers.numerics import Numerics


def measure_checkpoint(
    resolved: ResolvedCheckpoint,
    numerics: Numerics,
    tokens: TokenizedCorpus,
    definitions: Sequence[Feature],
    dictionaries: Mapping[str, DictionarySource],
    settings: CausalSettings,
    on_batch: OnBatch | None = None,
) -> CausalMeasurement:
    """Load a checkpoint with its language head and measure it.

    Without a head every feature's reason says so.

    Args:
        tokens: the corpus in this checkpoint's own tokens.
        definitions, dictionaries, settings, on_batch: as for `measure`.

    Raises:
        EvaluationError: as `load_with_head` and `measure`.
    """
    try:
        model = load_with_head(resolved, numerics)
    except NoLanguageHeadError as error:
        reason = f"No effect on a next token to measure: {error.detail}."
        return empty_measurement(
            {feature.name: reason for feature in definitions},
            settings.to_json(),
            directions=settings.random_directions,
            tokenizer_digest=tokens.tokenizer_digest,
        )
    return measure(model, tokens, definitions, dictionaries, settings, on_batch)
