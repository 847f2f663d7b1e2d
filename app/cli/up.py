"""`up` and `demo`: everything on this machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import complain, out, say
from app.cli.logs import LogFollower
from app.cli.signals import on_stop_signal
from app.core.errors import StartError
from app.embedded.errors import InterruptedStartError

if TYPE_CHECKING:
    from app.embedded.stack import EmbeddedStack

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of all data; default: ./.featuredrift", show_default=False),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the logs of all processes.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(demo)


def up(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (loopback).")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Serve on this machine until Ctrl-C: Postgres, Redis, API, dispatcher and worker."""
    with _stack(verbose, data_dir=data_dir, host=host, port=port) as stack:
        _serve(stack)


def demo(
    data_dir: DataDir = None,
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    serve: Annotated[bool, typer.Option("--serve", help="Stay up afterwards.")] = False,
    verbose: Verbose = False,
) -> None:
    """Train a real model, let it drift in known ways, and see each checkpoint judged."""
    with _stack(verbose, data_dir=data_dir, port=port) as stack:
        work_dir = stack.settings.allowed_roots[0] / "demo"
        code = stack.run(
            (
                *(sys.executable, "-m", "workers.demo"),
                *("--base-url", stack.base_url, "--work-dir", str(work_dir)),
            )
        )
        if stack.failure is None and serve and not stack.stopping():
            _serve(stack)
    if not serve:
        say(f"Everything is stopped. To look around: featuredrift up --data-dir {stack.data_dir}")
    raise typer.Exit(code)


@contextmanager
def _stack(verbose: bool, **options: Any) -> "Iterator[EmbeddedStack]":
    """A running stack that ends with its block: on Ctrl-C in order, on a second one at once."""
    try:
        # The other commands run where the embedded servers' packages are not installed.
        from app.embedded.stack import EmbeddedStack
    except ModuleNotFoundError as error:
        raise StartError(
            f"The package {error.name} is not installed, which running everything on this machine "
            "needs. Install it: pip install 'featuredrift[embedded,worker]'."
        ) from error
    given = {name: value for name, value in options.items() if value is not None}
    stack = EmbeddedStack(report=say, **given)

    def stop(count: int) -> None:
        stack.ask_to_stop(hurry=count > 1)

    with on_stop_signal(stop):
        follower = LogFollower(stack.logs) if verbose else nullcontext()
        with follower:
            try:
                with stack:
                    yield stack
                    say("stopping (Ctrl-C again to stop at once)")
            except InterruptedStartError:
                say("stopped before it was ready")
                raise typer.Exit(130) from None
            say("stopped")
    if stack.failure is not None:
        complain(stack.failure)
        raise typer.Exit(1)


def _serve(stack: "EmbeddedStack") -> None:
    out.print("Featuredrift is ready.", style="bold green")
    for name, value in (
        ("Pages", f"{stack.base_url}/"),
        ("API", f"{stack.base_url}  (documentation: {stack.base_url}/docs)"),
        ("Metrics", f"{stack.base_url}/metrics"),
        ("Data", str(stack.data_dir)),
        ("Logs", f"{stack.logs}  (--verbose shows them here)"),
        ("Stop", "Ctrl-C"),
    ):
        out.print(f"  {name:8} {value}", markup=False)
    out.file.flush()
    stack.wait()
