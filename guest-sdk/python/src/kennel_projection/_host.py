"""The door to the host, for the modules of this package; projections never name it.

On wasm it leads to the host's imports. Elsewhere there is no host: log lines are kept and settings are read where the
test kit can reach them.
"""

import sys

IS_WASM = sys.platform == "wasi"

if IS_WASM:
    from ._wasm import log, setting
else:
    from ._native import log, setting

__all__ = ["IS_WASM", "log", "setting"]
