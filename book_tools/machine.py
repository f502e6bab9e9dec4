"""Can this machine set the project up? Run by ``make setup`` before anything else.

Plain enough to run under any Python, because its first job is to refuse an old one.
"""

import shutil
import sys

NEEDED_PYTHON = (3, 11, 5)
NEEDED_GB = 4


def complaint():
    """Say what is missing and what to do about it, in one line; None if all is well."""
    if sys.version_info < NEEDED_PYTHON:
        return "Python {} is too old: 3.11.5 or newer is needed. Name one: make PYTHON=python3.12".format(  # noqa: E501, UP032
            sys.version.split()[0]
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return "this Python has no venv module; on Debian or Ubuntu: apt install python3-venv"  # noqa: E501
    if shutil.which("git") is None:
        return "git is missing; install it with your system's package manager"
    free_gb = shutil.disk_usage(".").free / 1e9
    if free_gb < NEEDED_GB:
        return f"{free_gb:.1f} GB of disk free, {NEEDED_GB} GB are needed"
    return None


if __name__ == "__main__":
    problem = complaint()
    if problem:
        sys.exit("make: " + problem)
