"""Which documents of a corpus are one piece of evidence."""

from collections.abc import Sequence

from app.registry.documents import Document
from app.registry.near_copies import near_copies


def units_of_inference(documents: Sequence[Document]) -> list[int]:
    """The unit of each document, numbered from 0 in order of appearance.

    Documents of one `cluster` are one unit, and so are `near_copies`: what has nearly the same
    activations is no further evidence. Units that share a document are one.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for document in documents:
        parent[root(f"text:{document.text}")] = root(document.cluster)
    texts = list(dict.fromkeys(document.text for document in documents))
    for earlier, later in near_copies(texts):
        parent[root(f"text:{texts[later]}")] = root(f"text:{texts[earlier]}")
    number: dict[str, int] = {}
    return [number.setdefault(root(document.cluster), len(number)) for document in documents]
