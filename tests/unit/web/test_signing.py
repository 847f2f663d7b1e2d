"""What browsers keep for us is only good as we signed it, for as long as we said, for that use."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.clock import now
from app.settings import Settings
from app.web.signing import SECRET_FILE, Signer, session_secrets

NEW, OLD = "n" * 40, "o" * 40
HOUR = 3600.0


def signer(secret: str) -> Signer:
    return Signer(Settings(session_secret=secret))


def test_a_value_comes_back_with_its_moment() -> None:
    one = signer(NEW)

    found = one.read("session", one.sign("session", ["é", 1]), HOUR)

    assert found is not None
    assert found[0] == ["é", 1]
    assert abs(found[1] - now()) < timedelta(seconds=5)


def test_no_changed_byte_passes() -> None:
    one = signer(NEW)
    signed = one.sign("session", "019ab7d2-5c00-7000-8000-000000000003")
    # The last character of a part of 43 carries two bits that nothing reads.
    for place in range(len(signed) - 1):
        other = "A" if signed[place] != "A" else "B"
        forged = signed[:place] + other + signed[place + 1 :]
        assert one.read("session", forged, HOUR) is None, place


@pytest.mark.parametrize("rubbish", ["", ".", "..", "a.b.c", "\x00", "é" * 9, "x" * 100_000])
def test_rubbish_is_nobodys(rubbish: str) -> None:
    assert signer(NEW).read("session", rubbish, HOUR) is None


def test_another_secret_or_another_use_is_refused() -> None:
    one = signer(NEW)
    signed = one.sign("session", "a")

    assert signer(OLD).read("session", signed, HOUR) is None
    assert one.read("form", signed, HOUR) is None


def test_its_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    one = signer(NEW)
    signed = one.sign("session", "a")
    begun = int(now().timestamp())

    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: begun + HOUR - 1)
    assert one.read("session", signed, HOUR) is not None
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: begun + HOUR + 2)
    assert one.read("session", signed, HOUR) is None
    # A clock that was set back makes nothing of tomorrow.
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: begun - HOUR)
    assert one.read("session", signed, HOUR) is None


def test_secrets_rotate_without_ending_sessions() -> None:
    before = signer(OLD).sign("session", "a")
    both = signer(f"{NEW}, {OLD}")

    assert both.read("session", before, HOUR) is not None
    after = both.sign("session", "a")
    assert signer(NEW).read("session", after, HOUR) is not None
    assert signer(OLD).read("session", after, HOUR) is None
    assert signer(NEW).read("session", before, HOUR) is None


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")

    (made,) = session_secrets(settings)

    assert len(made) >= 32
    assert session_secrets(settings) == [made]
    mode = (tmp_path / "data" / SECRET_FILE).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_with_a_pepper_all_processes_have_the_same_and_it_is_not_the_pepper(
    tmp_path: Path,
) -> None:
    pepper = "p" * 40

    (one,) = session_secrets(Settings(key_pepper=pepper, data_dir=tmp_path / "a"))
    (two,) = session_secrets(Settings(key_pepper=pepper, data_dir=tmp_path / "b"))

    assert one == two != pepper.encode()
    assert not (tmp_path / "a").exists()


def test_where_nothing_can_be_kept_sessions_last_as_long_as_the_process(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    settings = Settings(data_dir=blocked)

    assert session_secrets(settings) != session_secrets(settings)
    one = Signer(settings)
    assert one.read("session", one.sign("session", "a"), HOUR) is not None


@pytest.mark.parametrize("secret", ["short", f"{NEW},short", f"{NEW},"])
def test_a_short_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValidationError, match="at least 32 characters") as caught:
        Settings(session_secret=secret)
    assert secret not in str(caught.value)
    assert Settings(session_secret=NEW).printable()["session_secret"] == "***"
