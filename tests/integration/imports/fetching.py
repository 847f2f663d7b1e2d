"""What processes ask of the hub, each question once; run where `HF_ENDPOINT` names the stand-in."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path


def load_dictionaries(names: Sequence[str], cache: str, answers: str) -> None:
    """Fetch each as a worker does; a line of the answers says what it is, or the error's code."""
    from workers.errors import EvaluationError
    from workers.features.dictionaries import load_dictionary

    with Path(answers).open("w") as file:
        for name in names:
            release, _, sae_id = name.rpartition("/")
            try:
                found = load_dictionary(
                    "d", release=release, sae_id=sae_id, roots=[], cache=Path(cache), allow_hub=True
                )
                file.write(f"{found.d_sae} {found.site}\n")
            except EvaluationError as error:
                file.write(f"{error.code}\n")


def describe_releases(names: Sequence[str], answers: str) -> None:
    """Ask what each reads, as the command does; a line of the answers is one of its own."""
    from workers.imports.release import main

    with Path(answers).open("w") as file, redirect_stdout(file):
        for name in names:
            release, _, sae_id = name.rpartition("/")
            main([release, sae_id])
