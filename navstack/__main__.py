"""`python -m navstack` is the program `navstack`."""

import sys

from navstack.cli import main

if __name__ == "__main__":
    sys.exit(main())
