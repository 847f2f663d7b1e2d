"""What a stranger wrote is loaded without network, pickles or code, and not larger than it is."""

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled
from safetensors.torch import load_file, save_file

from app.settings import Settings
from tests.support.models import save_checkpoint
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.capture.isolation import RefusedError, blamed, sealed
from workers.capture.loading import load_model
from workers.capture.numerics import detect_numerics
from workers.errors import EvaluationError
from workers.memory_limit import available

Resolve = Callable[..., ResolvedCheckpoint]


@pytest.fixture
def folder(model_root: Path, request: pytest.FixtureRequest) -> Path:
    path = model_root / request.node.name.replace("[", "-").replace("]", "")
    return save_checkpoint(path, "llama")


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a worker that may use the hub."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(resolve: Resolve, path: Path, code: str) -> str:
    with pytest.raises(EvaluationError) as caught:
        resolve(path)
    assert caught.value.code == code, caught.value.detail
    return caught.value.detail


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        lambda: socket.create_connection(("::1", 9), timeout=1),
        lambda: socket.getaddrinfo("huggingface.co", 443),
        lambda: socket.gethostbyname("huggingface.co"),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
    ],
)
def test_no_network_is_reached_while_loading(reach: Callable[[], object]) -> None:
    with pytest.raises(EvaluationError, match="tried to reach the network"), sealed("x"):
        reach()


def test_libraries_are_told_that_they_are_offline(online: None) -> None:
    from huggingface_hub import HfApi

    with pytest.raises(OfflineModeIsEnabled), sealed("x"):
        HfApi().model_info("owner/name")
    assert not constants.HF_HUB_OFFLINE


def test_other_threads_and_local_sockets_go_on() -> None:
    outcome: list[object] = []

    def reach() -> None:
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        except OSError as error:
            outcome.append(error)
        except RefusedError as error:  # pragma: no cover - what must not be
            outcome.append(error)

    with sealed("x"):
        thread = threading.Thread(target=reach)
        thread.start()
        thread.join()
        left, right = socket.socketpair()
        left.sendall(b"x")
        assert right.recv(1) == b"x"
        left.close()
        right.close()
    assert isinstance(outcome[0], OSError)
    # And afterwards so does this one.
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", 9), timeout=1)


def test_nothing_is_unpickled_while_loading() -> None:
    data = pickle.dumps(Path("x"))
    with pytest.raises(EvaluationError, match=r"unpickle .*Path"), sealed("x"):
        pickle.loads(data)  # noqa: S301 - it is refused
    assert pickle.loads(data) == Path("x")  # noqa: S301 - our own


def test_a_local_checkpoint_is_loaded_where_the_hub_is_allowed(
    online: None, folder: Path, model_root: Path
) -> None:
    """Libraries then ask the hub even of local folders; here they cannot, and need not."""
    resolved = resolve_checkpoint(
        str(folder), None, roots=[model_root], cache=model_root.parent / "cache", allow_hub=True
    )
    loaded = load_model(resolved, detect_numerics("float32", "eager", "cpu", 1, resolved))
    assert loaded.module is not None
    assert resolved.load_tokenizer()("one two")


def test_a_number_of_layers_without_weights_takes_no_memory(folder: Path, resolve: Resolve) -> None:
    edit(folder / "config.json", num_hidden_layers=2_000_000_000)
    assert "2000000000 layers" in refused(resolve, folder, "config_invalid")


@pytest.mark.parametrize("field", ["hidden_size", "vocab_size", "intermediate_size"])
def test_a_size_that_no_machine_has_fails_and_nothing_else(
    field: str, folder: Path, resolve: Resolve
) -> None:
    edit(folder / "config.json", **{field: 1 << 40})

    def load() -> None:
        resolved = resolve(folder)
        load_model(resolved, detect_numerics("float32", "eager", "cpu", 1, resolved))

    with pytest.raises((EvaluationError, MemoryError)):
        load()


@pytest.mark.parametrize(
    ("file", "changes", "code"),
    [
        ("config.json", {"attention_bias": "yes"}, "config_invalid"),
        ("config.json", {"hidden_size": -1}, "config_invalid"),
        ("config.json", {"num_attention_heads": 0}, "config_invalid"),
        ("config.json", {"dtype": []}, "config_invalid"),
        ("tokenizer_config.json", {"model_max_length": "long"}, "config_invalid"),
        ("tokenizer.json", {"model": {"type": "?"}}, "tokenizer_missing"),
        ("tokenizer.json", {"version": None}, "tokenizer_missing"),
    ],
)
def test_nonsense_is_the_checkpoints_fault_and_is_not_tried_again(
    resolve: Resolve, folder: Path, file: str, changes: dict[str, Any], code: str
) -> None:
    edit(folder / file, **changes)

    refused(resolve, folder, code)


@pytest.mark.parametrize("changes", [{"num_key_value_heads": 0}, {"hidden_act": "x"}])
def test_nonsense_that_shows_when_weights_are_loaded_is_not_tried_again_either(
    resolve: Resolve, folder: Path, changes: dict[str, Any]
) -> None:
    edit(folder / "config.json", **changes)

    resolved = resolve(folder)
    with pytest.raises(EvaluationError, match="does not load") as caught:
        load_model(resolved, detect_numerics("float32", "eager", "cpu", 1, resolved))
    assert caught.value.code == "weights_mismatch"


def test_what_may_be_the_machines_fault_is_tried_again() -> None:
    for error in (OSError("disk"), MemoryError(), ImportError("library"), SoftTimeLimitExceeded()):
        with pytest.raises(type(error)), blamed("config_invalid", "it"):
            raise error


def test_code_named_in_a_part_of_the_configuration_is_refused(
    folder: Path, resolve: Resolve
) -> None:
    edit(folder / "config.json", text_config={"auto_map": {"AutoModel": "evil.Model"}})
    refused(resolve, folder, "remote_code_refused")


@pytest.mark.parametrize("key", ["tokenizer_file", "vocab_file", "merges_file"])
def test_a_tokenizer_reads_no_file_elsewhere(key: str, folder: Path, resolve: Resolve) -> None:
    edit(folder / "tokenizer_config.json", **{key: "/etc/passwd"})
    refused(resolve, folder, "tokenizer_outside")


def test_where_a_file_was_once_read_from_does_not_matter(folder: Path, resolve: Resolve) -> None:
    edit(folder / "tokenizer_config.json", tokenizer_file="/home/ada/tokenizer.json")
    assert resolve(folder).load_tokenizer()("one")


def test_a_chat_template_is_never_rendered(folder: Path, resolve: Resolve, tmp_path: Path) -> None:
    trace = tmp_path / "rendered"
    code = (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{% for x in ().__class__.__base__"
        f".__subclasses__() %}}{{{{ x('touch {trace}') }}}}{{% endfor %}}"
    )
    (folder / "chat_template.jinja").write_text(code)
    edit(folder / "tokenizer_config.json", chat_template=code)
    resolved = resolve(folder)
    assert resolved.load_tokenizer()("one")
    assert not trace.exists()


def test_an_adapter_leads_to_no_object_store(folder: Path, resolve: Resolve) -> None:
    adapter = folder.with_name(f"{folder.name}-adapter")
    adapter.mkdir()
    weights = load_file(folder / "model.safetensors")
    save_file(dict(list(weights.items())[:1]), adapter / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "base_model_name_or_path": "s3://internal/model"}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    refused(resolve, adapter, "adapter_base_elsewhere")


def test_a_child_cannot_take_more_than_it_may(tmp_path: Path) -> None:
    """In a process of its own: limits are for life."""
    code = (
        "from app.settings import Settings\n"
        "from workers.memory_limit import limit_memory\n"
        "import sys\n"
        "given = limit_memory(Settings(child_memory_bytes=300 << 20, device='cpu'))\n"
        "assert given == 300 << 20\n"
        "held = bytearray(50 << 20)\n"
        "try:\n"
        "    bytearray(1 << 30)\n"
        "except MemoryError:\n"
        "    sys.exit(7)\n"
    )
    environment = {**os.environ, "FEATUREDRIFT_DATA_DIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 7


def test_a_container_with_less_memory_is_heeded(tmp_path: Path) -> None:
    file = tmp_path / "memory.max"
    machine = available(tmp_path / "none")
    file.write_text("max\n")
    assert available(file) == machine
    file.write_text("1073741824\n")
    assert available(file) == min(machine, 1 << 30)
    assert Settings().child_memory_bytes == 0
