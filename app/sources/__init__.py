"""Where checkpoints and dictionaries come from: what can be checked without loading a weight."""
