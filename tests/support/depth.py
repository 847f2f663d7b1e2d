"""How deep tests of made-up inputs go: few examples each time, many where there are hours."""

import os

DEPTH = int(os.environ.get("FEATUREDRIFT_TEST_DEPTH", "1"))
"""Times as many examples as an ordinary run makes up."""
