"""What holds for all tests without servers."""

import gc


def pytest_collection_finish() -> None:
    """What imports made stays to the end: no collection need look through a million objects."""
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
