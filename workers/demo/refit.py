"""Is a concept still readable? A check with labels, from outside, on the probe documents."""

from pathlib import Path

from app.registry.documents import parse_jsonl
from workers.baselines.refit import labelled_refit
from workers.demo import model
from workers.demo.activations import collect
from workers.demo.recipe import Recipe
from workers.demo.sample import sample


def refit_concept(checkpoint: Path, probe_documents: Path, concept: str, recipe: Recipe) -> float:
    """AUROC of a logistic probe fitted anew on a checkpoint, on probe documents it has not seen.

    Args:
        checkpoint: folder of the checkpoint.
        probe_documents: JSON Lines file of the probe corpus.
        concept: one of the corpus labels.
        recipe: whose site is read.
    """
    documents = parse_jsonl(probe_documents.read_bytes())
    data = sample(documents, model.load_tokenizer(checkpoint), recipe)
    x = collect(model.load(checkpoint), data.rows, recipe.site)
    return labelled_refit(x.numpy(), data.labels[concept], data.document).value
