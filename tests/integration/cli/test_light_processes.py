"""What must start quickly, or must not hold threads when it forks, imports nothing heavy."""

import subprocess
import sys

HEAVY = ("torch", "sae_lens", "transformers", "transformer_lens", "numpy")


def test_importing_them_leaves_the_heavy_libraries_alone() -> None:
    script = (
        "import sys, app.evaluations.dispatcher, workers.tasks;"
        f"print(*[m for m in {HEAVY!r} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []
