"""`python -m rnn_core.config [FILE]`: the page of settings, to a file or to standard output."""

import sys
from pathlib import Path

from rnn_core.config.page import settings_page

if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(settings_page(), encoding="utf-8")
    else:
        print(settings_page(), end="")
