"""Variants of documents, as the comparison is given them."""

from app.registry.documents import Document
from workers.pipeline.corpus import variants_of


def test_a_variant_with_the_text_of_its_original_is_none() -> None:
    documents = [
        Document(id="a", text="def f(): pass"),
        Document(id="a1", text="def f(): pass", variant_of="a", perturbation="copy"),
        Document(id="a2", text="def g(): pass", variant_of="a"),
    ]
    assert variants_of(documents) == [(0, 2, "variant")]
