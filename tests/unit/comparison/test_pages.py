"""Pages of whole comparisons."""

import numpy as np
import pytest

from tests.unit.comparison.bench import CONCEPTS, LATENTS, PROBES, Bench, changed
from workers.comparison import compare_snapshots
from workers.drift.ladder import Blocked
from workers.drift.pages import PageRequest, Pages
from workers.drift.policy import Policy

REQUEST = PageRequest(None, 0.05, 400)


def pages(bench: Bench, request: PageRequest | None = REQUEST, **options: object) -> Pages:
    result = compare_snapshots(
        bench.snapshot("a"),
        changed(bench),
        bench.corpus,
        Policy(),
        concepts=CONCEPTS,
        pages=request,
        **options,  # type: ignore[arg-type]
    )
    assert result.pages is not None
    return result.pages


def test_what_plainly_drifted_pages_and_the_rest_does_not(bench: Bench) -> None:
    found = pages(bench)
    paged = [name for name, page in zip(found.names, found.paged, strict=True) if page]
    assert paged == ["latent-1", "latent-2", "probe-0"]
    assert set(found.of("probe-0")["intervals"]) == {
        "rate",
        "shift",
        "scale",
        "identity_dense",
        "concept",
    }
    assert set(found.of("latent-3")["intervals"]) == {
        "rate",
        "magnitude",
        "identity_sparse",
        "strength",
    }
    # A dead feature has no token where both sides fire.
    assert set(found.of("latent-1")["intervals"]) == {"rate", "identity_sparse"}
    # Every value of latent-2 doubled: an effect without error is no test.
    lower, upper = found.of("latent-2")["intervals"]["magnitude"]
    assert lower == pytest.approx(upper) == pytest.approx(np.log(2))
    assert found.tests < 4 * LATENTS + 3 * PROBES + len(CONCEPTS)


def test_only_features_asked_for_page_and_fewer_make_shorter_intervals(bench: Bench) -> None:
    everything, one = pages(bench), pages(bench, PageRequest(["latent-2"], 0.05, 400))
    assert one.paged.sum() == 1
    assert one.of("latent-1")["intervals"] == {}
    assert one.tests <= 3
    assert one.critical < everything.critical


def test_pages_do_not_depend_on_how_the_comparison_was_streamed(bench: Bench) -> None:
    whole, tight = pages(bench), pages(bench, memory_bytes=1)
    assert tight.critical == pytest.approx(whole.critical)
    assert [tight.of(n)["paged"] for n in tight.names] == [
        whole.of(n)["paged"] for n in tight.names
    ]
    assert pages(bench).critical == whole.critical


def test_a_blocked_feature_and_one_in_few_documents_never_page(bench: Bench) -> None:
    blocked = {"latent-1": Blocked("untrusted", "It survives random weights.")}
    found = pages(bench, blocked=blocked)
    assert not found.of("latent-1")["paged"]
    bench.latents[300:, 2] = 0
    assert not pages(bench).of("latent-2")["paged"]


def test_the_same_weights_never_page(bench: Bench) -> None:
    result = compare_snapshots(
        bench.snapshot("a"), bench.snapshot("b"), bench.corpus, Policy(), pages=REQUEST
    )
    assert result.pages is not None
    assert not result.pages.paged.any()
    assert result.pages.tests == 0


def test_without_a_request_and_without_a_comparison_there_are_no_pages(bench: Bench) -> None:
    a = bench.snapshot("a")
    assert compare_snapshots(a, changed(bench), bench.corpus, Policy()).pages is None
    other = bench.snapshot("b", corpus_digest="9" * 64)
    assert compare_snapshots(a, other, bench.corpus, Policy(), pages=REQUEST).pages is None
