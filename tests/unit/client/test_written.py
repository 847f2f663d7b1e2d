"""The synchronous client is what the asynchronous one says."""

import inspect

import pytest

from app.client import AsyncClient, Client
from tools.client import SOURCE, TARGET, render, translate


def test_it_is_fresh() -> None:
    assert {path.name: path.read_text() for path in TARGET.glob("*.py")} == render()


def test_no_asynchronous_word_is_left() -> None:
    for path in SOURCE.glob("*.py"):
        text = translate(path.read_text()).split("\n", 1)[1]
        assert "await " not in text
        assert "async " not in text.replace("asynchronous", "")


@pytest.mark.parametrize("name", sorted(n for n in vars(Client("http://x")) if n != "transport"))
def test_both_offer_the_same(name: str) -> None:
    here, there = getattr(Client("http://x"), name), getattr(AsyncClient("http://x"), name)

    def offers(value: object) -> dict[str, list[str]]:
        methods = inspect.getmembers(type(value), inspect.isfunction)
        return {name: list(inspect.signature(method).parameters) for name, method in methods}

    assert offers(here) == offers(there)
