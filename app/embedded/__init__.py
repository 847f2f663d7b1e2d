"""Real Postgres and Redis from their wheels, and the processes of `featuredrift up`."""
