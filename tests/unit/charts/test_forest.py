"""Forest plots: rows, axis, marks and what the description says of them."""

import math
import re

import pytest

from app.charts import ForestPoint, axis_limits, forest, forest_pages
from app.charts.forest import COLUMNS

PHONE = ForestPoint("phone", 0.41, 0.35, 0.47, 0.2, "drifted", "identity_sparse")
EMAIL = ForestPoint("email", -0.01, -0.03, 0.01, math.log(1.25), "stable", "rate")
RARE = ForestPoint("rare", 0.3, None, None, 0.2, "insufficient", "rate")
SILENT = ForestPoint("silent", None, None, None, None, None)


def test_every_feature_has_its_row_in_the_table_in_the_order_given() -> None:
    chart = forest([PHONE, EMAIL, RARE, SILENT])
    assert chart.columns == COLUMNS
    assert [row[0] for row in chart.rows] == ["phone", "email", "rare", "silent"]
    assert chart.rows[0][2:6] == (0.41, 0.35, 0.47, 0.2)
    assert chart.rows[0][6] == pytest.approx(2.05)
    assert chart.rows[3] == ("silent", None, None, None, None, None, None, None)


def test_the_description_counts_and_names_the_extremes() -> None:
    text = forest([PHONE, EMAIL, RARE, SILENT]).description
    assert text.startswith("4 features: 1 drifted, 1 stable, 1 insufficient and 1 not judged.")
    assert "2 of 3 effects lie beyond the margin." in text
    assert "phone" in text
    assert "2.05 margins (interval 1.75 to 2.35), drifted" in text
    assert "email" in text
    assert "−0.0448 margins" in text
    assert text.endswith("2 features have no interval.")


def test_limits_hold_everything_and_never_cut_the_margin_off() -> None:
    assert axis_limits([EMAIL]) == (-1.5, 1.5)
    assert axis_limits([SILENT]) == (-1.5, 1.5)
    low, high = axis_limits([PHONE, ForestPoint("far", -30.0, -31.0, -29.0, 0.2, "drifted")])
    assert low <= -155
    assert high >= 2.35


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((math.nan, 0.0, 1.0, 0.2, "stable"), "effect of 'x' is NaN"),
        ((0.5, None, 1.0, 0.2, "stable"), "both ends or none"),
        ((0.5, 1.0, 0.0, 0.2, "stable"), "lower end is first"),
        ((0.5, 0.0, 1.0, 0.0, "stable"), "margin of 'x' is 0.0"),
        ((0.5, 0.0, 1.0, 0.2, "fine"), "verdict of 'x' is 'fine'"),
    ],
)
def test_what_is_no_effect_is_refused_by_name(values: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ForestPoint("x", *values)  # type: ignore[arg-type]


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one feature"):
        forest([])


def test_two_hundred_features_stay_small() -> None:
    points = [
        ForestPoint(f"layer.{i}/latent/{i * 97} with a name", 0.01 * i, 0.0, 2.5, 0.2, "drifted")
        for i in range(200)
    ]
    chart = forest(points)
    assert len(chart.svg.encode()) < 150_000
    assert len(chart.rows) == 200


def test_pages_of_paper_share_their_axis_and_lose_no_row() -> None:
    points = [
        ForestPoint(f"f{i}", 0.05 * i, 0.05 * i, 0.05 * i + 0.1, 0.2, "inconclusive")
        for i in range(100)
    ]
    pages = forest_pages(points, rows=45, prefix="effects")
    assert [len(page.rows) for page in pages] == [45, 45, 10]
    assert [page.title[-8:] for page in pages] == ["(1 of 3)", "(2 of 3)", "(3 of 3)"]
    axes = {tuple(re.findall(r">(−?\d+)</text>", page.svg)) for page in pages}
    assert len(axes) == 1
    assert ['id="effects-1-title"' in page.svg for page in pages] == [True, False, False]


def test_one_page_is_the_chart_itself() -> None:
    assert forest_pages([PHONE, EMAIL], prefix="") == (forest([PHONE, EMAIL]),)
    with pytest.raises(ValueError, match="rows is 0"):
        forest_pages([PHONE], rows=0)
    with pytest.raises(ValueError, match="at least one feature"):
        forest_pages([])


def test_an_axis_that_reaches_far_says_that_it_is_logarithmic() -> None:
    assert "symmetric log" not in forest([PHONE]).svg
    far = ForestPoint("far", 30.0, 29.0, 31.0, 0.2, "drifted")
    assert "symmetric log" in forest([PHONE, far]).svg


def test_what_lies_beyond_given_limits_or_is_infinite_gets_an_arrow_at_the_edge() -> None:
    plain = forest([PHONE], limits=(-3, 3), prefix="p").svg
    cut = forest([PHONE], limits=(-2, 2), prefix="p").svg
    assert cut.count("<path") == plain.count("<path") + 1
    endless = ForestPoint("x", 0.1, -math.inf, math.inf, 0.2, "inconclusive")
    assert forest([endless], limits=(-3, 3), prefix="p").svg.count("<path") == (
        forest([ForestPoint("x", 0.1, -0.5, 0.5, 0.2, "inconclusive")], limits=(-3, 3)).svg.count(
            "<path"
        )
        + 2
    )
    with pytest.raises(ValueError, match="both sides of 0"):
        forest([PHONE], limits=(1, 3))
