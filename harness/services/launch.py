"""``python -m harness.services.launch SPEC``: prepare a server's data, then become that server.

Running as the resource itself keeps everything in one process group with one log, and the process id that
the supervisor holds is the server's. Expected trouble ends with the error's exit code and its sentence as
the last line.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness.errors import DiskFull, HarnessError
from harness.folders import is_full, place_trouble
from harness.services import postgres, valkey
from harness.services.account import owned_folder, server_account
from harness.services.credentials import Credentials


@dataclass(frozen=True)
class Launch:
    """Which server to become, and where. Holds the path of the passwords, never a password."""

    service: Literal["postgres", "redis"]
    folder: str
    credentials: str
    port: int
    durable: bool
    cache: str
    root: str

    def to_argument(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @property
    def data(self) -> Path:
        """The server's own folder."""
        return Path(self.folder) / self.service


def prepare(spec: Launch) -> list[str]:
    """Make the data ready and return the server's command line."""
    account = server_account()
    root = Path(spec.root)
    owned_folder(Path(spec.folder), mode=0o711 if account else 0o700)
    credentials = Credentials.load(Path(spec.credentials))
    if spec.service == "redis":
        configuration = valkey.configure(
            spec.data, account, port=spec.port, password=credentials.redis, durable=spec.durable
        )
        return valkey.command(valkey.binary(account, root=root), configuration)
    programs = postgres.binaries(account, root=root)
    if spec.data.exists():
        postgres.check_cluster(spec.data, account)
    else:
        source = postgres.template(programs, Path(spec.cache), account, root=root)
        postgres.make_cluster(spec.data, source, programs, account, password=credentials.postgres, durable=spec.durable)
    return postgres.command(programs, spec.data, port=spec.port, durable=spec.durable)


def main() -> None:
    """Entry point; does not return when all goes well."""
    spec = Launch(**json.loads(sys.argv[1]))
    try:
        try:
            command = prepare(spec)
        except OSError as error:
            trouble = place_trouble(error)
            if is_full(error):
                trouble = DiskFull(
                    f"No space left on device for the data in {spec.folder}.",
                    hint="Free some space there, or set HARNESS_DATA to a folder with room.",
                )
            if trouble is None:
                raise
            raise trouble from error
    except HarnessError as error:
        sys.stderr.write(f"{error} {error.hint}".strip() + "\n")
        sys.exit(error.exit_code)
    account = server_account()
    if account:
        account.become()
    environment = {"PATH": os.defpath, "LC_ALL": "C", "HARNESS_RUN": os.environ.get("HARNESS_RUN", "")}
    os.chdir("/")
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    main()
