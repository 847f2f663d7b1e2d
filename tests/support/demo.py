"""The demo at toy size: every step is real, only small."""

from workers.demo.recipe import Recipe

TOY = Recipe(
    min_characters=500,
    max_characters=5_000,
    probe_documents=8,
    max_probe_characters=3_000,
    vocabulary=300,
    layers=3,
    width=32,
    heads=2,
    mlp_width=48,
    context=32,
    training_tokens=4_096,
    batch_windows=8,
    latents=48,
    k=8,
    sae_tokens=8_192,
    sae_samples=4_096,
    sae_batch=256,
    benign_steps=2,
    stripped_steps=2,
    selection_documents=16,
)
