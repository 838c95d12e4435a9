"""The tests, which find the SDK in the folder ``sdk`` of the project."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk" / "src"))
