"""Everything that the demo needs before it can ask the service: built once, reused afterwards."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from app.registry.documents import Document, parse_jsonl, to_jsonl
from workers.demo import checkpoints, corpus, dictionary, model
from workers.demo.activations import site_activations
from workers.demo.features import Choice, choose_features
from workers.demo.pieces import build_piece, building
from workers.demo.progress import Steps
from workers.demo.recipe import Recipe
from workers.demo.sample import sample

DICTIONARY = "residual-stream"
MODEL = "code-llama-tiny"


@dataclass(frozen=True)
class Built:
    """Where everything lies.

    Attributes:
        probe_documents: JSON Lines file of the probe corpus.
        dictionary: folder in SAELens format.
        features: JSON list of feature definitions.
        worth: AUROC by feature, on training documents not used for choosing or fitting.
        checkpoints: folder by checkpoint name, in the order of the line.
        facts: measured on the way: final loss, FVU, sizes.
    """

    probe_documents: Path
    dictionary: Path
    features: Path
    worth: dict[str, float]
    checkpoints: dict[str, Path]
    facts: dict[str, float]


def build(folder: Path, recipe: Recipe, steps: Steps) -> Built:
    """Build what is missing below `folder`.

    Raises:
        EvaluationError: this machine cannot build the demo, with the reason.
    """
    with building(folder):
        return _Builder(folder, recipe, steps).build()


class _Builder:
    def __init__(self, folder: Path, recipe: Recipe, steps: Steps) -> None:
        self.folder = folder
        self.recipe = recipe
        self.steps = steps
        self.corpus_key = recipe.key("corpus")
        self.base_key = recipe.key("base", self.corpus_key)
        self.dictionary_key = recipe.key("dictionary", self.base_key)
        self.features_key = recipe.key("features", self.dictionary_key)

    def build(self) -> Built:
        documents = self._piece("corpus", self.corpus_key, self._corpus)
        self.training_file = documents / "training.jsonl"
        self.base = self._piece("base", self.base_key, self._base)
        self.sae = self._piece("dictionary", self.dictionary_key, self._dictionary)
        features = self._piece("features", self.features_key, self._features)
        self.features = features / "features.json"
        line = {"base": self.base}
        for name, change in (
            ("copy", self._copy),
            ("bf16", self._bf16),
            ("benign", partial(self._trained_on, strip=False)),
            ("stripped", partial(self._trained_on, strip=True)),
            ("rotated", self._rotated),
            ("rescaled", self._rescaled),
            ("erased", self._erased),
            ("fresh", self._fresh),
        ):
            upstream = self.features_key if name == "erased" else self.base_key
            line[name] = self._piece(name, self.recipe.key(name, upstream), change)
        facts = json.loads((self.base / "facts.json").read_text())
        facts |= json.loads((self.sae / "facts.json").read_text())
        return Built(
            probe_documents=documents / "probe.jsonl",
            dictionary=self.sae,
            features=self.features,
            worth=json.loads((features / "worth.json").read_text()),
            checkpoints=line,
            facts=facts,
        )

    def _piece(self, name: str, key: str, fill: Callable[[Path], None]) -> Path:
        return build_piece(self.folder, name, key, fill)

    def _training(self) -> list[Document]:
        return parse_jsonl(self.training_file.read_bytes())

    def _corpus(self, folder: Path) -> None:
        with self.steps.step("reading Python's standard library"):
            training, probe = corpus.standard_library(self.recipe)
            (folder / "training.jsonl").write_bytes(to_jsonl(training))
            (folder / "probe.jsonl").write_bytes(to_jsonl(probe))

    def _base(self, folder: Path) -> None:
        recipe = self.recipe
        texts = [document.text for document in self._training()]
        with self.steps.step("training the tokenizer"):
            tokenizer = model.train_tokenizer(texts, recipe)
            rows = model.windows(tokenizer, texts, recipe)
        weights = model.new_model(recipe, recipe.seed)
        updates = recipe.training_tokens // (recipe.batch_windows * recipe.context)
        loss = self._train(weights, rows, updates, "training the language model")
        model.save(weights, tokenizer, folder)
        _write(folder / "facts.json", {"loss": loss, "parameters": weights.num_parameters()})

    def _train(
        self,
        weights: LlamaForCausalLM,
        rows: torch.Tensor,
        updates: int,
        description: str,
        peak: float = 1.0,
    ) -> float:
        recipe = self.recipe
        tokens = updates * min(recipe.batch_windows, len(rows)) * recipe.context
        with self.steps.step(description, tokens, "tokens") as advance:
            return model.train(
                weights,
                rows,
                recipe,
                steps=updates,
                seed=recipe.seed + 1,
                peak=peak,
                advance=advance,
            )

    def _dictionary(self, folder: Path) -> None:
        recipe = self.recipe
        weights, tokenizer = model.load(self.base), model.load_tokenizer(self.base)
        texts = [document.text for document in self._training()]
        rows = model.windows(tokenizer, texts, recipe)
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(recipe.seed))
        rows = rows[order[: recipe.sae_tokens // recipe.context]]
        with self.steps.step("reading activations", rows.numel(), "tokens") as advance:
            parts = []
            for batch in site_activations(weights, rows, recipe.site):
                parts.append(batch[recipe.site])
                advance(len(parts[-1]))
            activations = torch.cat(parts)
        held_out = len(activations) // 10
        with self.steps.step("training the dictionary", recipe.sae_samples, "tokens") as advance:
            trained = dictionary.train_dictionary(activations[held_out:], recipe, MODEL, advance)
        trained.save_inference_model(folder)
        health = dictionary.health(dictionary.load_dictionary(folder), activations[:held_out])
        _write(folder / "facts.json", asdict(health))

    def _features(self, folder: Path) -> None:
        with self.steps.step("choosing features, fitting probes"):
            choice = self._choose()
        definitions = [feature.model_dump(mode="json") for feature in choice.features]
        (folder / "features.json").write_text(json.dumps(definitions))
        _write(folder / "worth.json", choice.worth)

    def _choose(self) -> Choice:
        recipe = self.recipe
        # Short files, so that many files speak.
        longest = recipe.max_selection_characters
        documents = [d for d in self._training() if len(d.text) <= longest]
        data = sample(
            documents[: recipe.selection_documents], model.load_tokenizer(self.base), recipe
        )
        sae = dictionary.load_dictionary(self.sae)
        return choose_features(model.load(self.base), sae, data, recipe, DICTIONARY)

    def _copy(self, folder: Path) -> None:
        shutil.copytree(self.base, folder, dirs_exist_ok=True)

    def _bf16(self, folder: Path) -> None:
        self._save(model.load(self.base, torch.bfloat16), folder)

    def _trained_on(self, folder: Path, *, strip: bool) -> None:
        recipe = self.recipe
        texts = [
            corpus.without_comments(document) if strip else document.text
            for document in self._training()
        ]
        weights = model.load(self.base)
        rows = model.windows(model.load_tokenizer(self.base), texts, recipe)
        if strip:
            self._train(
                weights,
                rows,
                recipe.stripped_steps,
                "fine-tuning on code without comments",
                recipe.stripped_peak,
            )
        else:
            self._train(
                weights, rows, recipe.benign_steps, "training a little more", recipe.benign_peak
            )
        self._save(weights, folder)

    def _rotated(self, folder: Path) -> None:
        weights = model.load(self.base)
        checkpoints.rotate(weights, self.recipe.seed)
        self._save(weights, folder)

    def _rescaled(self, folder: Path) -> None:
        weights = model.load(self.base)
        checkpoints.rescale(weights, self.recipe.rescale_factor)
        self._save(weights, folder)

    def _erased(self, folder: Path) -> None:
        definitions = {f["name"]: f for f in json.loads(self.features.read_text())}
        weights = model.load(self.base)
        checkpoints.erase(weights, torch.tensor(definitions["comment-probe"]["weights"]))
        self._save(weights, folder)

    def _fresh(self, folder: Path) -> None:
        self._save(model.new_model(self.recipe, self.recipe.seed + 1), folder)

    def _save(self, weights: LlamaForCausalLM, folder: Path) -> None:
        model.save(weights, model.load_tokenizer(self.base), folder)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1))
