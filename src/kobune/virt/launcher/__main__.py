"""`python3 -m kobune.virt.launcher`: see docs/flows/launcher.md."""

import sys

from kobune.virt.launcher.run import main

if __name__ == "__main__":
    sys.exit(main())
