"""What the scripts of ``data_scripts/`` share: errors in a line, clients, folders."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pooch

from lrpbook_lib.places import cache_home, data_home


def run(main: Callable[[], None]) -> None:
    """Run a script's main function; errors are a line, not a traceback."""
    pooch.get_logger().setLevel("WARNING")
    try:
        main()
    except KeyboardInterrupt:
        print("stopped; run the same command to go on", file=sys.stderr)
        raise SystemExit(130) from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        # A KeyError quotes its message.
        text = error.args[0] if isinstance(error, KeyError) else str(error)
        print(f"{Path(sys.argv[0]).name}: {text}", file=sys.stderr)
        raise SystemExit(1) from None


def model_parser(module: str, about: str | None) -> argparse.ArgumentParser:
    """A parser of ``python -m lrpbook_lib.<module>`` that asks for a trained model."""
    parser = argparse.ArgumentParser(
        prog=f"python -m lrpbook_lib.{module}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        required=True,
        help="checkpoint (.safetensors), a run's folder, or the name of a model that "
        "comes with the book, such as guided",
    )
    return parser


def downloads() -> Path:
    """Folder for downloads, unless a script is told another."""
    return cache_home() / "downloads"


class AbsentDataError(FileNotFoundError):
    """Real data that is not on this machine."""


def real_data(*files: str) -> Path:
    """The folder of real data, which holds these files (or else an error says so)."""
    home = data_home()
    if absent := [f for f in files if home is None or not (home / f).exists()]:
        raise AbsentDataError(
            f"{', '.join(absent)} is not on this machine: let LRPBOOK_DATA name a "
            f"folder of real data that holds it (now: {home})"
        )
    assert home is not None
    return home


def call_client(command: Sequence[str], package: str, steps: str) -> None:
    """Run a data service's own command-line client.

    Parameters
    ----------
    command
        The program and its arguments.
    package
        What to install where it is missing.
    steps
        What to accept, and where the client looks for the token. No token passes
        through this project.
    """
    if shutil.which(command[0]) is None:
        raise RuntimeError(
            f"this needs the client {command[0]!r}: pip install {package}\n{steps}"
        )
    result = subprocess.run(command, check=False)
    if result.returncode:
        raise RuntimeError(
            f"{command[0]} ended with status {result.returncode}. Check that:\n{steps}"
        )
