"""A delivery whose process has no disk, file or socket to be had, before and after it is sent."""

from pathlib import Path

import pytest

from app.core import faults
from app.settings import Settings
from app.webhooks.deliverer import Deliverer
from tests.integration.webhooks.conftest import Hooks
from tests.integration.webhooks.receiver import Receiver


@pytest.mark.parametrize(("point", "arrivals"), [("before-delivery", 1), ("after-delivery", 2)])
def test_a_delivery_that_breaks_off_is_made_when_its_lease_is_over(
    hooks: Hooks,
    receiver: Receiver,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    arrivals: int,
) -> None:
    folder = tmp_path / "faults"
    folder.mkdir()
    (folder / f"{point}.one").write_text("full")
    monkeypatch.setattr(faults, "_FOLDER", str(folder))
    path = hooks.test(hooks.make(receiver.url))
    soon = settings.model_copy(update={"webhook_timeout": 1.0})
    with Deliverer(soon, lease_slack=0.5):
        delivery = hooks.ended(path)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 2)
    assert [request.headers["webhook-id"] for request in receiver.received] == (
        [delivery["message_id"]] * arrivals
    )
