"""What a feature is: five kinds, each a frozen, validated definition.

These are the JSON objects of `POST /v1/feature-sets`, the rows of the table `features`, and what a
worker executes. A definition says everything that determines the feature's value at a token.
"""

import math
import re
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
SITE_PATTERN = re.compile(
    r"^blocks\.\d+\.(hook_resid_pre|hook_resid_post|hook_mlp_out|hook_attn_out|"
    r"attn\.hook_z|mlp\.hook_post)$"
    r"|^[A-Za-z_]\w*(\.\w+)*$"  # a raw module path
)

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


def _check_site(site: str) -> str:
    if not SITE_PATTERN.fullmatch(site):
        raise ValueError(
            f"{site!r} is no site; give a TransformerLens hook name such as "
            "'blocks.3.hook_resid_post', or a module path such as 'model.layers.3'"
        )
    return site


Site = Annotated[str, Field(max_length=300), AfterValidator(_check_site)]


def _check_vector(vector: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if vector is not None:
        for position, value in enumerate(vector):
            if not math.isfinite(value):
                raise ValueError(f"entry {position} is {value}; every entry must be finite")
    return vector


class _Feature(BaseModel):
    """What all kinds share.

    Of a vector the first bad entry is told: millions, each with an error of its own, fill memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Name
    concept: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The corpus label that this feature claims to stand for.",
    )
    description: str | None = Field(default=None, max_length=2000)
    threshold: float = Field(
        default=0.0, description="The feature is on at a token where its value exceeds this."
    )


class _AtSite(_Feature):
    site: Site


class SaeLatent(_Feature):
    """`SAE.encode(x)[index]` of a registered dictionary."""

    kind: Literal["sae_latent"] = "sae_latent"
    dictionary: Name
    index: int = Field(ge=0)
    threshold: float = Field(
        default=0.0,
        ge=0,
        description="The latent is on at a token where its value exceeds this; not negative, or "
        "it would be on wherever it is silent.",
    )


class LinearProbe(_AtSite):
    """`x·w + b`, a logit."""

    kind: Literal["linear_probe"] = "linear_probe"
    weights: tuple[float, ...] = Field(min_length=1, max_length=65536, fail_fast=True)
    bias: float = 0.0

    _finite = field_validator("weights")(_check_vector)


class Direction(_AtSite):
    """`(x − center)·v/‖v‖`."""

    kind: Literal["direction"] = "direction"
    vector: tuple[float, ...] = Field(min_length=1, max_length=65536, fail_fast=True)
    center: tuple[float, ...] | None = Field(default=None, fail_fast=True)

    _finite = field_validator("vector", "center")(_check_vector)

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if not any(self.vector):
            raise ValueError("vector is all zeros and has no direction")
        if self.center is not None and len(self.center) != len(self.vector):
            raise ValueError(
                f"center has {len(self.center)} entries but vector has {len(self.vector)}"
            )
        return self


class Neuron(_AtSite):
    """The site's coordinate `index`."""

    kind: Literal["neuron"] = "neuron"
    index: int = Field(ge=0)


class Component(BaseModel):
    """One part of a composite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    feature: Name
    weight: float = 1.0


class Composite(_Feature):
    """A weighted sum, maximum or minimum of other features of the same set.

    Components may live at different sites and layers: a distributed feature. `max` and `min` are
    taken over weight × value.
    """

    kind: Literal["composite"] = "composite"
    operation: Literal["sum", "max", "min"]
    components: tuple[Component, ...] = Field(min_length=1, max_length=1000, fail_fast=True)


Feature = Annotated[
    SaeLatent | LinearProbe | Direction | Neuron | Composite, Field(discriminator="kind")
]


def check_feature_list(features: tuple[Any, ...]) -> None:
    """Names are unique; composites refer to features of the list and never to themselves.

    A composite of latents that cannot be negative is silent where they are, and so has no
    threshold below 0 either.

    Raises:
        ValueError: naming the offending feature and what to do.
    """
    by_name: dict[str, Any] = {}
    for feature in features:
        if feature.name in by_name:
            raise ValueError(f"feature {feature.name!r} is defined twice; names must be unique")
        by_name[feature.name] = feature
    parts: dict[str, list[str]] = {}
    for feature in features:
        if isinstance(feature, Composite):
            parts[feature.name] = [component.feature for component in feature.components]
            for part in parts[feature.name]:
                if part not in by_name:
                    raise ValueError(
                        f"composite {feature.name!r} refers to {part!r}, which is not in this "
                        "feature set"
                    )
    try:
        order = tuple(TopologicalSorter(parts).static_order())
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        raise ValueError(f"composite {cycle[0]!r} depends on itself: {' → '.join(cycle)}") from None
    silent: set[str] = set()
    for name in order:
        feature = by_name[name]
        if isinstance(feature, SaeLatent) or (
            isinstance(feature, Composite)
            and all(c.weight >= 0 and c.feature in silent for c in feature.components)
        ):
            silent.add(name)
            if feature.threshold < 0:
                raise ValueError(
                    f"composite {name!r} has threshold {feature.threshold:g}, but is 0 wherever "
                    "its latents are silent and would be on there; give 0 or more"
                )
