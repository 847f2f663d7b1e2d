"""What a client and a command load: not the server."""

import subprocess
import sys

SERVER = ("alembic", "celery", "fastapi", "numpy", "redis", "sqlalchemy", "torch")


def test_asking_the_api_does_not_load_what_serves_it() -> None:
    code = (
        "import sys; from app.cli import app; from typer.main import get_command;"
        "get_command(app).commands['models'];"
        f"print(*[name for name in {SERVER} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
