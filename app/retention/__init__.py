"""What is kept, for how long, and how the rest goes without harm."""
