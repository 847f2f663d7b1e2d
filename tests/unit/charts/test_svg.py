"""What every chart's SVG promises: inert, named, small in vocabulary, and the same each time."""

import hashlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest

from app.charts import stylesheet
from app.charts.chart import Chart
from app.charts.drawing import ChartsNotInstalledError
from app.charts.palette import variables
from app.charts.svg import finish
from tests.unit.charts.conftest import DRAWERS, Draw

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "desc", "g", "path", "text"}
ATTRIBUTES = {
    *("role", "aria-labelledby", "id", "width", "height", "viewBox", "font-family"),
    *("d", "transform", "x", "y", "x2", "y2", "fill", "stroke", "stroke-width"),
    *("stroke-dasharray", "font-size", "font-weight", "text-anchor"),
}
HOSTILE = {
    "markup": "</title></desc><script>alert(1)</script><image href='//x' onload=alert(1)>",
    "entities": "a < b & c > \"d\" 'e' &amp; &#x3c;script&#x3e; ]]> <!-- -->",
    "link": "javascript:alert(1)",
    "expression": "${alert(1)} {{7*7}} datum.x signal('y') \\u003cscript\\u003e",
    "long": "x" * 200,
    "long words": "أرقام الهواتف " * 20,
    "right to left": "مرحبا שלום",
    "bidi override": "safe\u202eexe.txt\u2066",
    "emoji": "👩‍👩‍👧‍👦🇺🇳🏳️‍🌈" * 12,
    "combining": "Z\u0351\u036b\u0343" * 40,
    "controls": "a\x00b\x08c\x1bd\ud800e\ufffef\r\ng\u2028h",
    "wide": "特徴" * 100,
    "css": 'url(//x) ;} </style> var(--chart-ink) style="x"',
    "empty": "",
}


def parsed(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(chart.svg)  # noqa: S314 (what is under test)


@pytest.mark.parametrize("case", HOSTILE)
def test_names_stay_text_whatever_they_hold(draw: Draw, case: str) -> None:
    name = HOSTILE[case]
    chart = draw(name, name, "")
    root = parsed(chart)
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= ELEMENTS
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES
        for value in element.attrib.values():
            assert not re.search(r"script|url\(|//|javascript|alert", value)
    assert sum(1 for _ in root.iter(f"{SVG}title")) == 1
    assert sum(1 for _ in root.iter(f"{SVG}desc")) == 1
    assert not re.search(r"<(script|style|a|image|use|foreignObject|animate|set)\b", chart.svg)
    for forbidden in "\x00\x08\x1b\u202e\u2066\ufffe":
        assert forbidden not in chart.svg
    chart.svg.encode()
    chart.description.encode()


def test_names_go_into_the_table_as_they_were_given() -> None:
    name = HOSTILE["markup"]
    assert all(DRAWERS["forest"](name, "", "").rows[i][0] == f"{name}{i}" for i in range(7))
    assert DRAWERS["heat"](name, "", "").rows[0][0] == f"{name}0"


def test_a_long_name_leaves_both_of_its_ends(draw: Draw) -> None:
    svg = draw("begin-" + "x" * 200 + "-end", "", "").svg
    assert "begin-x" in svg
    assert "…" in svg
    assert "x" * 60 not in svg


def test_a_screen_reader_gets_one_image_with_its_name_and_description(draw: Draw) -> None:
    chart = draw("feature", "A title", "one")
    root = parsed(chart)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "one-title one-desc"
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert root[0].get("id") == "one-title"
    assert root[0].text == chart.title == "A title"
    assert root[1].get("id") == "one-desc"
    assert root[1].text == chart.description
    assert re.match(r"\d", chart.description)
    assert all(len(row) == len(chart.columns) for row in chart.rows)


def test_charts_beside_each_other_share_no_id() -> None:
    charts = [draw("a", "", "") for draw in DRAWERS.values()]
    charts += [draw("b", "", "") for draw in DRAWERS.values()]
    charts += [draw("a", "", "second") for draw in list(DRAWERS.values())[:1]]
    ids = [e.get("id") for chart in charts for e in parsed(chart).iter() if e.get("id")]
    assert len(ids) == 2 * len(charts)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("prefix", ["1st", "a b", 'a"b', "é", "x" * 65, "a:b"])
def test_a_prefix_that_ids_cannot_begin_with_is_refused(draw: Draw, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix is"):
        draw("a", "", prefix)


def test_every_paint_is_a_variable_of_the_palette_or_none(draw: Draw) -> None:
    variables = set(re.findall(r"--chart-[a-z0-9]+", stylesheet()))
    for element in parsed(draw("a", "", "")).iter():
        for name in ("fill", "stroke"):
            value = element.get(name)
            if value is not None and value != "none":
                found = re.fullmatch(r"var\((--chart-[a-z0-9]+),#[0-9a-f]{6}\)", value)
                assert found, value
                assert found[1] in variables


def test_nothing_lies_outside_of_the_picture(draw: Draw) -> None:
    root = parsed(draw("feature name", "", ""))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    for text in root.iter(f"{SVG}text"):
        for x in text.get("x", "0").split():
            assert -80 <= float(x) <= width
        assert -40 <= float(text.get("y", "0")) <= height


def test_equal_data_give_equal_bytes_in_any_thread(draw: Draw) -> None:
    first = draw("feature", "", "").svg
    with ThreadPoolExecutor(4) as threads:
        again = list(threads.map(lambda _: draw("feature", "", "").svg, range(4)))
    assert set(again) == {first}


def test_equal_data_give_equal_bytes_in_another_process() -> None:
    program = (
        "import hashlib, sys\n"
        "from tests.unit.charts.conftest import DRAWERS\n"
        "svg = ''.join(draw('é👩‍👧', '', '').svg for draw in DRAWERS.values())\n"
        "assert 'numpy' not in sys.modules and 'pandas' not in sys.modules\n"
        "print(hashlib.sha256(svg.encode()).hexdigest())\n"
    )
    environment = {"PYTHONHASHSEED": "7", "UNICODE_VERSION": "9.0.0", "COLUMNS": "20", "LANG": "C"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    here = "".join(draw("é👩‍👧", "", "").svg for draw in DRAWERS.values())
    assert done.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_a_file_of_its_own_brings_its_colours_along(draw: Draw) -> None:
    chart = draw("a <b>", "", "")
    root = ElementTree.fromstring(chart.standalone())  # noqa: S314 (what is under test)
    assert root[0].tag == f"{SVG}style"
    assert root[0].text == variables()
    # In a notebook it stands among other things, which it must not style.
    assert set(re.findall(r"([^{}@]+)\{--", variables())) == {":root"}
    assert chart._repr_svg_() == chart.standalone()


def test_without_the_extra_the_error_says_what_to_install(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ChartsNotInstalledError, match=r"pip install 'featuredrift\[charts\]'"):
        draw("a", "", "")


def test_a_fork_of_a_process_that_has_drawn_gets_an_error_instead_of_hanging() -> None:
    program = (
        "import os\n"
        "from tests.unit.charts.conftest import DRAWERS\n"
        "DRAWERS['forest']('a', '', '')\n"
        "child = os.fork()\n"
        "try:\n"
        "    DRAWERS['forest']('a', '', '')\n"
        "except RuntimeError as error:\n"
        "    os._exit(7 if 'forked' in str(error) else 8)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "7"


def test_what_a_chart_has_no_use_for_is_not_let_through() -> None:
    rendered = '<svg xmlns="http://www.w3.org/2000/svg"><g>{}</g></svg>'
    for element in ("<script/>", "<image/>", "<foreignObject/>", "<a/>", "<style/>"):
        with pytest.raises(RuntimeError, match="has no place in a chart"):
            finish(rendered.format(element), prefix="p", title="", description="")
    kept = finish(
        rendered.format('<path d="M0,0h1" stroke="red" onclick="x" style="y" href="z"/>'),
        prefix="p",
        title="",
        description="",
    )
    assert not re.search("onclick|style|href", kept)


def test_lines_and_letters_of_one_paint_are_written_once() -> None:
    rendered = (
        '<svg xmlns="http://www.w3.org/2000/svg"><g>'
        '<line transform="translate(1.04,2)" x2="5" y2="0" stroke="red"/>'
        '<line transform="translate(1,4)" x2="0" y2="-2.26" stroke="red"/>'
        '<line transform="translate(1,4)" x2="3" y2="3" stroke="blue"/>'
        '<text transform="translate(1,9)" fill="red">S</text>'
        '<text transform="translate(9,9)" fill="red">D</text>'
        '<text transform="translate(9,12)" fill="red">👧</text>'
        '<text transform="translate(15,12)" fill="red">S</text>'
        "</g></svg>"
    )
    svg = finish(rendered, prefix="p", title="", description="")
    assert '<path d="M1,2h5M1,4v-2.3" stroke="red"/>' in svg
    assert '<path d="M1,4l3,3" stroke="blue"/>' in svg
    assert '<text fill="red" x="1 9" y="9">SD</text>' in svg
    assert '>👧</text><text fill="red" x="15" y="12">S<' in svg
