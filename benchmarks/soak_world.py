"""The soak's world: a question so small that what is measured is the service, not the model."""

from pathlib import Path
from typing import Any
from uuid import UUID

from tests.crash.stage import Stage
from tests.support.deployment import documents, features_of_all_kinds
from tests.support.models import CONFIGS, WIDTH, train_tokenizer

DOCUMENTS = 20


def save_tiny_checkpoint(folder: Path, seed: int) -> Path:
    """A random Llama of one layer with its tokenizer, as `save_pretrained` leaves it."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = CONFIGS["llama"]()
    config.num_hidden_layers = 1
    model: Any = AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)
    return folder


class SoakStage(Stage):
    """Servers as the crash tests start them, with a probe and a neuron to watch."""

    def make_question(self) -> tuple[UUID, UUID, UUID]:
        """Two checkpoints of one layer on twenty documents."""
        root, model = self.folder / "models", self.world.model()
        probe, neuron = (
            next(one for one in features_of_all_kinds("none", WIDTH) if one["kind"] == kind)
            for kind in ("linear_probe", "neuron")
        )
        features = self.world.feature_set([{**probe, "site": "blocks.0.hook_resid_post"}, neuron])
        return (
            self.world.monitor(
                model, self.world.corpus(documents(DOCUMENTS)), feature_set=features
            ),
            self.world.checkpoint(model, save_tiny_checkpoint(root / "other", seed=1)),
            self.world.checkpoint(model, save_tiny_checkpoint(root / "base", seed=0)),
        )
