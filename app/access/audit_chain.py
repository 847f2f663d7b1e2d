"""Checking the audit trail: each entry's hash covers its event, its place, and the entry before.

    hash = SHA-256(hash of the entry before, " ", position, " ", event as JSON)

in hexadecimal; before the first entry stand 64 zeros. The event is the JSON array that Postgres
writes for its columns as `jsonb`, which has one text for one value. A trigger makes the hashes
(migration 0009); they are made again here, from the events. So an event that was changed, removed,
moved or put in is found. Who replaces every entry from there to the end, and the head too, is found
only with a head that was kept elsewhere.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Text, cast, func, literal_column, select
from sqlalchemy.orm import Session

from app.access.audit_tables import AuditEntry, AuditEvent, AuditHead
from app.core.database import Database
from app.core.errors import InvalidInputError

GENESIS = "0" * 64
MAX_FINDINGS = 100
_AT_ONCE = 5_000
_HEAD = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})")

_MOMENT = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
_EVENT_TEXT = cast(
    func.jsonb_build_array(
        literal_column("'featuredrift-audit-1'"),
        AuditEvent.id,
        func.to_char(func.timezone("UTC", AuditEvent.at), literal_column(_MOMENT)),
        *(AuditEvent.actor, AuditEvent.action, AuditEvent.subject_kind, AuditEvent.subject_id),
        *(AuditEvent.detail, AuditEvent.principal, AuditEvent.key_id, AuditEvent.model),
    ),
    Text,
)

Kind = Literal["changed", "moved", "removed", "inserted", "cut_off", "head"]


@dataclass(frozen=True)
class Head:
    """The end of the chain; kept elsewhere, it proves later what the chain held."""

    position: int
    hash: str

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with the trail.

    Attributes:
        position: the entry's place in the chain, where it has one.
        event_id: the event's id, where it is known.
    """

    kind: Kind
    detail: str
    position: int | None = None
    event_id: str | None = None


@dataclass
class Verification:
    """What was found: `entries` were looked at, and `found` counts more than `findings` lists."""

    entries: int = 0
    head: Head | None = None
    found: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.found == 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "whole": self.whole,
            "entries": self.entries,
            "head": str(self.head) if self.head is not None else None,
            "found": self.found,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def add(
        self, kind: Kind, detail: str, position: int | None = None, event_id: object = None
    ) -> None:
        """Note a finding; after `MAX_FINDINGS` they are only counted."""
        self.found += 1
        if len(self.findings) < MAX_FINDINGS:
            identity = str(event_id) if event_id is not None else None
            self.findings.append(Finding(kind, detail, position, identity))


@dataclass(frozen=True)
class _Link:
    position: int
    hash: str
    event_id: str
    text: str | None
    named: str

    def follows(self, previous: str, text: str | None) -> bool:
        made = f"{previous} {self.position} {text}"
        return sha256(made.encode()).hexdigest() == self.hash


def parse_head(text: str) -> Head:
    """A head as `featuredrift audit head` prints it.

    Raises:
        InvalidInputError: it is none.
    """
    match = _HEAD.fullmatch(text.strip())
    if match is None:
        raise InvalidInputError(
            f"{text!r} is no head; give POSITION:HASH as `featuredrift audit head` prints it",
            field="expect-head",
            value=text,
        )
    return Head(int(match[1]), match[2])


def read_head(session: Session) -> Head | None:
    """The head as it is stored; None: its row is gone."""
    row = session.scalars(select(AuditHead)).one_or_none()
    return Head(row.position, row.hash) if row is not None else None


def verify(database: Database, expected: Head | None = None) -> Verification:
    """Look at the whole trail, as it stands at one moment; writers are not held up.

    Args:
        expected: a head from earlier, kept where nobody who may change the database may change it.
    """
    result = Verification()
    with database.unit_of_work() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        result.head = read_head(session)
        last = _follow(session, result, expected)
        _check_end(result, last, expected)
        _find_unchained(session, result)
    return result


def _follow(session: Session, result: Verification, expected: Head | None) -> Head:
    """Check every entry against the one before; the last one."""
    last = Head(0, GENESIS)
    broken: list[tuple[str, _Link]] = []
    for link in _links(session):
        if link.position != last.position + 1:
            missing = f"{last.position + 1}"
            if link.position - last.position > 2:
                missing += f" to {link.position - 1}"
            result.add(
                "removed",
                f"between entry {last.position} and entry {link.position}, {missing} is missing",
                last.position + 1,
            )
        elif link.text is None:
            result.add(
                "removed",
                f"entry {link.position}: its event {link.event_id} is gone",
                link.position,
                link.event_id,
            )
        elif not link.follows(last.hash, link.text):
            broken.append((last.hash, link))
            if len(broken) > MAX_FINDINGS:
                _name_broken(result, broken[:1])
                del broken[0]
        result.entries += 1
        if expected is not None and expected.position == link.position != 0:
            _compare(result, expected, link)
        last = Head(link.position, link.hash)
    _name_broken(result, broken)
    return last


def _links(session: Session) -> Iterator[_Link]:
    position = None
    while True:
        statement = (
            select(AuditEntry, AuditEvent.id, _EVENT_TEXT, AuditEvent.action, AuditEvent.at)
            .outerjoin(AuditEvent, AuditEvent.id == AuditEntry.event_id)
            .order_by(AuditEntry.position)
            .limit(_AT_ONCE)
        )
        if position is not None:
            statement = statement.where(AuditEntry.position > position)
        rows = session.execute(statement).all()
        for entry, found, text, action, at in rows:
            named = f"event {entry.event_id}"
            if found is not None:
                named += f", {action} at {at:%Y-%m-%dT%H:%M:%SZ}"
            yield _Link(
                entry.position,
                entry.hash,
                str(entry.event_id),
                text if found is not None else None,
                named,
            )
        if len(rows) < _AT_ONCE:
            return
        position = rows[-1][0].position
        session.expunge_all()


def _name_broken(result: Verification, broken: list[tuple[str, _Link]]) -> None:
    """Say of entries that do not fit whether they fit elsewhere: then they were moved."""
    for previous, link in broken:
        home = next(
            (
                other.position
                for _, other in broken
                if other is not link and link.follows(previous, other.text)
            ),
            None,
        )
        if home is not None:
            result.add(
                "moved",
                f"entry {link.position} ({link.named}) has changed places: its hash is that of the "
                f"event that now stands at {home}",
                link.position,
                link.event_id,
            )
        else:
            result.add(
                "changed",
                f"entry {link.position} ({link.named}) does not fit its hash: the event, or the "
                f"entry before it, was changed after it was written",
                link.position,
                link.event_id,
            )


def _check_end(result: Verification, last: Head, expected: Head | None) -> None:
    head = result.head
    if head is None:
        result.add("head", "the head of the chain is gone, so nobody can say where it ended")
    elif last.position < head.position:
        result.add(
            "cut_off",
            f"the chain ends at entry {last.position}, but its head is {head.position}: the last "
            f"{head.position - last.position} were removed",
            last.position + 1,
        )
    elif last != head:
        result.add(
            "head",
            f"the chain ends with {last}, but its head is {head}: one of them was changed",
            last.position,
        )
    if expected is None:
        return
    if expected.position > last.position:
        result.add(
            "cut_off",
            f"the chain ends at entry {last.position}, but it had reached {expected.position} when "
            f"the expected head was taken: what came after was removed",
            last.position + 1,
        )
    elif expected.position == 0 and expected.hash != GENESIS:
        result.add("head", f"{expected} was never a head of this chain", 0)


def _compare(result: Verification, expected: Head, link: _Link) -> None:
    if link.hash != expected.hash:
        result.add(
            "changed",
            f"entry {link.position} ({link.named}) had the hash {expected.hash} when the expected "
            f"head was taken and now has {link.hash}: it, or one before it, was replaced",
            link.position,
            link.event_id,
        )


def _find_unchained(session: Session, result: Verification) -> None:
    chained = select(AuditEntry.event_id).where(AuditEntry.event_id == AuditEvent.id)
    unchained = ~chained.exists()
    rows = session.execute(
        select(AuditEvent.id, AuditEvent.action, AuditEvent.at)
        .where(unchained)
        .order_by(AuditEvent.id)
        .limit(MAX_FINDINGS)
    ).all()
    for identity, action, at in rows:
        result.add(
            "inserted",
            f"event {identity}, {action} at {at:%Y-%m-%dT%H:%M:%SZ}, is no entry of the chain: it "
            "was put in past the trigger, or its entry was removed",
            event_id=identity,
        )
    if len(rows) == MAX_FINDINGS:
        count = session.scalar(select(func.count()).select_from(AuditEvent).where(unchained)) or 0
        result.found += count - MAX_FINDINGS
