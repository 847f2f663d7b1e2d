"""The synchronous client: written by `make client` from the asynchronous one."""
