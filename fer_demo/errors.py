"""What can go wrong for a person. Each message is the sentence that they read."""

from __future__ import annotations


class FerDemoError(Exception):
    """A failure that has been put into one plain sentence, `str(error)`."""


class BadSetting(FerDemoError):
    """A value in the environment that cannot be used."""


class BadImage(FerDemoError):
    """A picture that cannot be analysed."""


class ModelUnavailable(FerDemoError):
    """Weights or a detector that cannot be had or must not be trusted."""


class Busy(FerDemoError):
    """Every place is taken; trying again in a moment helps."""
