"""What must start quickly, or must not hold threads when it forks, imports nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "sae_lens", "transformers", "transformer_lens", "numpy")


@pytest.mark.parametrize("module", ["workers.tasks", "app.evaluations.dispatcher"])
def test_importing_it_leaves_the_heavy_libraries_alone(module: str) -> None:
    script = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []
