"""A key is random, says itself whether it is whole, and is kept as a digest."""

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.access.keys_pepper import make_pepper, read_pepper
from app.core.key_text import PREFIX, digest, hint, is_whole, new_key
from app.settings import Settings

PEPPER = b"a pepper that is long enough to be one"


def test_keys_are_whole_and_differ() -> None:
    keys = {new_key() for _ in range(1000)}

    assert len(keys) == 1000
    assert all(is_whole(key) and key.startswith(PREFIX) and len(key) == 59 for key in keys)


@given(st.integers(3, 58), st.sampled_from("0123456789abcdef"))
def test_one_wrong_digit_is_noticed(position: int, other: str) -> None:
    key = new_key()
    wrong = key[:position] + other + key[position + 1 :]

    assert is_whole(wrong) is (wrong == key)


@pytest.mark.parametrize("cut", [0, 1, 58])
def test_what_was_cut_off_is_noticed(cut: int) -> None:
    assert not is_whole(new_key()[:cut])


@given(st.text())
def test_any_other_text_is_no_key(text: str) -> None:
    assert not is_whole(text)
    assert not is_whole(PREFIX + text)


def test_swapped_neighbours_are_noticed() -> None:
    key = new_key()
    for at in range(3, 58):
        wrong = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
        assert is_whole(wrong) is (wrong == key)


def test_the_digest_needs_the_pepper_and_says_nothing_of_the_key() -> None:
    key = new_key()

    assert digest(PEPPER, key) == digest(PEPPER, key)
    assert digest(PEPPER, key) != digest(PEPPER + b"!", key)
    assert key[3:20] not in digest(PEPPER, key)
    assert hint(key) == f"{key[:9]}…"


def test_a_pepper_is_a_setting_or_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert read_pepper(settings) is None

    made = make_pepper(settings)

    assert len(made) == 64
    assert make_pepper(settings) == read_pepper(settings) == made
    assert stat.S_IMODE((tmp_path / "key_pepper").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key_pepper"]
    given_one = settings.model_copy(update={"key_pepper": PEPPER.decode()})
    assert read_pepper(given_one) == PEPPER


def test_of_two_that_make_a_pepper_at_once_one_wins(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(make_pepper(settings))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert set(found) == {read_pepper(settings)}


def test_secrets_are_not_printed() -> None:
    key = new_key()
    settings = Settings(key_pepper=PEPPER.decode(), bootstrap_key=key, metrics_key=key)

    printed = settings.printable()

    assert {printed[name] for name in ("key_pepper", "bootstrap_key", "metrics_key")} == {"***"}


def test_a_damaged_key_in_the_settings_is_refused_without_being_shown() -> None:
    damaged = new_key()[:-1] + "x"

    with pytest.raises(ValidationError, match="is no whole key") as caught:
        Settings(bootstrap_key=damaged)
    assert damaged not in str(caught.value)


def test_a_short_pepper_is_refused_without_being_shown() -> None:
    with pytest.raises(ValidationError, match="at least 32 characters") as caught:
        Settings(key_pepper="too-short-to-be-one")
    assert "too-short" not in str(caught.value)
