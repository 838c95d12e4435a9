"""The modules that are loaded and are not Python's own: those of the projection, and what it uses."""

import linecache
import os
import sys
from types import ModuleType


def loaded() -> list[ModuleType]:
    """The modules, in the order in which they were loaded."""
    # In a component this folder has Python's own modules and no others. (That of os is part of the binary.)
    standard = os.path.dirname(linecache.__file__) + "/"
    modules = [module for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
    return [module for module in modules if not str(module.__file__).startswith(standard)]
