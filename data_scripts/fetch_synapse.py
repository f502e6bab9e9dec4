"""Fetch a BraTS release from Synapse with Synapse's own client.

You need a free account, the data access form of the challenge accepted on its page,
and a personal access token with the scopes View and Download.
"""

import argparse
from pathlib import Path

from lrpbook_lib.commands import call_client, downloads, run

#: The challenge project that holds BraTS 2023.
BRATS_2023 = "syn51156910"
STEPS = """\
  1. You have an account at www.synapse.org and accepted the data access form of the
     challenge on its page, www.synapse.org/Synapse:{entity}
  2. A personal access token (Account Settings, scopes View and Download) is in the
     environment variable SYNAPSE_AUTH_TOKEN or in ~/.synapseConfig, never in a file
     of this project
  3. The entity {entity} is a folder you may read: look its id up on the page"""


def main() -> None:
    """Call the client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "entity", nargs="?", default=BRATS_2023, help="Synapse id of a folder"
    )
    parser.add_argument("--folder", type=Path, default=downloads() / "synapse")
    o = parser.parse_args()
    o.folder.mkdir(parents=True, exist_ok=True)
    call_client(
        ["synapse", "get", "-r", o.entity, "--downloadLocation", str(o.folder)],
        "synapseclient",
        STEPS.format(entity=o.entity),
    )
    print(f"unpack the archives in {o.folder}, then give that folder to find_cases")


if __name__ == "__main__":
    run(main)
