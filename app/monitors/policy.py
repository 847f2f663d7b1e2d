"""The drift policy: what counts as a change, and what the gate lets through."""

from math import log
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
    shift: Margin = Field(0.2, description="|difference of means| in baseline standard deviations")
    scale: Margin = Field(_LOG_125, description="|log ratio of standard deviations|")
    identity_dense: Margin = Field(0.1, lt=1, description="1 − Lin's concordance")
    concept: Margin = Field(0.02, lt=1, description="|difference of AUROC| on the concept")


class GatePolicy(_Frozen):
    """When a checkpoint passes: judged on the comparison with the pinned baseline."""

    max_drifted_ratio: Share = Field(0.0, description="Share of features that may have drifted")
    max_unproven_ratio: Share = Field(
        0.0, description="Share that may be inconclusive, insufficient, untrusted or invalid"
    )


class DriftPolicy(_Frozen):
    """Everything that turns two snapshots into verdicts."""

    margins: Margins = Margins()
    q: float = Field(0.05, gt=0, lt=0.5, description="False discovery rate of the lists")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Level of intervals and tests")
    min_active_documents: int = Field(50, ge=2)
    fvu_max: float = Field(
        0.5, gt=0, description="A dictionary whose FVU on the baseline exceeds this reads nothing"
    )
    gate: GatePolicy = GatePolicy()
