"""Writing that is whole or absent, and hashing of what was written."""

import errno
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from joblib import Parallel, cpu_count
from tqdm.auto import tqdm


@contextmanager
def whole_or_absent(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a path beside `target` to write to; rename it to `target` at the end.

    A process killed on the way leaves `target` untouched; an exception also
    removes what was written so far. A full disk is said in words.

    Parameters
    ----------
    target
        File or folder to come into being.
    replace
        Whether an existing folder `target` may be replaced.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.parent / f".{target.name}.{_own_name()}.part"
    try:
        yield beside
        if replace and target.is_dir():
            retired = target.parent / f".{target.name}.{_own_name()}.part"
            target.rename(retired)
            beside.rename(target)
            shutil.rmtree(retired)
        else:
            beside.replace(target)
    except OSError as error:
        remove(beside)
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC,
                f"the disk is full while writing {target}: nothing half-written was "
                "left; free some space (or name another folder with LRPBOOK_CACHE) "
                "and run the same command again, finished cases are kept",
            ) from error
        raise
    except BaseException:
        remove(beside)
        raise


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9]", "", socket.gethostname()) or "host"
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def _abandoned(name: str, since: float) -> bool:
    """Whether the process in a name like ``host-123-abcdef`` is gone."""
    host, pid, _ = name.rsplit("-", 2)
    if os.name != "posix" or host != _own_name().rsplit("-", 2)[0]:
        return time.time() - since > 3600  # of another machine nothing is known
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written in `folder`."""
    for path in folder.glob(".*.part"):
        if _abandoned(path.suffixes[-2][1:], path.stat().st_mtime):
            remove(path)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time work in `folder`; the others wait for it.

    Chapters that run side by side ask for the same phantom: one makes it, the
    others find it made. The claim of a killed process is taken over.
    """
    claim = folder / ".claim"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with claim.open("x", encoding="utf-8") as stream:
                stream.write(_own_name())
            break
        except FileNotFoundError:
            continue  # the one before us is done and removed the folder
        except FileExistsError:
            try:
                holder, since = claim.read_text("utf-8"), claim.stat().st_mtime
            except FileNotFoundError:
                continue
            # A claim is empty for the instant between its making and its writing.
            if holder and _abandoned(holder, since):
                claim.unlink(missing_ok=True)
            else:
                time.sleep(0.2)
    try:
        yield
    finally:
        claim.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON whole or not at all, keys sorted, so that equal content is equal."""
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    with whole_or_absent(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_nifti(path: Path, volume: np.ndarray, affine: np.ndarray) -> None:
    """Write ``.nii.gz`` bytes that depend on nothing but the content.

    nibabel would put the time and the file name into the gzip header; here both
    are empty. Level 1 is a third larger than the default and five times faster.
    """
    image = nib.Nifti1Image(volume, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


@contextmanager
def npy_stream(
    path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an ``.npy`` file of known shape block by block, along its first axis.

    Unlike a memory-mapped array, what was written does not count as this process's
    memory.
    """
    with path.open("wb") as stream:
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(stream, header)

        def append(block: np.ndarray) -> None:
            stream.write(np.ascontiguousarray(block, dtype=dtype).data)

        yield append


def digest(content: Any) -> str:
    """Sixteen hexadecimal digits that name a JSON-able content."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def file_digest(path: Path) -> str:
    """Sixteen hexadecimal digits that name a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(
            stream, lambda: hashlib.blake2b(digest_size=8)
        ).hexdigest()


def files_of(path: Path) -> list[Path]:
    """The files of a folder, sorted; of a file, itself."""
    return sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]


def same_content(paths: list[Path]) -> bool:
    """Whether files, or folders of files, hold the same bytes."""
    first, *others = ([file_digest(file) for file in files_of(p)] for p in paths)
    return all(other == first for other in others)


def all_cores() -> int:
    """Number of cores there are for this process and those beside it."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        return os.cpu_count() or 1


def usable_cores() -> int:
    """Number of cores this process may use.

    A container may grant fewer than there are, and so may ``LOKY_MAX_CPU_COUNT``, which
    chapters that run side by side are given.
    """
    return min(all_cores(), cpu_count())


def cpu_seconds() -> float:
    """What this process and its finished children have computed so far."""
    spent = os.times()
    return sum(spent[:4])


def quiet() -> bool:
    """Whether progress bars are switched off by ``TQDM_DISABLE=1``."""
    return os.environ.get("TQDM_DISABLE", "0") not in ("", "0")


def progress(total: int, done: int, unit: str, **how: Any) -> tqdm:
    """A bar that tells the minutes and seconds left, from the mean pace so far."""
    line = "{l_bar}{bar}| {n_fmt}/{total_fmt} {unit}, {remaining} left"
    how = {"disable": quiet(), **how}
    return tqdm(
        total=total, initial=done, unit=unit, bar_format=line, smoothing=0, **how
    )


def in_processes(
    calls: Iterable[Any], jobs: int, total: int, what: str
) -> Iterator[Any]:
    """Results of delayed calls as they come, under a bar of all that was ever to do."""
    calls = list(calls)
    parallel = Parallel(
        n_jobs=jobs, return_as="generator_unordered", pre_dispatch=2 * jobs
    )
    done = total - len(calls)
    yield from tqdm(
        parallel(calls), total=total, initial=done, desc=what, disable=quiet()
    )
