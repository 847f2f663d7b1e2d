"""`python -m app.cli`: what the supervisor starts its children with."""

from app.cli import main

main()
