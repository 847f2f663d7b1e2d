"""What there is room for: the first room that is small enough, or the last."""

from itertools import pairwise

from app.reports.fitting import LIMIT, ROOMS, Frame, Room, fit, slot


def fill(kind: str, index: int, room: Room) -> str:
    return f"{kind}{index}" * room.passages


def test_slots_are_filled_in_their_place() -> None:
    rooms = (Room(passages=1),)
    page = fit(lambda _: f"<a>{slot('x', 1)}<b>{slot('y', 22)}</b>", fill, rooms)
    assert page == b"<a>x1<b>y22</b>"


def test_the_first_room_that_fits_is_taken_and_frames_are_rendered_once() -> None:
    frames: list[Frame] = []

    def frame(size: Frame) -> str:
        frames.append(size)
        return slot("x", 1)

    rooms = tuple(Room(passages=n) for n in (9, 5, 3))
    assert fit(frame, fill, rooms, limit=10) == b"x1" * 5
    assert frames == [Frame()]


def test_where_nothing_fits_the_last_room_is_left() -> None:
    rooms = (Room(passages=9), Room(passages=3, frame=Frame(text=10)))
    assert fit(lambda size: f"{size.text}{slot('x', 1)}", fill, rooms, limit=1) == b"10" + b"x1" * 3


def test_a_byte_counts_and_not_a_letter() -> None:
    rooms = (Room(passages=2), Room(passages=1))
    assert len(fit(lambda _: slot("é", 1), fill, rooms, limit=5)) == 3


def test_each_room_is_smaller_than_the_one_before() -> None:
    def size(room: Room) -> tuple[int, ...]:
        frame = room.frame
        kept = (frame.text, frame.cards, frame.evidence, frame.lines)
        return (*kept, room.passages, room.history, room.wide, room.scatter)

    sizes = [size(room) for room in ROOMS]
    for larger, smaller in pairwise(sizes):
        assert larger != smaller
        assert all(a >= b for a, b in zip(larger, smaller, strict=True))
    assert LIMIT == 1_500_000
