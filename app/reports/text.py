"""Texts that come from people, made safe to show: nothing hides, turns round, or becomes markup."""

import re
from functools import lru_cache

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Controls, what turns the direction of the text after it, and what nobody can see. Joiners within
words (U+200C, U+200D) stay: some scripts are not readable without them."""

_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~^$&!]")
_CALLS = re.compile(r"[@#](?=\S)|://|(?<=www)\.", re.IGNORECASE)
"""What begins a mention, a reference or a bare link on some platform."""
_LEADING = re.compile(r"^([-+=#>]|\d+(?=[.)]))")
_PARTING = "\u200b"


def visible(text: str) -> str:
    """The text with every character that hides or turns text named by its code point."""
    return _UNSEEN.sub(_named, text)


def _named(found: re.Match[str]) -> str:
    return _name(found.group())


@lru_cache(maxsize=1024)
def _name(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


@lru_cache(maxsize=8192)
def token(text: str) -> str:
    """A piece of a document as one line shows it: line ends and tabs have signs of their own."""
    ends = text.replace("\r\n", "↵").replace("\n", "↵").replace("\r", "↵").replace("\t", "⇥")
    return visible(ends)


def markdown(text: object) -> str:
    """A text within a line of Markdown that means nothing there, and mentions and links nobody."""
    line = " ".join(visible(str(text)).split())
    escaped = _MARKUP.sub(lambda found: f"\\{found.group()}", line)
    parted = _CALLS.sub(lambda found: found.group() + _PARTING, escaped)
    return _LEADING.sub(lambda found: _lead(found.group()), parted)


def _lead(mark: str) -> str:
    # A number that would begin a list is kept from it by its full stop, not by its digits.
    return f"{mark}{_PARTING}" if mark[0].isdigit() else f"\\{mark}"


def code(text: str) -> str:
    """A text as a code span of Markdown, whatever backticks it holds."""
    line = " ".join(visible(text).split())
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{pad}{line.replace('|', chr(92) + '|')}{pad}{fence}"
