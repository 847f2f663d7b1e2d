"""From sums of paired activations to verdicts: pure functions over arrays, no input or output."""
