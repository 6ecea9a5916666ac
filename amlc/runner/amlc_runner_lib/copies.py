"""Copies of the job's directory, one for each of several trials to run in."""

import os
import shutil
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

# Azure ML's own folders, and what amlc put there.
NOT_COPIED = frozenset(
    {
        *("outputs", "user_logs", "system_logs", "azureml-logs", "azureml-setup"),
        *("amlc_runner.py", "amlc_runner_lib", "amlc_standin"),
    }
)


def make_work_folder() -> str:
    """Return a fresh copy of the job's directory, whose `outputs` is the job's own."""
    folder = tempfile.mkdtemp(prefix="amlc-")
    try:
        copy_folder(os.getcwd(), folder, NOT_COPIED)
        os.makedirs("outputs", exist_ok=True)
        os.symlink(os.path.abspath("outputs"), os.path.join(folder, "outputs"))
    except OSError:
        remove_folder(folder)
        raise
    return folder


def copy_folder(source: str, target: str, skip: "Collection[str]" = ()) -> None:
    """Copy a tree. Relative links to outside it become absolute; pipes and sockets are left out."""
    os.makedirs(target, exist_ok=True)
    for entry in os.scandir(source):
        if entry.name in skip:
            continue
        copy = os.path.join(target, entry.name)
        if entry.is_symlink():
            os.symlink(_link_target(entry.path), copy)
        elif entry.is_dir():
            copy_folder(entry.path, copy)
        elif entry.is_file():
            shutil.copy2(entry.path, copy)


def _link_target(path: str) -> str:
    target = os.readlink(path)
    root = os.getcwd() + os.sep
    end = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return target if os.path.isabs(target) or end.startswith(root) else end


def remove_folder(folder: str) -> None:
    """Remove what can be removed of a tree."""
    shutil.rmtree(folder, ignore_errors=True)
