"""Random numbers of a component: those of the event, whichever instance handles it and whatever it did before.

WASI's are of the event too, but the toolchain takes some of them for itself when an instance begins, so that the
rest depends on where a batch began.
"""

import os
import random
from types import ModuleType

from . import _modules


class Chance:
    """Takes the place of the sources of random numbers that Python has."""

    def __init__(self, projection: str) -> None:
        self._projection = projection
        self._seed = 0
        self._bytes: random.Random | None = None
        vars(os)["urandom"] = vars(random)["_urandom"] = self._urandom
        self._is_random_used = any(map(_uses_random, _modules.loaded()))

    def begin(self, position: int) -> None:
        """Begins the random numbers of the event at this position."""
        self._seed = int.from_bytes(f"{self._projection}/{position}".encode())
        self._bytes = None
        # It takes a tenth of the time of a small event.
        if self._is_random_used:
            random.seed(self._seed)

    def _urandom(self, size: int, /) -> bytes:
        if self._bytes is None:
            self._bytes = random.Random(self._seed + 1)
        return self._bytes.getrandbits(size * 8).to_bytes(size) if size else b""


def _uses_random(module: ModuleType) -> bool:
    """Whether the module has imported ``random``, or a function of it that shares its generator."""
    shared = random._inst
    return module.__name__ != __name__ and any(
        value is random or getattr(value, "__self__", None) is shared for value in vars(module).values()
    )
