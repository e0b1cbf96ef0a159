"""``python -m atoll.cli``: the ``atoll`` command."""

from atoll.cli.app import main

main()
