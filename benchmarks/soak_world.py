"""The soak's world: a question so small that what is measured is the service, not the model."""

from pathlib import Path
from typing import Any
from uuid import UUID

from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint
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

    def ask_others(self, count: int) -> list[UUID]:
        """The same question by as many monitors of a model of their own.

        A model has some monitors, not thousands: the gate, which each end asks, looks at them all.
        """
        assert self._question is not None
        monitor, *pair = self._question
        with self.world.database.unit_of_work() as session:
            first = session.get_one(Monitor, monitor)
            sources = [session.get_one(Checkpoint, one).source for one in pair]
        model = self.world.model()
        candidate, baseline = (self.world.checkpoint(model, Path(source)) for source in sources)
        others = [
            self.world.monitor(model, first.corpus_id, feature_set=first.feature_set_version_id)
            for _ in range(count)
        ]
        return [self.world.evaluate(other, candidate, baseline) for other in others]

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
