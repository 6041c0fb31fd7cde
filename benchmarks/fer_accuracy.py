"""Accuracy of the peer `fer` on FER2013's crops, which are what our own networks are measured on.

sh benchmarks/peers/install_fer.sh
python -m benchmarks.fer_accuracy --data DIR
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fer_demo.bench.peer import ROOT, peer_python
from fer_demo.errors import FerDemoError
from training.command import told
from training.data import read_train_and_valid
from training.duplicates import seen_in


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args(arguments)
    python = peer_python()
    if python is None:
        parser.error("the peer is not installed: sh benchmarks/peers/install_fer.sh")
    train, test = read_train_and_valid(given.data)
    with tempfile.TemporaryDirectory() as folder:
        crops = Path(folder) / "crops.npy"
        np.save(crops, test.grey)
        script = ROOT / "benchmarks" / "peers" / "fer_labels.py"
        done = subprocess.run(
            [str(python), str(script), str(crops)], stdout=subprocess.PIPE, text=True, check=False
        )
    if done.returncode:
        raise FerDemoError("The peer failed; what it said stands above.")
    right = np.array(json.loads(done.stdout.strip().splitlines()[-1])) == test.label
    unseen = ~seen_in(test.grey, train.grey)
    for name, hits in (("PublicTest", right), ("PublicTest, unseen", right[unseen])):
        error = hits.std() / np.sqrt(len(hits))
        print(f"{name}: {100 * hits.mean():.2f} ± {100 * error:.2f} % of {len(hits):,}")


if __name__ == "__main__":
    sys.exit(main())
