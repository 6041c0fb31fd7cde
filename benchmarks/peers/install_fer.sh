#!/bin/sh
# The peer of `python -m fer_demo bench`: the package `fer` 25.x in an environment of its own
# (2 GB with TensorFlow and torch). FER_PEER names the folder; the benchmark looks there too.
set -e
folder="${FER_PEER:-.peers/fer}"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --extra-index-url https://download.pytorch.org/whl/cpu "fer>=25,<26"
"$folder/bin/python" -c "from fer.fer import FER; FER(); print('fer is ready')"
