"""Layers in a folder: one writer at a time, private files."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import subprocess
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from moorage.domain.errors import StorageFull
from moorage.drivers.disk import DiskStore
from moorage.registry.storage import Busy, Missing
from tests.drivers.test_blob_stores import put, whole

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    """A store that is empty."""
    return DiskStore(tmp_path / "blobs")


@pytest.fixture
def location(store: DiskStore) -> str:
    """A location in which nothing is."""
    return store.new_location(str(uuid.uuid4()))


def test_a_second_writer_is_busy(store: DiskStore, location: str) -> None:
    """While one writer is open no other one is, from any thread, and afterwards one is."""
    first = store.open(location, 0)
    first.write(b"first")
    seen: list[str] = []

    def attempt() -> None:
        try:
            store.open(location, 0).close()
        except Busy:
            seen.append("busy")

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    with pytest.raises(Busy):
        store.open(location, 5)
    first.sync()
    first.close()

    assert seen == ["busy"]
    put(store, location, b" second", offset=5)
    assert whole(store, location) == b"first second"


def test_a_refused_writer_disturbs_nothing(store: DiskStore, location: str) -> None:
    """Who is turned away has changed nothing of what the first one writes."""
    first = store.open(location, 0)
    first.write(b"12345")
    for _ in range(3):
        with pytest.raises(Busy):
            store.open(location, 0)
    first.write(b"678")
    first.sync()
    first.close()

    assert whole(store, location) == b"12345678"


HOLDER = """
import sys, pathlib
from moorage.drivers.disk import DiskStore
folder, location = sys.argv[1:]
writer = DiskStore(pathlib.Path(folder)).open(location, 0)
writer.write(b"of the child")
print("open", flush=True)
sys.stdin.read()
"""


def holder(folder: Path, location: str) -> subprocess.Popen[str]:
    """Start a process that has a writer open and has written; it ends when it is killed or its input does."""
    command = [sys.executable, "-c", HOLDER, str(folder), location]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_a_writer_of_another_process_excludes_too(store: DiskStore, location: str) -> None:
    """A writer in another process keeps this one out until that process ends, however it ends."""
    for end in ("killed", "ended"):
        with holder(store.root, location) as process:
            with pytest.raises(Busy):
                store.open(location, 0)
            if end == "killed":
                process.kill()
            process.communicate(timeout=60)

        put(store, location, b"of the parent")
        assert whole(store, location) == b"of the parent"


def contend(folder: Path, location: str, barrier: Any, results: Any) -> None:
    """Try to open a writer at the same moment as others do."""
    store = DiskStore(folder)
    barrier.wait()
    try:
        writer = store.open(location, 0)
    except Busy:
        results.put("busy")
        barrier.wait()
        return
    results.put("open")
    barrier.wait()
    writer.close()


def test_one_of_many_processes_gets_the_writer(store: DiskStore, location: str) -> None:
    """Of several processes at once exactly one gets the writer."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    children = [context.Process(target=contend, args=(store.root, location, barrier, results)) for _ in range(3)]
    for child in children:
        child.start()
    outcomes = sorted(results.get(timeout=60) for _ in children)
    for child in children:
        child.join(timeout=60)

    assert outcomes == ["busy", "busy", "open"]
    put(store, location, b"free again")


def test_files_are_private(store: DiskStore, location: str) -> None:
    """Layers on disk can be read by their owner only."""
    put(store, location, b"data")

    assert (store.root / location).stat().st_mode & 0o777 == 0o600


def test_descriptors_are_given_back(store: DiskStore, location: str) -> None:
    """Writers that were opened, refused or closed leave no open file behind."""
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        writer = store.open(location, 0)
        with pytest.raises(Busy):
            store.open(location, 0)
        writer.close()
        with pytest.raises(Missing):
            store.open(location, 1)

    assert len(os.listdir("/dev/fd")) == before


def test_bytes_of_which_nobody_knows_whether_they_were_synced_are_void(
    store: DiskStore, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that failed is not asked again of the same bytes: an upload begins anew after that."""
    with contextlib.closing(store.open(location, 0)) as writer:
        writer.write(b"first")
        writer.flush()
    with contextlib.closing(store.open(location, 5)) as writer, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "no space")))
        with pytest.raises(StorageFull):
            writer.sync()
    with pytest.raises(Missing):
        store.open(location, 5)


def test_what_was_not_flushed_gives_its_space_back(store: DiskStore, location: str) -> None:
    """A writer that is closed leaves what counts, and no more."""
    with contextlib.closing(store.open(location, 0)) as writer:
        writer.write(b"first")
        writer.flush()
        writer.write(b"and more")
    assert store.size(location) == 5
