"""README and the like link to what is there; the site sees to its own pages."""

import re

import pytest

from tests.unit.docs.pages import ROOT

_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [target for target in _LINK.findall(text) if "://" not in target]
    lost = [target for target in targets if not (ROOT / target.partition("#")[0]).exists()]
    assert not lost
