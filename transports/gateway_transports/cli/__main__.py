"""`python -m gateway_transports.cli`."""

import sys

from . import main

sys.exit(main())
