"""The demo's dictionary: a BatchTopK SAE (Bussmann et al. 2024), trained with SAELens."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.training.sae_trainer import SAETrainer
from torch import Tensor

from workers.demo.model import Advance, batches
from workers.demo.recipe import Recipe


@dataclass(frozen=True)
class Health:
    """How well a dictionary explains activations that it was not trained on."""

    fvu: float
    """Fraction of variance unexplained: Σ‖x − x̂‖² / Σ‖x − x̄‖²."""
    l0: float
    """Mean number of latents on at a token."""
    dead_ratio: float
    """Share of latents that never fire."""


def train_dictionary(
    activations: Tensor, recipe: Recipe, model_name: str, advance: Advance
) -> BatchTopKTrainingSAE:
    """Train on a fixed sample of activations.

    Args:
        activations: float32 [tokens, width] of `recipe.site`.
        recipe: sizes, learning rate and seed.
        model_name: recorded in the dictionary's metadata.
        advance: told the tokens of each step.
    """
    width = activations.shape[1]
    torch.manual_seed(recipe.seed)
    sae = BatchTopKTrainingSAE(
        BatchTopKTrainingSAEConfig(
            d_in=width,
            d_sae=recipe.latents,
            k=recipe.k,
            normalize_activations="expected_average_only_in",
            metadata=SAEMetadata(model_name=model_name, hook_name=recipe.site),
        )
    )
    # From here a decoder starts as the mean, so that no latent spends itself on it.
    scale = math.sqrt(width) / activations.norm(dim=-1).mean().item()
    sae.b_dec.data = activations.mean(dim=0) * scale
    trainer: Any = SAETrainer(
        SAETrainerConfig(
            total_training_samples=recipe.sae_samples,
            train_batch_size_samples=recipe.sae_batch,
            lr=recipe.sae_learning_rate,
            lr_end=recipe.sae_learning_rate / 10,
            lr_warm_up_steps=50,
            lr_decay_steps=recipe.sae_samples // recipe.sae_batch // 3,
            dead_feature_window=200,
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae,
        _provider(activations, recipe),
    )
    trainer.activation_scaler.scaling_factor = scale
    # The steps of SAETrainer.fit(), through the seams it offers to other coordinators: its own
    # progress bar cannot be shared.
    while trainer.n_training_samples < recipe.sae_samples:
        trainer.maybe_reset_sparsity()
        trainer.step(next(trainer.data_provider))
        trainer.n_training_steps += 1
        advance(recipe.sae_batch)
    sae.fold_activation_norm_scaling_factor(scale)
    trainer.activation_scaler.scaling_factor = None
    trainer.set_final_sae_metadata()
    return sae


def _provider(activations: Tensor, recipe: Recipe) -> Iterator[Tensor]:
    return batches(activations, recipe.sae_batch, recipe.seed)


def load_dictionary(folder: Path) -> SAE[Any]:
    """The saved dictionary, as SAELens reads it."""
    return SAE.load_from_disk(str(folder), device="cpu")


@torch.inference_mode()
def health(sae: SAE[Any], activations: Tensor, batch: int = 8192) -> Health:
    """FVU, L0 and dead share on activations float32 [tokens, width]."""
    mean = activations.mean(dim=0)
    residual = total = on = 0.0
    fired = torch.zeros(sae.cfg.d_sae, dtype=torch.bool)
    for x in activations.split(batch):
        latents = sae.encode(x)
        residual += (x - sae.decode(latents)).square().sum().item()
        total += (x - mean).square().sum().item()
        on += (latents > 0).sum().item()
        fired |= (latents > 0).any(dim=0)
    return Health(
        fvu=residual / total,
        l0=on / len(activations),
        dead_ratio=1 - fired.float().mean().item(),
    )
