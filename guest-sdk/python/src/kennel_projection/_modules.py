"""The modules of a component: those of the projection and what it uses, and those that Python would load later.

A component has no files when it runs: a module that is not loaded while it is built cannot be loaded any more.
"""

import importlib
import linecache
import os
import sys
from types import ModuleType

# What Python's own modules load only when a function of theirs is called, if the projection can have come by them.
_LATE = {
    "datetime": ["_strptime"],
    "encodings": [
        *("encodings.utf_8_sig", "encodings.utf_16_be", "encodings.utf_16_le", "encodings.utf_32_be"),
        *("encodings.utf_32_le", "encodings.cp1252", "encodings.iso8859_15", "encodings.unicode_escape"),
    ],
    "hashlib": ["_blake2", "_md5", "_sha1", "_sha2", "_sha3"],
    "urllib.parse": ["unicodedata"],
    "zoneinfo": ["importlib.resources"],
}


def load_late() -> None:
    """Loads what would be missing later."""
    for module, late in _LATE.items():
        if module in sys.modules:
            for name in late:
                importlib.import_module(name)


def loaded() -> list[ModuleType]:
    """The modules, in the order in which they were loaded."""
    # In a component this folder has Python's own modules and no others. (That of os is part of the binary.)
    standard = os.path.dirname(linecache.__file__) + "/"
    modules = [module for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
    return [module for module in modules if not str(module.__file__).startswith(standard)]
