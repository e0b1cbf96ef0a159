"""Makes the package ``benchmarks`` importable: it lies beside ``operator`` and is not installed."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parents[1], HERE / "ladder"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
