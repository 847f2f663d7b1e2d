"""Padding changes nothing, and every family's positions are right."""

from collections.abc import Callable

import pytest
import torch

from tests.support.models import CONFIGS
from workers.capture.forward import SiteReader
from workers.capture.loading import LoadedModel

SITES = ("blocks.0.hook_mlp_out", "blocks.2.hook_resid_post")


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", CONFIGS)
def test_a_padded_sequence_gives_what_it_gives_alone(
    family: str, attention: str, loaded: Callable[..., LoadedModel]
) -> None:
    model = loaded(family, attention)
    reader = SiteReader(model, SITES)
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(3, 300, (length,), generator=generator) for length in (21, 9, 30, 1)]
    ids = torch.full((4, 30), model.pad_id)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
    lengths = torch.tensor([len(row) for row in rows])
    together = reader.read(ids, lengths)
    for site in SITES:
        parts = together[site].split(lengths.tolist())
        for row, part in zip(rows, parts, strict=True):
            alone = reader.read(row[None], torch.tensor([len(row)]))[site]
            torch.testing.assert_close(part, alone, rtol=1e-4, atol=1e-4)


def test_two_reads_are_equal_to_the_last_bit(loaded: Callable[..., LoadedModel]) -> None:
    reader = SiteReader(loaded("llama", "sdpa"), SITES)
    ids, lengths = torch.randint(3, 300, (4, 20)), torch.tensor([20, 13, 20, 7])
    first, second = reader.read(ids, lengths), reader.read(ids, lengths)
    assert all(torch.equal(first[site], second[site]) for site in SITES)
