"""The report as a file: how large it may become, and how a browser shows it."""

import subprocess
from pathlib import Path

from app.reports.html import LIMIT, render_html
from tests.support.tools import tool
from tests.unit.reports.test_html import LONG, Page
from tests.unit.reports.worlds import (
    drifted,
    feature,
    passage,
    with_features,
)


def test_two_hundred_drifted_features_with_all_evidence_fit() -> None:
    features = [drifted(f"feature-{i}") for i in range(200)]
    content = render_html(with_features(features))
    assert len(content) <= LIMIT
    text = content.decode()
    assert all(f'id="card-{i}"><bdi>feature-{i}</bdi>' in text for i in range(200))
    assert "the JSON form of this report has all" in text


def test_the_worst_that_there_may_be_fits() -> None:
    """Long names, hostile and invisible texts, wide tokens, thousands of variants and lines."""
    name, hidden = "n" * 124, "\u202e<&\"'\U0001f600" * 60
    passages = [
        {
            **passage(units=25).model_dump(),
            "document": hidden,
            "units": [{"text": hidden, "baseline": 1.5, "candidate": -2.5} for _ in range(25)],
        }
    ] * 6
    variants = [
        {"perturbation": f"{i} {hidden[:500]}", "pairs": 3, "baseline": 0.1, "candidate": 0.2}
        for i in range(15)
    ]
    features = [
        drifted(
            f"{name}{i}",
            description=hidden,
            definition=hidden,
            concept=name,
            reason=hidden,
            robustness=variants,
            what_breaks_it=[hidden] * 8,
            passages=passages,
        )
        for i in range(200)
    ]
    line = {"name": name, "verdict": "drifted", "estimand": "identity_sparse", "effect": 0.5}
    line |= {"lower": 0.4, "upper": 0.6, "margin": 0.2}
    content = render_html(
        with_features(
            features, others=[line] * 2000, left_out=5, answers=dict.fromkeys(LONG, (hidden,) * 8)
        )
    )
    assert len(content) <= LIMIT
    page = Page(content)
    assert len(page.ids) == len(set(page.ids))
    links = {a["href"] for tag, a in page.elements if tag == "a" and a.get("href")}
    assert {f"#{one}" for one in page.ids} >= links
    assert "JSON form of this report has all" in content.decode()


def test_a_browser_shows_it_as_it_is(tmp_path: Path) -> None:
    """Chromium says on its error stream what a policy keeps from a page."""
    chromium = tool("chromium")
    file = tmp_path / "report.html"
    file.write_bytes(render_html(with_features([drifted("a"), feature(name="b")])))
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr")
    done = subprocess.run(
        [
            *(chromium, *options, f"--user-data-dir={tmp_path / 'profile'}"),
            *("--virtual-time-budget=2000", "--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "CONSOLE" not in done.stderr
    # Omitted end tags are closed as they were meant to be.
    assert done.stdout.count("<table>") == done.stdout.count("</table>") > 5
    assert done.stdout.count("<article") == done.stdout.count("</article>") == 3
