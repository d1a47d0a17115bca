"""A file is written whole or not at all; results are never written over."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from navstack.errors import InputError
from navstack.files import new_folder, write_atomically


def failing(number: int) -> Any:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "result.bin"
    write_atomically(path, b"first")
    write_atomically(path, b"second, longer")
    assert path.read_bytes() == b"second, longer"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_the_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "result.bin", b"data")
    assert (tmp_path / "result.bin").stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "result.bin"
    path.write_bytes(b"earlier")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), failing(number))
    with pytest.raises(InputError, match=f"{path}: the disk is full; free some space"):
        write_atomically(path, b"later")
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interruption_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupt(descriptor: int) -> None:
        raise error

    path = tmp_path / "result.bin"
    path.write_bytes(b"earlier")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(error):
        write_atomically(path, b"later")
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"none/result\.bin: cannot be written \(No such file or directory\)"
    ):
        write_atomically(tmp_path / "none" / "result.bin", b"data")


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "result.bin").mkdir()
    with pytest.raises(InputError, match=r"result\.bin: cannot be written"):
        write_atomically(tmp_path / "result.bin", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["result.bin"]


def test_a_new_folder_is_made_with_its_parents_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "first"
    assert new_folder(path) == path
    assert path.is_dir()
    assert new_folder(path) == path


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.bin").touch()
    with pytest.raises(InputError, match="exists and is not empty; name another folder"):
        new_folder(tmp_path)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.bin"
    path.touch()
    with pytest.raises(InputError, match="exists and is not"):
        new_folder(path)
    with pytest.raises(InputError, match="cannot be written"):
        new_folder(path / "inside")
