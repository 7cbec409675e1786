"""``python -m secondorder``."""

import sys

from secondorder.command_line import main

sys.exit(main())
