"""`doctor`: looks at everything that a deployment needs, and says what to do."""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.cli.console import out, print_json
from app.cli.doctor import (
    accelerator,
    broker,
    configuration,
    database,
    processes,
    storage,
    versions,
)
from app.cli.doctor.finding import Finding, first_line
from app.cli.own_database import with_embedded
from app.core.errors import StartError
from app.settings import Settings, get_settings, redact

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look at everything that a deployment needs, and say what to do.

    Exit code: 0 if nothing has failed (warnings do not count), else 1.
    """
    findings: list[Finding] = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            _print(finding)
    counts = {word: sum(one.status == word for one in findings) for word in _STYLES}
    if as_json:
        healthy = not counts["fail"]
        print_json(
            {"healthy": healthy, "counts": counts, "checks": [f.to_json() for f in findings]}
        )
    else:
        out.print(f"{counts['ok']} ok, {counts['warn']} warnings, {counts['fail']} failures")
    raise typer.Exit(1 if counts["fail"] else 0)


def examine() -> Iterator[Finding]:
    """All findings, each as soon as it is made; no error leaves this function."""
    settings, broken = _read_settings()
    yield from broken
    yield from _guarded("versions", versions.check_versions)
    if settings is not None:
        servers = settings
        if not {"database_url", "redis_url"} & settings.model_fields_set:
            try:
                servers = with_embedded(settings)
            except StartError:
                unset = "neither DATABASE_URL nor REDIS_URL is set, and no `featuredrift up` runs"
                seen = f"{unset} on {settings.data_dir.resolve()}"
                advice = "start it and look again, or set both to the deployment's"
                yield Finding("servers", "warn", seen, advice)
            else:
                seen = f"those of the running `featuredrift up` on {settings.data_dir.resolve()}"
                yield Finding("servers", "ok", seen)
        yield from _guarded("settings", lambda: configuration.check_settings(settings))
        checks: tuple[tuple[str, Callable[[Settings], Iterable[Finding]]], ...] = (
            ("database", database.check_database),
            ("broker", broker.check_broker),
            ("processes", processes.check_processes),
            ("artifact store", storage.check_artifacts),
            ("data directory", storage.check_data_dir),
            ("model root", storage.check_model_roots),
        )
        for name, check in checks:
            yield from _guarded(name, lambda check=check: check(servers))  # type: ignore[misc]
    yield from _guarded("gpu", lambda: accelerator.check_gpu(settings))


def _read_settings() -> tuple[Settings | None, list[Finding]]:
    advice = "mend it; `featuredrift settings` prints what is in force"
    try:
        return get_settings(), []
    except ValidationError as error:
        return None, [
            Finding(
                "settings",
                "fail",
                f"{'.'.join(str(part) for part in fault['loc']) or '(several)'}: {fault['msg']}",
                advice,
            )
            for fault in error.errors(include_url=False, include_context=False)
        ]
    except (SettingsError, ValueError, OSError) as error:
        return None, [Finding("settings", "fail", first_line(error), advice)]


def _guarded(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    # Whatever it is, it is told, and the other checks are made.
    except Exception as error:  # noqa: BLE001
        seen = f"it cannot be checked: {type(error).__name__}: {redact_all(first_line(error))}"
        yield Finding(name, "fail", seen, "see that the settings name what is there")


def redact_all(text: str) -> str:
    """A sentence without the passwords of the URLs in it."""
    return " ".join(redact(word) if "://" in word else word for word in text.split(" "))


def _print(finding: Finding) -> None:
    out.print(f"{finding.status:4}", style=_STYLES[finding.status], end="  ")
    out.print(f"{finding.check:18} {finding.seen}", markup=False)
    if finding.advice:
        out.print(f"{'':25}→ {finding.advice}", markup=False)
