"""A tiny language model with gains other than one, so that folding them matters."""

import pytest
import torch
from transformers import LlamaForCausalLM

from workers.demo.model import new_model
from workers.demo.recipe import Recipe


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(vocabulary=300, layers=3, width=32, heads=2, mlp_width=48, context=32)


@pytest.fixture
def model(recipe: Recipe) -> LlamaForCausalLM:
    model = new_model(recipe, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter += 0.5 * torch.randn_like(parameter)
            else:
                parameter *= 5
    return model.eval()


@pytest.fixture(scope="session")
def ids() -> torch.Tensor:
    return torch.randint(0, 300, (3, 32), generator=torch.Generator().manual_seed(0))
