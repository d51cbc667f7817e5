"""Images of Postgres and Redis (Valkey) from the programs of the wheels, for machines that reach no registry.

Each holds the programs, the libraries they load and a shell with the few tools its entrypoint uses. They behave
like the official ones in what this project and testcontainers ask of them.
"""

from __future__ import annotations

import io
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.containers.engine import client
from harness.errors import EngineMissing
from harness.folders import CHECKOUT
from harness.services import postgres, valkey

_SHELL_TOOLS = ("cat", "chmod", "chown", "find", "id", "mkdir", "rm", "setpriv", "sleep")
_NAMES, _USER = ("postgres", "redis"), 999
_ENTRY = "/usr/local/bin/docker-entrypoint.sh"
# What a shell, a server and their name service look up.
_ETC = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\n" + "".join(f"{name}:x:{_USER}:{_USER}::/:/bin/sh\n" for name in _NAMES),
    "/etc/group": "root:x:0:\n" + "".join(f"{name}:x:{_USER}:\n" for name in _NAMES),
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

_POSTGRES_ENTRY = """#!/bin/sh
set -eu
[ "${1:-}" = postgres ] || exec "$@"
: "${PGDATA:=/var/lib/postgresql/data}" "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}" "${POSTGRES_INITDB_ARGS:=}"
export PGDATA
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        echo "Error: Database is uninitialized and superuser password is not specified." >&2
        exit 1
    fi
    umask 077
    echo "$POSTGRES_PASSWORD" > /tmp/password
    eval 'initdb --username="$POSTGRES_USER" --pwfile=/tmp/password '"$POSTGRES_INITDB_ARGS"
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    # Nobody outside gets in before all is set up.
    "$@" -c listen_addresses= &
    server=$!
    sql() { PGPASSWORD="$POSTGRES_PASSWORD" psql -v ON_ERROR_STOP=1 --no-psqlrc -U "$POSTGRES_USER" "$@"; }
    until sql -d postgres -c "SELECT 1" > /dev/null 2>&1; do
        kill -0 "$server"
        sleep 0.05
    done
    if [ "$POSTGRES_DB" != postgres ]; then
        echo 'CREATE DATABASE :"db"' | sql -d postgres -v db="$POSTGRES_DB"
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh) . "$file" ;;
            *.sql) sql -d "$POSTGRES_DB" -f "$file" ;;
        esac
    done
    kill -INT "$server"
    wait "$server"
fi
exec "$@"
"""
_REDIS_ENTRY = """#!/bin/sh
set -eu
if [ "${1:-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis:redis {} +
    exec setpriv --reuid redis --regid redis --clear-groups "$0" "$@"
fi
exec "$@"
"""


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    """``trees`` are folders to copy whole, ``programs`` single files with the libraries they load."""

    name: str
    version: str
    entry: str
    changes: tuple[str, ...]
    trees: Mapping[Path, str]
    programs: Mapping[Path, str]


def make_images(address: str) -> dict[str, str]:
    """Make both images at the engine ``address``; returns their names by service, new ones at each call.

    Raises EngineMissing where they can't be made: not on Linux, or without the usual tools.
    """
    # Others may be making theirs at the same engine.
    suffix = secrets.token_hex(3)
    return {recipe.name: _make(address, recipe, tag=f"{recipe.version}-{suffix}") for recipe in (_postgres(), _redis())}


def _postgres() -> _Recipe:
    programs = postgres.binaries(None, root=CHECKOUT)
    package = programs.parent.parent
    home = f"/opt/{package.name}"
    inside = f"{home}/{programs.relative_to(package)}"
    trees = {programs.parent: f"{home}/{programs.parent.relative_to(package)}"}
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        # The programs look for their libraries in this folder beside their own.
        trees[libraries] = f"/opt/{libraries.name}"
    release = postgres.version()
    return _Recipe(
        name="postgres",
        version=release,
        entry=_POSTGRES_ENTRY,
        changes=(
            f"ENV PATH={inside}:/usr/local/bin:/usr/bin:/bin",
            f"ENV PG_MAJOR={release.split('.')[0]}",
            "ENV PGDATA=/var/lib/postgresql/data",
            "EXPOSE 5432",
            'CMD ["postgres"]',
        ),
        trees=trees,
        programs={},
    )


def _redis() -> _Recipe:
    return _Recipe(
        name="redis",
        version=valkey.version(),
        entry=_REDIS_ENTRY,
        changes=(
            "ENV PATH=/usr/local/bin:/usr/bin:/bin",
            "WORKDIR /data",
            "EXPOSE 6379",
            'CMD ["redis-server"]',
        ),
        trees={},
        programs={valkey.binary(None, root=CHECKOUT): "/usr/local/bin/redis-server"},
    )


def _make(address: str, recipe: _Recipe, *, tag: str) -> str:
    repository = f"tims-stack/{recipe.name}"
    changes = [*recipe.changes, f'ENTRYPOINT ["{_ENTRY}"]', "LABEL tims-stack.made=locally"]
    with client(address, timeout=120.0) as engine:
        engine.api.import_image_from_data(_archive(recipe), repository=repository, tag=tag, changes=changes)
    return f"{repository}:{tag}"


def _archive(recipe: _Recipe) -> bytes:
    """The image's files as one tar."""
    shell = {_tool("sh").resolve(): "/bin/sh"}
    tools = {path: f"/usr/bin/{path.name}" for path in map(_tool, _SHELL_TOOLS)}
    programs = {**shell, **tools, **recipe.programs}
    loaded = [*programs, *(path for tree in recipe.trees for path in tree.rglob("*") if _is_binary(path))]
    ours = tuple(recipe.trees)
    with io.BytesIO() as whole:
        with tarfile.open(fileobj=whole, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for folder in ("/data", "/docker-entrypoint-initdb.d", "/root", "/tmp", "/var/lib", "/var/run"):
                _add_folder(tar, folder, mode=0o1777 if folder == "/tmp" else 0o755)
            for tree, place in recipe.trees.items():
                tar.add(tree, place.lstrip("/"), filter=_as_root)
            for path, place in programs.items():
                tar.add(path.resolve(), place.lstrip("/"), filter=_as_root)
            for library in _libraries(loaded):
                if not any(library.is_relative_to(tree) for tree in ours):
                    # Under the very name that the loader looks for, whatever that links to.
                    tar.add(library.resolve(), str(library).lstrip("/"), filter=_as_root)
            for name, text in _ETC.items():
                _add_text(tar, name, text, mode=0o644)
            _add_text(tar, _ENTRY, recipe.entry, mode=0o755)
        return whole.getvalue()


def _tool(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise EngineMissing(
            f"The images can't be made on this machine: there is no {name}.",
            hint="Give it a way to a container registry, or install the tool.",
        )
    return Path(found)


def _libraries(binaries: Iterable[Path]) -> list[Path]:
    """Every library, and the loader, that the binaries load."""
    command = [str(_tool("ldd")), *map(str, binaries)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    words = (word for line in told.splitlines() if not line.endswith(":") for word in line.split())
    return sorted({Path(word) for word in words if word.startswith("/")})


def _is_binary(path: Path) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if "/include/" in info.name or "__pycache__" in info.name:
        return None
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    # The checkout may be closed to others, the image is not.
    info.mode |= 0o555 if info.isdir() or info.mode & 0o100 else 0o444
    return info


def _add_folder(tar: tarfile.TarFile, name: str, *, mode: int) -> None:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)


def _add_text(tar: tarfile.TarFile, name: str, text: str, *, mode: int) -> None:
    content = text.encode()
    info = tarfile.TarInfo(name.lstrip("/"))
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))
