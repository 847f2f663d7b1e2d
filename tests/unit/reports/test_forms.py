"""Negotiation, the published schema, and the example."""

import json
import random
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.reports.examples import EXAMPLE
from app.reports.json import json_schema, render_json
from app.reports.model import Report
from app.reports.routes import NotAcceptableError, preferred
from app.reports.shading import LEVELS, shade
from app.reports.text import code, visible
from app.reports.words import listing, number, quantity
from tests.unit.reports.worlds import passage, report

PUBLISHED = Path(__file__).parents[3] / "docs/schemas/report-1.json"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("text/html", "html"),
        ("text/*", "md"),
        ("TEXT/HTML ; q=1", "html"),
        ("text/html;q=0.2, text/markdown;q=0.7", "md"),
        ("application/json;q=0, */*", "md"),
        ("text/html;q=nonsense, application/json;q=0.1", "json"),
        ("image/png, */*;q=0.1", "json"),
    ],
)
def test_the_preferred_form(accept: str | None, form: str) -> None:
    assert preferred(accept) == form


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0", "application/xml, text/plain"])
def test_what_there_is_not_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="text/markdown"):
        preferred(accept)


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(PUBLISHED.read_text()) == json_schema(), (
        "docs/schemas/report-1.json is behind app/reports/model.py; version 1 may only gain fields"
    )


def test_the_example_keeps_to_the_schema() -> None:
    Draft202012Validator.check_schema(json_schema())
    Draft202012Validator(json_schema()).validate(json.loads(render_json(report())))
    assert Report.model_validate(EXAMPLE) == report()


def test_json_comes_back_as_it_went() -> None:
    content = render_json(report())
    assert Report.model_validate_json(content) == report()
    assert render_json(Report.model_validate_json(content)) == content


def test_shades_go_from_none_to_the_strongest() -> None:
    one = passage(units=5).model_copy(update={"peak": 0})
    units = [
        unit.model_copy(update={"baseline": value, "candidate": -value})
        for unit, value in zip(one.units, (10.0, 0.0, 0.1, 5.0, 2.0), strict=True)
    ]
    (shown,) = shade([one.model_copy(update={"units": tuple(units)})])
    assert [run.level for run in shown.before] == [LEVELS, 0, 3, 1]
    assert {run.sign for run in shown.after if run.level} == {"n"}
    assert [run.peak for run in shown.before] == [True, False, False, False]


def test_nothing_unseen_is_left() -> None:
    drawn = random.Random(0)
    text = "".join(chr(drawn.randrange(0x10FFFF)) for _ in range(2000))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u0000-\u0008\ud800-\udfff]", visible(text))
    assert visible("naïve 東京 👩‍💻".replace("\ufe0f", "")) == "naïve 東京 👩‍💻"


@pytest.mark.parametrize("text", ["a`b", "``", "`x`", "plain", "a|b", ""])
def test_code_spans_hold_any_backtick(text: str) -> None:
    found = code(text)
    assert found.startswith("`")
    assert found.endswith("`")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (-0.5, "−0.5"), (1234.5, "1,234"), (0.00001234, "1.23e−05"), (100.0, "100")],
)
def test_numbers_as_people_read_them(value: float | None, text: str) -> None:
    assert number(value) == text


def test_logarithms_of_ratios_are_shown_as_ratios() -> None:
    assert quantity(0.2231435513142097, "log_ratio") == "×1.25"
    assert quantity(-50.0, "log_ratio") == "×8.32e−07"


def test_long_lists_are_cut() -> None:
    assert listing(["a"]) == "'a'"
    assert listing(["a", "b"]) == "'a' and 'b'"
    assert listing(map(str, range(10)), 2) == "'0', '1' and 8 more"
