"""What a traceback shows to whoever reads the log."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from app.core.logging import configure_logging, get_logger


@pytest.fixture
def configured() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize("json_lines", [True, False])
@pytest.mark.usefixtures("configured")
def test_a_traceback_shows_neither_local_variables_nor_passwords(
    json_lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(json_lines=json_lines)
    # Put together, so that the line of code that the traceback quotes does not hold it.
    secret = "-".join(("whsec", "local"))
    try:
        raise RuntimeError(f"no answer of postgresql://me:{'pass'}word@db/x")
    except RuntimeError:
        get_logger("test").exception("it broke", length=len(secret))
    said = capsys.readouterr().err
    assert "no answer of postgresql://me:***@db/x" in said
    assert "Traceback" in said
    assert secret not in said
