"""How often `features suggest` recommends what it should not, and finds what it should."""
