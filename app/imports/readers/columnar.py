"""Parquet files and saved datasets, read through Arrow: data alone, no code of theirs."""

import json
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.imports.errors import refuse, size_of
from app.imports.readers.reader import Reader

_ROWS = 256


class _Batches(Reader):
    """Rows of several Arrow tables, one after the other."""

    def __init__(self, files: Sequence[Path], columns: Sequence[str] | None) -> None:
        super().__init__()
        self._arrow = _arrow(files[0])
        self._files = list(files)
        self._wanted = columns
        self._had: tuple[Path, list[str]] | None = None
        self._starts = [0]

    def place(self, number: int) -> str:
        """File, and row from 1."""
        index = min(bisect_right(self._starts, number - 1) - 1, len(self._files) - 1)
        return f"{self._files[index]} row {number - self._starts[index]}"

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Numbers over all files, and columns."""
        number = 0
        for index, path in enumerate(self._files):
            self._starts[index:] = [number]
            try:
                for batch in self._batches(path):
                    for start in range(0, batch.num_rows, _ROWS):
                        for row in batch.slice(start, _ROWS).to_pylist():
                            number += 1
                            yield number, row
                        self._advance(number)
            except UnicodeDecodeError:
                refuse(f"{path} after row {number - self._starts[index]}", "a text is not UTF-8")
            except (self._arrow.ArrowException, OSError) as error:
                refuse(path, f"is damaged or of another format: {error}; write it anew")

    def _chosen(self, names: Sequence[str]) -> list[str] | None:
        """What to read; all where the text's column is missing, so that an error can list them."""
        if self._wanted is None or self._wanted[0] not in names:
            return None
        return [name for name in names if name in self._wanted]

    def _require_alike(self, path: Path, names: Sequence[str]) -> None:
        """Rows of a file without a column of labels would pass for unlabelled."""
        if self._wanted is None:
            return
        have = [name for name in self._wanted if name in names]
        if self._had is None:
            self._had = (path, have)
        first, had = self._had
        for name in self._wanted:
            if (name in have) != (name in had):
                without, other = (first, path) if name in have else (path, first)
                refuse(
                    without,
                    f"has no column {name!r}, but {other} has; write the column into all files "
                    "(empty where nothing is known), or import them apart",
                    name,
                )

    @abstractmethod
    def _batches(self, path: Path) -> Iterator[Any]: ...

    def _advance(self, number: int) -> None:
        self.done = number


class Parquet(_Batches):
    """One Parquet file or several of the same columns."""

    def __init__(self, files: Sequence[Path], columns: Sequence[str] | None = None) -> None:
        """Look at the footers.

        Args:
            columns: those to read, where they are there; default: all.
        """
        for path in files:
            size_of(path)
        super().__init__(files, columns)
        import pyarrow.parquet

        self._parquet = pyarrow.parquet
        for path in files:
            try:
                with self._parquet.ParquetFile(path) as file:
                    self.total += file.metadata.num_rows
                    self._require_alike(path, file.schema_arrow.names)
            except (self._arrow.ArrowException, OSError) as error:
                refuse(path, f"is no Parquet file: {error}")

    def _batches(self, path: Path) -> Iterator[Any]:
        with self._parquet.ParquetFile(path) as file:
            chosen = self._chosen(file.schema_arrow.names)
            yield from file.iter_batches(batch_size=_ROWS, columns=chosen)


class SavedDataset(_Batches):
    """A folder that `Dataset.save_to_disk` of the library `datasets` has written."""

    def __init__(self, folder: Path, split: str | None, columns: Sequence[str] | None) -> None:
        """Find the split and its files.

        Args:
            split: needed where the folder holds several.
        """
        folder = _split_folder(folder, split)
        state = _json(folder / "state.json")
        listed = state.get("_data_files")
        if state.get("_indices_files") or state.get("_indices_data_files"):
            refuse(folder, "holds rows in another order; save dataset.flatten_indices() instead")
        names = [
            entry.get("filename") if isinstance(entry, dict) else None
            for entry in (listed if isinstance(listed, list) else [])
        ]
        if not names:
            refuse(folder / "state.json", "lists no data files; save the dataset anew")
        for name in names:
            if not isinstance(name, str) or Path(name).name != name or name in {"", "..", "."}:
                refuse(folder / "state.json", f"names the file {name!r} outside of its folder")
        files = [folder / str(name) for name in names]
        # Rows are not known before all is read; bytes are.
        self._sizes = [size_of(path) for path in files]
        super().__init__(files, columns)
        self.total = sum(self._sizes)
        self._before = 0
        self.classes = _classes(folder)

    def _batches(self, path: Path) -> Iterator[Any]:
        arrow = self._arrow
        with arrow.memory_map(str(path)) as source:
            stream = arrow.ipc.open_stream(source)
            self._require_alike(path, stream.schema.names)
            chosen = self._chosen(stream.schema.names)
            for batch in stream:
                yield batch.select(chosen) if chosen else batch
                self.done = self._before + source.tell()
        self._before += self._sizes[self._files.index(path)]

    def _advance(self, number: int) -> None:
        """Bytes are counted where they are read."""


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder has the files that `save_to_disk` writes."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _split_folder(folder: Path, split: str | None) -> Path:
    if not (folder / "dataset_dict.json").is_file():
        if split is not None:
            refuse(folder, f"holds one dataset and no split {split!r}; leave the split out")
        return folder
    splits = _json(folder / "dataset_dict.json").get("splits")
    names = [name for name in splits if isinstance(name, str)] if isinstance(splits, list) else []
    if split is None and len(names) == 1:
        split = names[0]
    if split not in names:
        said = "name the split" if split is None else f"there is no split {split!r}"
        refuse(folder, f"{said}; it holds {', '.join(names) or 'none'} (--split)")
    if Path(split).name != split or split in {"..", "."}:
        refuse(folder / "dataset_dict.json", f"names the split {split!r} outside of its folder")
    return folder / split


def _classes(folder: Path) -> dict[str, list[str]]:
    path = folder / "dataset_info.json"
    features = _json(path).get("features") if path.is_file() else None
    found = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        names = feature.get("names") if isinstance(feature, dict) else None
        if isinstance(names, list) and feature.get("_type") == "ClassLabel":
            found[column] = [str(name) for name in names]
    return found


def _json(path: Path) -> dict[str, Any]:
    size_of(path)
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        refuse(path, f"is not JSON: {error}; save the dataset anew")
    if not isinstance(found, dict):
        refuse(path, "is no JSON object; save the dataset anew")
    return found


def _arrow(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        refuse(path, "needs Arrow to be read: pip install 'featuredrift[imports]'")
    return pyarrow
