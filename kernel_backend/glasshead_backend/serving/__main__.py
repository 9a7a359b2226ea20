"""``python -m glasshead_backend.serving``, where the command ``glasshead`` is not on the path."""

import sys

from glasshead_backend.serving.command import main

sys.exit(main(sys.argv[1:]))
