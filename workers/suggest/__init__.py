"""A starting feature set: latents chosen on one half of a labelled corpus, scored on the other."""
