"""`python -m memqos`."""

from memqos.cli.main import main

main()
