"""timm without torch's compiler; import it from here only.

timm and torchvision mark functions for `torch.compile`, which nothing here calls. The marks alone
load the compiler: 145 MB and half of the seconds that timm takes to import. So while they are
imported a stand-in takes the marks; whoever asks it for more gets the real compiler, as does
everybody afterwards.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

COMPILER = "torch._dynamo"


def _unmarked(function: Any = None, *_: Any, **__: Any) -> Any:
    """What stands for `torch._dynamo.disable`, with and without parentheses."""
    return _unmarked if function is None else function


class _StandIn(types.ModuleType):
    """A module with a few things in it, and for the rest the real one."""

    def __init__(self, name: str, **known: Any):
        super().__init__(name)
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _leave()
        return getattr(importlib.import_module(self.__name__), name)


def _leave() -> None:
    for name in (COMPILER, f"{COMPILER}.utils"):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
    if isinstance(vars(torch).get("_dynamo"), _StandIn):
        del vars(torch)["_dynamo"]


@contextmanager
def _no_compiler() -> Iterator[None]:
    if COMPILER not in sys.modules:
        never: Callable[..., bool] = lambda *_: False  # noqa: E731
        utils = _StandIn(f"{COMPILER}.utils", is_compile_supported=never)
        sys.modules[COMPILER] = _StandIn(
            COMPILER, __path__=[], disable=_unmarked, config=types.SimpleNamespace(), utils=utils
        )
        sys.modules[utils.__name__] = utils
    try:
        yield
    finally:
        _leave()


with _no_compiler():
    import timm

__all__ = ["timm"]
