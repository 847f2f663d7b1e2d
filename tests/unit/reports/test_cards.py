"""Feature cards: what the evidence suggests, and nothing that it does not."""

import pytest

from app.monitors.policy import DriftPolicy
from app.reports.estimates import finding
from app.reports.material import Material
from app.reports.model import Feature
from app.reports.monitoring import POWER_80, documents_needed, suggestions, what_breaks
from tests.unit.reports.worlds import drifted, estimate, feature

MATERIAL = Material(policy=DriftPolicy())


def said(one: Feature) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for suggestion in suggestions(one, MATERIAL):
        found.setdefault(suggestion.about, []).append(f"{suggestion.what} {suggestion.why}")
    return found


@pytest.mark.parametrize(
    ("lower", "upper", "word"),
    [(0.3, 0.5, "beyond"), (-0.5, -0.3, "beyond"), (-0.1, 0.1, "within"), (0.1, 0.3, "open")],
)
def test_an_interval_lies_beyond_within_or_neither(lower: float, upper: float, word: str) -> None:
    assert finding(lower, upper, 0.2) == word


def test_documents_needed_follow_the_square_of_the_interval() -> None:
    line = estimate(effect=0.1, lower=0.0, upper=0.2, margin=0.15, finding="open")
    assert documents_needed(line) == pytest.approx(POWER_80 * 4)
    wider = estimate(effect=0.1, lower=-0.1, upper=0.3, margin=0.15, finding="open")
    assert documents_needed(wider) == pytest.approx(POWER_80 * 16)
    at_the_margin = estimate(effect=0.15, lower=0.0, upper=0.3, margin=0.15, finding="open")
    assert documents_needed(at_the_margin) is None


def test_an_inconclusive_feature_is_told_how_many_documents_would_settle_it() -> None:
    line = estimate(effect=0.1, lower=0.0, upper=0.2, margin=0.15, finding="open")
    one = feature(verdict="inconclusive", estimates=[line.model_dump()])
    (text,) = said(one)["corpus"]
    # 141 documents, 8.16 times as many.
    assert "about 1,152 documents like these would settle it (power 80%)" in text


def test_a_rarely_active_feature_is_told_how_many_would_hold_it() -> None:
    seen = {**feature().behaviour.model_dump(), "active_documents": 10, "documents": 100}
    one = feature(verdict="insufficient", behaviour=seen)
    (text,) = said(one)["corpus"]
    assert "about 500 documents like these would hold 50" in text


def test_a_stable_feature_near_its_margin_is_to_be_watched() -> None:
    near = estimate(effect=0.15, lower=0.12, upper=0.18, finding="within")
    found = said(feature(estimates=[near.model_dump()]))
    assert "near its margin" in found["watch"][0]
    assert "90% of the margin" in found["watch"][0]


def test_a_stable_feature_far_from_it_could_be_held_to_less() -> None:
    found = said(feature())
    assert "still be shown stable with 30% of them" in found["margin"][0]


def test_a_margin_that_noise_raised_is_named() -> None:
    line = estimate(margin_source="noise_floor:numerics_dtype", margin_meaning="noise floor: x")
    (text, *_) = said(drifted("a", estimates=[line.model_dump()]))["margin"]
    assert "no lower than 0.2" in text


def test_a_benign_mark_behind_a_margin_is_questioned() -> None:
    line = estimate(margin_source="noise_floor:benign:v2", margin_meaning="checkpoint 'v2'")
    (text, *_) = said(drifted("a", estimates=[line.model_dump()]))["margin"]
    assert "take the mark off" in text


def test_a_token_level_feature_is_a_list_of_tokens() -> None:
    seen = {**feature().behaviour.model_dump(), "token_level": True}
    assert "list of tokens" in said(feature(behaviour=seen))["definition"][0]


def test_what_breaks_it_names_update_history_variants_and_controls() -> None:
    earlier = drifted("a").history[0].model_copy(update={"verdict": "drifted"})
    failed = {"control": "random_features", "outcome": "failed", "detail": "0.4 beside 0.6."}
    one = drifted("a", history=[earlier.model_dump()], controls=[failed])
    text = " ".join(what_breaks(one))
    assert "This update: identity, rate." in text
    assert "drifted in 1 earlier evaluation" in text
    assert "'typos'" in text
    assert "Control random_features failed" in text
