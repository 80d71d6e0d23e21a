"""``python -m tomopicker.cli`` is ``tomopicker``."""

from tomopicker.cli import main

main()
