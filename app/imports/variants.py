"""What one document says of another: ids are unique, variants have an original."""

from collections.abc import Callable, Mapping
from typing import Any

from app.imports.errors import refuse


class Known:
    """Ids seen so far, and variants that wait for all to be known."""

    def __init__(self, place: Callable[[int], str]) -> None:
        """Remember nothing yet.

        Args:
            place: where a row of a number stands.
        """
        self._place = place
        self._rows: dict[str, int] = {}
        self._groups: dict[str, str] = {}
        self._variants: dict[str, str] = {}

    def add(self, number: int, document: Mapping[str, Any]) -> None:
        """One more document.

        Raises:
            ImportRefusedError: its id is taken.
        """
        name = document["id"]
        if name in self._rows:
            refuse(
                self._place(number),
                f"the id {name!r} is taken by {self._place(self._rows[name])}; ids must be unique",
                name,
            )
        self._rows[name] = number
        if "group" in document:
            self._groups[name] = document["group"]
        if "variant_of" in document:
            self._variants[name] = document["variant_of"]

    def group_of(self, name: str) -> str | None:
        """The group of a document: a variant's is its original's."""
        return self._groups.get(self._variants.get(name, name))

    def check_variants(self) -> None:
        """Look at all variants, once everything is known.

        Raises:
            ImportRefusedError: an original is missing, is a variant itself, or of another group.
        """
        for name, original in self._variants.items():
            place = self._place(self._rows[name])
            if original not in self._rows:
                refuse(place, f"variant_of names {original!r}, which is not in this file", original)
            if original in self._variants:
                refuse(place, f"variant_of names {original!r}, itself a variant; name the original")
            if self._groups.get(name) not in (None, self._groups.get(original)):
                refuse(
                    place,
                    f"group {self._groups[name]!r} differs from that of its original {original!r}; "
                    "leave it out",
                )
