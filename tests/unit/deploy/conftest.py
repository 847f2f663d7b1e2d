"""The chart, rendered once in each shape."""

import pytest

from tests.unit.deploy import helm
from tests.unit.deploy.shapes import SHAPES


@pytest.fixture(scope="session")
def rendered() -> dict[str, list[helm.Resource]]:
    return {name: helm.render(values) for name, values in SHAPES.items()}


@pytest.fixture(params=SHAPES)
def resources(
    request: pytest.FixtureRequest, rendered: dict[str, list[helm.Resource]]
) -> list[helm.Resource]:
    return rendered[request.param]
