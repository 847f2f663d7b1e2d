"""Site names: parsed once, bound to modules, refused with a reason."""

from collections.abc import Callable

import pytest
import torch

from tests.support.models import LAYERS
from workers.capture.forward import SiteReader
from workers.capture.loading import LoadedModel
from workers.capture.sites import Reading, Site, bind_site, parse_site
from workers.errors import EvaluationError

IDS = torch.tensor([[5, 17, 260, 33], [70, 2, 81, 19]])


def test_a_hook_name_is_parsed_into_block_and_reading() -> None:
    assert parse_site("blocks.12.attn.hook_z") == Site("blocks.12.attn.hook_z", Reading.Z, 12)
    assert parse_site("model.layers.3") == Site("model.layers.3", Reading.MODULE)


def test_a_hook_that_is_not_read_is_refused_with_those_that_are() -> None:
    with pytest.raises(EvaluationError, match=r"'attn\.hook_q' is not read.*hook_resid_post"):
        parse_site("blocks.1.attn.hook_q")


def test_a_block_that_does_not_exist_is_refused_with_the_number_of_blocks(
    loaded: Callable[[str], LoadedModel],
) -> None:
    with pytest.raises(EvaluationError, match=f"has {LAYERS} blocks") as failure:
        bind_site(loaded("llama").module, parse_site("blocks.3.hook_resid_post"))
    assert failure.value.code == "site_unknown"


def test_a_module_that_does_not_exist_is_refused_with_near_names(
    loaded: Callable[[str], LoadedModel],
) -> None:
    with pytest.raises(EvaluationError, match=r"near names: .*layers\.1\.mlp\.up_proj"):
        bind_site(loaded("llama").module, parse_site("model.layers.1.mlp.upproj"))


@pytest.mark.parametrize(
    ("family", "path"),
    [
        ("llama", "model.layers.1"),
        ("llama", "layers.1"),
        ("gpt2", "transformer.h.1"),
        ("gpt_neox", "gpt_neox.layers.1"),
        ("bert", "bert.encoder.layer.1"),
    ],
)
def test_a_module_path_is_read_as_that_modules_output(
    family: str, path: str, loaded: Callable[[str], LoadedModel]
) -> None:
    reader = SiteReader(loaded(family), [path, "blocks.1.hook_resid_post"])
    values = reader.read(IDS, torch.tensor([4, 4]))
    assert torch.equal(values[path], values["blocks.1.hook_resid_post"])


def test_the_last_block_is_read_before_the_final_norm(
    loaded: Callable[[str], LoadedModel],
) -> None:
    model = loaded("llama")
    site = f"blocks.{LAYERS - 1}.hook_resid_post"
    values = SiteReader(model, [site]).read(IDS, torch.tensor([4, 4]))[site]
    with torch.inference_mode():
        normed = model.module(IDS).last_hidden_state.reshape(8, -1)
        assert not torch.allclose(values, normed)
        torch.testing.assert_close(model.module.norm(values), normed)


def test_the_pass_stops_at_the_last_site_in_order_of_execution(
    loaded: Callable[[str], LoadedModel],
) -> None:
    model = loaded("llama")
    ran: list[int] = []
    handles = [
        block.register_forward_hook(lambda *_, at=at: ran.append(at))
        for at, block in enumerate(model.module.layers)
    ]
    # By name the first site is the later one.
    reader = SiteReader(model, ["blocks.1.hook_resid_pre", "blocks.0.hook_mlp_out"])
    ran.clear()
    reader.read(IDS, torch.tensor([4, 4]))
    for handle in handles:
        handle.remove()
    assert ran == [0]


def test_a_site_without_a_token_axis_is_refused(loaded: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(EvaluationError, match=r"rotary_emb.*\[batch, token, width\]"):
        SiteReader(loaded("llama"), ["model.rotary_emb"])


def test_a_site_that_never_runs_is_refused(loaded: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(EvaluationError, match="does not run"):
        SiteReader(loaded("gpt2"), ["h"])
