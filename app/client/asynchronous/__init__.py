"""The asynchronous client: the source from which the synchronous one is written."""
