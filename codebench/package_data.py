"""Where the folders that are data, not code, live: in the checkout, or inside the wheel.

`prompts/` and `sandbox/` stand at the top of the repository; the wheel carries copies of them
under `codebench/_data/` (pyproject.toml, force-include).
"""

from pathlib import Path

from codebench.errors import EnvironmentProblem


def data_path(name: str) -> Path:
    """Return the path of the data folder or file called `name`.

    Raises:
        EnvironmentProblem: if the installation lacks it.
    """
    package = Path(__file__).parent
    for root in (package / "_data", package.parent):
        if (root / name).exists():
            return root / name
    raise EnvironmentProblem(f"{name!r} is missing from this installation: reinstall codebench")
