"""The network to Redis is slow, deaf, half closed or cut; what was accepted is answered once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.ids import new_id
from tests.crash.stage import Stage
from tests.support.deployment import dispatching, wait_for


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, servers_dir: Path) -> Iterator[Stage]:
    """A deployment that reaches its Redis through a proxy."""
    folder = tmp_path_factory.mktemp("network")
    servers = servers_dir / f"network-{new_id().hex[-12:]}"
    with Stage(folder, servers, proxied=True) as stage:
        _ = stage.undisturbed
        with dispatching(stage.settings):
            yield stage


@pytest.fixture
def far(network: Stage) -> Iterator[Stage]:
    """The same with a network that is well again at the end."""
    yield network
    network.proxy.mend()
    network.clear()


def test_a_slow_network(far: Stage) -> None:
    far.proxy.delay = 0.2
    evaluation_id = far.ask()
    assert far.world.wait(evaluation_id).state == "succeeded"
    far.proxy.mend()
    assert far.answered_once(evaluation_id) == 1


def test_a_network_that_is_cut_for_a_while(far: Stage) -> None:
    far.order("mid-capture", "wait")
    evaluation_id = far.ask()
    wait_for(lambda: far.taken("mid-capture"))
    far.proxy.cut()
    far.clear_waiting()
    wait_for(
        lambda: any(s.kind == "capture" and s.state == "succeeded" for s in far.world.shards())
    )
    far.proxy.mend()
    far.answered_once(evaluation_id)


def test_a_network_that_closes_one_direction(far: Stage) -> None:
    far.order("mid-capture", "wait")
    evaluation_id = far.ask()
    wait_for(lambda: far.taken("mid-capture"))
    far.proxy.half_close()
    far.clear_waiting()
    far.answered_once(evaluation_id)


def test_a_network_that_swallows_everything_for_a_while(far: Stage) -> None:
    """Nobody is told: connections stay open, and nothing comes through them ever again."""
    far.order("mid-capture", "wait")
    evaluation_id = far.ask()
    wait_for(lambda: far.taken("mid-capture"))
    held = far.proxy.connections
    far.proxy.deaf = True
    far.clear_waiting()
    wait_for(
        lambda: any(s.kind == "capture" and s.state == "succeeded" for s in far.world.shards())
    )
    far.proxy.deaf = False
    assert held
    far.answered_once(evaluation_id)
