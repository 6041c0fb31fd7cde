"""Fetch what the Hub serves into its cache, for an image or a machine that will have no network.

python -m fer_demo.prefetch
"""

from __future__ import annotations

import sys

from fer_demo.errors import FerDemoError
from fer_demo.settings import Settings
from fer_demo.weights import detector_file, model_names, open_weights


def main() -> int:
    """Returns the exit status: 1 unless the detector and every network are there."""
    try:
        settings = Settings.from_environment()
        print(detector_file(settings))
        for name in model_names(settings):
            weights = open_weights(name, settings)
            if weights.notice:
                print(weights.notice, file=sys.stderr)
                return 1
            print(f"{weights.path} ({weights.card.source})")
    except FerDemoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
