"""A comparison in a notebook: a table, a DataFrame, a chart; nothing of a user's is markup."""

import builtins
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pytest

from app.client import Comparison
from app.client.comparison import SHOWN, MissingPackageError
from app.evaluations.schemas import EvaluationOut
from app.verdicts.schemas import VerdictOut

EVALUATION: Any = EvaluationOut.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index,call-overload]
VERDICT: Any = VerdictOut.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index,call-overload]
NASTY = "<script>alert('&')</script>"


def comparison(*changes: dict[str, Any], **evaluation: Any) -> Comparison:
    rows = tuple(VerdictOut.model_validate({**VERDICT, **change}) for change in changes)
    found = EvaluationOut.model_validate({**EVALUATION, **evaluation})
    return Comparison(evaluation=found, which="baseline", verdicts=rows)


class Text(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_data_frame_has_a_row_for_each_feature_in_order() -> None:
    frame = comparison({"feature": "b"}, {"feature": "a", "effect": None}).to_pandas()

    assert list(frame.index) == ["b", "a"]
    assert frame.loc["b", "effect"] == VERDICT["effect"]
    assert frame["effect"].isna().tolist() == [False, True]
    assert "estimates" not in frame.columns


def test_no_verdicts_are_an_empty_frame_with_the_same_columns() -> None:
    assert list(comparison().to_pandas().columns) == list(comparison({}).to_pandas().columns)


def test_names_are_text_and_no_markup() -> None:
    page = comparison({"feature": NASTY}, model=NASTY)._repr_html_()

    found = Text(page)
    assert "script" not in found.tags
    assert NASTY in "".join(found.text)


def test_the_table_is_small_and_says_what_it_leaves_out() -> None:
    page = comparison(*({"feature": f"f{n}"} for n in range(SHOWN + 7)))._repr_html_()

    assert "and 7 more" in page
    assert f"f{SHOWN}<" not in page


def test_without_a_package_for_charts_the_table_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_charts(name: str, *rest: Any) -> Any:
        if name == "app.charts":
            raise ImportError("no charts")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_charts)
    page = comparison({})._repr_html_()

    assert "<table>" in page
    assert "<svg" not in page


def test_an_evaluation_that_has_not_succeeded_is_shown_as_such() -> None:
    page = comparison(state="running")._repr_html_()
    assert "no verdicts" in page
    assert "running" in page


def test_without_pandas_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match="pip install pandas"):
        comparison({}).to_pandas()


def test_the_client_alone_needs_neither_numpy_nor_pandas() -> None:
    code = (
        "import sys, app.client; "
        "print(sorted({'numpy', 'pandas', 'torch', 'celery', 'vl_convert'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_verdict_is_found_by_its_feature() -> None:
    found = comparison({"feature": "a"}, {"feature": "b"})
    assert found["b"].feature == "b"
    assert found.counts == {"drifted": 2}
    with pytest.raises(KeyError):
        found["c"]
