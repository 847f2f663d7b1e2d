"""The drift policy: what counts as a change, and what the gate lets through."""

from math import log
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.registry.definitions import Name

Margin = Annotated[float, Field(gt=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]

_LOG_125 = log(1.25)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Margins(_Frozen):
    """The smallest change that counts, per estimand: the null hypothesis is an interval."""

    rate: Margin = Field(_LOG_125, description="|log ratio of firing rates|")
    magnitude: Margin = Field(_LOG_125, description="|log ratio of co-active activation|")
    identity: Margin = Field(0.2, lt=1, description="1 − Jaccard overlap of firing tokens")
    strength: Margin = Field(
        0.2, lt=1, description="1 − Lin's concordance of a sparse feature's activations"
    )
    shift: Margin = Field(0.2, description="|difference of means| in baseline standard deviations")
    scale: Margin = Field(_LOG_125, description="|log ratio of standard deviations|")
    identity_dense: Margin = Field(0.1, lt=1, description="1 − Lin's concordance")
    concept: Margin = Field(0.02, lt=1, description="|difference of AUROC| on the concept")
    robustness: Margin = Field(
        0.1, lt=1, description="|difference of agreement across variants of a document|"
    )


class GatePolicy(_Frozen):
    """When a checkpoint passes: judged on the comparison with the pinned baseline."""

    max_drifted_ratio: Share = Field(0.0, description="Share of features that may have drifted")
    max_unproven_ratio: Share = Field(
        0.0, description="Share that may be inconclusive, insufficient, untrusted or invalid"
    )
    allow_benign_floor: bool = Field(
        False,
        description="Let features pass that are `stable` only within a margin that a checkpoint "
        "marked benign has raised",
    )


class PagePolicy(_Frozen):
    """How often someone may be woken for nothing, per monitor and calendar quarter."""

    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="Chance of any false page in a calendar quarter"
    )
    planned_checkpoints: int = Field(
        13, ge=1, le=1000, description="Evaluations that a quarter is planned to have"
    )
    planned_share: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="Share of alpha that the planned evaluations divide evenly; every further one "
        "draws on the rest, which never runs out",
    )


class SlowDriftPolicy(_Frozen):
    """When many steps, none of which counts alone, add up to a drift (watched features)."""

    weight: float = Field(
        0.2, gt=0, le=1, description="Weight of the newest checkpoint in the moving average"
    )
    margin_share: float = Field(
        0.5, gt=0, le=1, description="Share of a margin that the moving average may reach"
    )
    alpha: float = Field(0.001, gt=0, lt=0.5, description="Level of the moving average's bound")


class ControlPolicy(_Frozen):
    """Which negative controls run; the no-op control always does."""

    randomised_model: bool = Field(True, description="The same architecture with fresh weights")
    numerics: bool = Field(True, description="The same weights in other numerics: the noise floor")
    random_features: bool = Field(
        True, description="Random features of the same norm and firing rate"
    )
    permuted_labels: bool = Field(True, description="The concept's labels shifted along the tokens")
    shuffled_pairing: bool = Field(True, description="Tokens of one side paired with others")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of all that is random in the controls")


class CausalPolicy(_Frozen):
    """Whether a feature's direction does something in the model, by ablation and steering."""

    features: Literal["none", "watchlist"] | Annotated[tuple[Name, ...], Field(max_length=200)] = (
        Field("none", description="`none`, `watchlist`, or the names of features")
    )
    tokens: int = Field(16_384, ge=256, le=10_000_000, description="Tokens to intervene on")
    random_directions: int = Field(
        8,
        ge=2,
        le=64,
        description="Random directions of the same norm to compare with; few tell little",
    )
    strength: float = Field(
        1.0, gt=0, le=100, description="Steering strength in the feature's own mean activation"
    )


class RetentionPolicy(_Frozen):
    """How long what the verdicts were made from is kept; verdicts and reports always are."""

    keep_last: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Newest evaluated checkpoints whose snapshots are kept, beside the baseline's "
        "and what alerts, repairs and open evaluations refer to; null keeps all",
    )
    keep_last_tables: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Newest evaluated checkpoints whose tables of all latents (Parquet) are kept; "
        "null keeps all",
    )


class DriftPolicy(_Frozen):
    """Everything that turns two snapshots into verdicts, and how long the snapshots stay."""

    margins: Margins = Margins()
    q: float = Field(0.05, gt=0, lt=0.5, description="False discovery rate of the lists")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Level of intervals and tests")
    min_active_documents: int = Field(50, ge=2)
    fvu_max: float = Field(
        0.5, gt=0, description="A dictionary whose FVU on the baseline exceeds this reads nothing"
    )
    gate: GatePolicy = GatePolicy()
    pages: PagePolicy = PagePolicy()
    slow_drift: SlowDriftPolicy = SlowDriftPolicy()
    controls: ControlPolicy = ControlPolicy()
    baselines: bool = Field(
        True, description="Compare with simple read-outs where a concept is labelled"
    )
    diagnosis: bool = Field(True, description="Find out why a feature drifted, propose a repair")
    causal: CausalPolicy = CausalPolicy()
    activation_tokens: int = Field(
        131_072,
        ge=0,
        le=2**22,
        description="Tokens whose raw activations are kept per site, for controls, baselines and "
        "diagnosis; 0 keeps none, and these are then not told",
    )
    retention: RetentionPolicy = RetentionPolicy()
