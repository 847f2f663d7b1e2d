"""The one error that workers raise for a reason that a person can act on."""


class EvaluationError(Exception):
    """A permanent failure: retrying the same work would fail the same way.

    Anything else that escapes a task is taken as transient (a lost connection, memory pressure)
    and is retried up to the attempt cap of the ledger.

    Args:
        code: stable machine-readable word, for example ``checkpoint_missing``.
        detail: one or two sentences for a person: what was wrong, which value, what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class SnapshotCorruptError(EvaluationError):
    """A stored snapshot is damaged. It can be computed again, so nothing is lost with it.

    Args:
        key: of the snapshot.
        detail: which file, and what is wrong with it.
    """

    def __init__(self, key: str, detail: str) -> None:
        super().__init__("snapshot_corrupt", detail)
        self.key = key
