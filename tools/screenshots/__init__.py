"""Pictures of each page, taken of a service that really runs, with a line that it really judged."""
