"""`python -m fer_demo bench`: the speed of the app, each figure a rate or a ratio."""
