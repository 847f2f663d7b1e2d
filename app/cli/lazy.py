"""Commands whose modules are imported when they are asked for, and not before.

Every process of the service begins as a command; what all commands need together takes over a
second to import, what one needs mostly a fraction of that.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


class LazyCommands(MutableMapping[str, Any]):
    """The commands of a group by name, in the order of `homes`.

    Args:
        homes: for each command, the module whose `register` adds it to a typer application.
    """

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._homes = dict(homes)
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded.update(_commands(self._homes[name]))
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._homes.setdefault(name, "")
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._homes[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


def lazy_group(homes: Mapping[str, str]) -> type[TyperGroup]:
    """A class of groups that have these commands, and import each when it is needed."""

    class LazyGroup(TyperGroup):
        def __init__(self, **values: Any) -> None:
            super().__init__(**values)
            self.commands = LazyCommands(homes)

    return LazyGroup


@cache
def _commands(module: str) -> dict[str, Any]:
    part = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    # A lone command would else be taken for the whole application.
    part.callback()(lambda: None)
    import_module(module).register(part)
    return dict(get_group(part).commands)
