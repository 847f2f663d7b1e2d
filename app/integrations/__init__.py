"""Other systems' own messages, understood."""
