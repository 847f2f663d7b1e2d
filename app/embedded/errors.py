"""What can go wrong before or while the embedded processes run, told in one line."""


class EmbeddedError(Exception):
    """The stack cannot start or cannot go on; the message says why and what to do."""


class InterruptedStartError(EmbeddedError):
    """Someone asked to stop while the stack was still starting."""
