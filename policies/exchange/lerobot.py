"""LeRobotDataset v3.0, written and read with pyarrow alone.

The format is that of LeRobot 0.4 (huggingface/lerobot, "LeRobotDataset v3.0"): frames of all episodes in
parquet files, images as PNG in them (no video: nothing is lost), and a folder `meta`. What the format has no
place for, the facts of each episode, stands in `meta/navstack.json`, which LeRobot passes over.

| feature | shape | what |
|---|---|---|
| observation.image | (H, W, 3) | camera |
| observation.dt | (1,) | s since the frame before |
| observation.state | (7,) | position ENU m, velocity ENU m/s, yaw rad |
| action | (4,) | the expert's command: forward, left, up m/s, yaw_rate rad/s |
| flown | (4,) | the command that was flown |

`timestamp` is the true time of each frame; `fps` is the nominal rate and promises no constant interval.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from navstack.episodes import Episode, EpisodeFacts
from navstack.errors import InputError

VERSION = "v3.0"
FPS = 20
FILE_BYTES = 100 << 20  # of images in one parquet file, as LeRobot does
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
FACTS = "meta/navstack.json"
COMMAND = ["forward", "left", "up", "yaw_rate"]
STATE = ["east", "north", "up", "velocity_east", "velocity_north", "velocity_up", "yaw"]
VECTORS: dict[str, tuple[int, list[str] | None]] = {
    "observation.dt": (1, None),
    "observation.state": (7, STATE),
    "action": (4, COMMAND),
    "flown": (4, COMMAND),
}
COUNTERS = ("frame_index", "episode_index", "index", "task_index")


def write_lerobot(folder: Path, episodes: Iterator[Episode], on_episode: Callable[[], None]) -> None:
    """Write episodes of one task and image size into an empty folder. Raises InputError where they differ."""
    import pyarrow as pa
    from pyarrow import parquet

    statistics = _Statistics()
    rows: list[dict[str, Any]] = []
    facts: list[dict[str, Any]] = []
    writer, file, written, shape, frames = None, 0, 0, None, 0
    try:
        for number, episode in enumerate(episodes):
            shape = shape or episode.image.shape[1:]
            if episode.image.shape[1:] != shape:
                raise InputError(
                    f"{_name(episode)}: its images are {episode.image.shape[1:]}; the others' are {shape}"
                )
            if facts and facts[0]["env"] != episode.facts.env:
                raise InputError(f"{_name(episode)}: its task is {episode.facts.env}, not {facts[0]['env']}")
            if writer is not None and written > FILE_BYTES:
                writer.close()
                writer, file, written = None, file + 1, 0
            path = folder / DATA.format(chunk_index=file // 1000, file_index=file % 1000)
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = parquet.ParquetWriter(path, _schema(pa))
            table = _frames(pa, episode, number, frames)
            writer.write_table(table)
            written += table.nbytes
            rows.append(_row(episode, number, frames, file))
            facts.append(asdict(episode.facts))
            statistics.add(episode)
            frames += len(episode)
            on_episode()
    finally:
        if writer is not None:
            writer.close()
    if not rows or shape is None:
        raise InputError("there are no episodes to write")
    _write_meta(folder, rows, facts, shape, frames, statistics)


def _name(episode: Episode) -> str:
    return f"episode r{episode.facts.round:02d}_{episode.facts.index:05d}"


def _schema(pa: Any) -> Any:
    vectors = [
        (name, pa.float32() if size == 1 else pa.list_(pa.float32(), size))
        for name, (size, _) in VECTORS.items()
    ]
    return pa.schema(
        [
            ("observation.image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), *vectors,
            ("timestamp", pa.float32()), *((name, pa.int64()) for name in COUNTERS),
        ]
    )  # fmt: skip


def _vectors(episode: Episode) -> dict[str, npt.NDArray[np.float32]]:
    state = np.concatenate([episode.position_enu, episode.velocity_enu, episode.yaw[:, None]], axis=1)
    return {
        "observation.dt": episode.dt[:, None],
        "observation.state": state,
        "action": episode.expert_command,
        "flown": episode.command,
    }


def _frames(pa: Any, episode: Episode, number: int, before: int) -> Any:
    count = len(episode)
    pictures = [
        {"bytes": cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes(), "path": None}
        for image in episode.image
    ]
    columns: dict[str, Any] = {"observation.image": pictures}
    for name, values in _vectors(episode).items():
        columns[name] = values[:, 0] if values.shape[1] == 1 else list(values)
    elapsed = np.cumsum(episode.dt, dtype=np.float64)
    columns["timestamp"] = (elapsed - elapsed[0]).astype(np.float32)
    columns |= {
        "frame_index": np.arange(count), "episode_index": np.full(count, number),
        "index": np.arange(before, before + count), "task_index": np.zeros(count, np.int64),
    }  # fmt: skip
    return pa.table(columns, schema=_schema(pa))


def _row(episode: Episode, number: int, before: int, file: int) -> dict[str, Any]:
    return {
        "episode_index": number, "tasks": [episode.facts.env], "length": len(episode),
        "dataset_from_index": before, "dataset_to_index": before + len(episode),
        "data/chunk_index": file // 1000, "data/file_index": file % 1000,
        "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0,
    }  # fmt: skip


def _write_meta(
    folder: Path, rows: list[dict[str, Any]], facts: list[dict[str, Any]], shape: Sequence[int], frames: int,
    statistics: _Statistics,
) -> None:  # fmt: skip
    import pyarrow as pa
    from pyarrow import parquet

    path = folder / EPISODES
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path)
    task = {"task_index": [0], "__index_level_0__": [facts[0]["env"]]}
    # pandas, by which LeRobot reads the tasks, takes the second column for the index
    index = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [_pandas_column(None, None, "unicode", {"encoding": "UTF-8"})],
        "columns": [
            _pandas_column("task_index", "task_index", "int64"),
            _pandas_column(None, "__index_level_0__", "unicode"),
        ],
        "pandas_version": "2.0.0",
    }
    table = pa.table(task).replace_schema_metadata({"pandas": json.dumps(index)})
    parquet.write_table(table, folder / "meta/tasks.parquet")
    features: dict[str, Any] = {
        "observation.image": {
            "dtype": "image", "shape": list(shape), "names": ["height", "width", "channels"],
        }
    }  # fmt: skip
    features |= {
        name: {"dtype": "float32", "shape": [size], "names": names} for name, (size, names) in VECTORS.items()
    }
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    features |= {name: {"dtype": "int64", "shape": [1], "names": None} for name in COUNTERS}
    info = {
        "codebase_version": VERSION, "robot_type": "quadrotor", "total_episodes": len(rows),
        "total_frames": frames, "total_tasks": 1, "chunks_size": 1000, "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200, "fps": FPS, "splits": {"train": f"0:{len(rows)}"}, "data_path": DATA,
        "video_path": None, "features": features,
    }  # fmt: skip
    for name, value in (("info", info), ("stats", statistics.result()), ("navstack", facts)):
        (folder / f"meta/{name}.json").write_text(json.dumps(value, indent=1) + "\n")


def _pandas_column(
    name: str | None, field: str | None, kind: str, about: dict[str, str] | None = None
) -> dict[str, Any]:
    """How pandas describes a column in a parquet file's meta data."""
    stored = {"unicode": "object"}.get(kind, kind)
    return {
        "name": name, "field_name": field, "pandas_type": kind, "numpy_type": stored, "metadata": about,
    }  # fmt: skip


class _Statistics:
    """Least, largest, mean and deviation of every feature, in one pass; pixels as 0 to 1 by channel."""

    def __init__(self) -> None:
        self._sums: dict[str, list[npt.NDArray[np.float64]]] = {}
        self._count: dict[str, int] = {}
        self._frames = 0

    def add(self, episode: Episode) -> None:
        """Take an episode into account."""
        self._frames += len(episode)
        features: dict[str, npt.NDArray[Any]] = {"observation.image": episode.image.reshape(-1, 3) / 255.0}
        for name, values in (features | _vectors(episode)).items():
            x = values.astype(np.float64)
            new = [x.min(axis=0), x.max(axis=0), x.sum(axis=0), (x * x).sum(axis=0)]
            old = self._sums.get(name, new)
            joined = [np.minimum(old[0], new[0]), np.maximum(old[1], new[1])]
            added = [new[2], new[3]] if name not in self._sums else [old[2] + new[2], old[3] + new[3]]
            self._sums[name] = [*joined, *added]
            self._count[name] = self._count.get(name, 0) + len(x)

    def result(self) -> dict[str, dict[str, Any]]:
        """As LeRobot's stats.json."""
        found = {}
        for name, (low, high, total, squares) in self._sums.items():
            mean = total / self._count[name]
            deviation = np.sqrt(np.maximum(squares / self._count[name] - mean * mean, 0.0))
            shape = (3, 1, 1) if name == "observation.image" else (-1,)
            parts = {"min": low, "max": high, "mean": mean, "std": deviation}
            found[name] = {
                **{part: value.reshape(shape).tolist() for part, value in parts.items()},
                "count": [self._frames],
            }
        return found


def read_lerobot(folder: Path) -> Iterator[Episode]:
    """The episodes of a LeRobotDataset v3.0 that was written by `write_lerobot`, or has the same features.

    Without `meta/navstack.json` an episode's world, seed and outcome are empty and its task is that of the
    data set. Raises InputError where a feature is missing or of another shape.
    """
    from pyarrow import dataset, parquet

    info = _json(folder / "meta/info.json")
    if info.get("codebase_version") != VERSION:
        raise InputError(f"{folder}: LeRobotDataset {info.get('codebase_version')}; expected {VERSION}")
    _check_features(folder, info.get("features", {}))
    facts = _json(folder / FACTS) if (folder / FACTS).exists() else None
    rows = parquet.ParquetDataset(folder / "meta/episodes").read().to_pylist()
    for row in sorted(rows, key=lambda row: int(row["episode_index"])):
        number = int(row["episode_index"])
        path = info["data_path"].format(
            chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
        )
        try:
            wanted = dataset.field("episode_index") == number
            table = dataset.dataset(folder / path).to_table(filter=wanted).sort_by("frame_index")
            about = EpisodeFacts(**facts[number]) if facts else _unknown(row, number)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"{folder}: episode {number} cannot be read ({error})") from error
        yield _episode(folder, number, table.to_pydict(), about)


def _unknown(row: dict[str, Any], number: int) -> EpisodeFacts:
    return EpisodeFacts(str(row["tasks"][0]), "", 0, "", "lerobot", 0, number)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not the meta data of a LeRobotDataset ({error})") from error


def _check_features(folder: Path, features: dict[str, Any]) -> None:
    kind = features.get("observation.image", {}).get("dtype")
    if kind != "image":
        found = f"is stored as {kind}" if kind else "is missing"
        raise InputError(f"{folder}: the feature 'observation.image' {found}; expected images (no video)")
    for name, (size, _) in VECTORS.items():
        shape = features.get(name, {}).get("shape")
        if list(shape or ()) != [size]:
            found = f"has the shape {shape}" if shape else "is missing"
            raise InputError(f"{folder}: the feature '{name}' {found}; expected ({size},)")


def _episode(folder: Path, number: int, columns: dict[str, Any], facts: EpisodeFacts) -> Episode:
    images = []
    for frame, picture in enumerate(columns["observation.image"]):
        data = np.frombuffer(picture["bytes"] or b"", np.uint8)
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        if decoded is None:
            raise InputError(f"{folder}: episode {number}, frame {frame}: the image cannot be decoded")
        images.append(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))
    vectors = {
        name: np.array(columns[name], np.float32).reshape(len(images), size)
        for name, (size, _) in VECTORS.items()
    }
    for name, values in vectors.items():
        if not np.isfinite(values).all():
            frame = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise InputError(f"{folder}: episode {number}, frame {frame}: '{name}' is not finite")
    state = vectors["observation.state"]
    return Episode(
        facts,
        image=np.stack(images).astype(np.uint8),
        dt=vectors["observation.dt"][:, 0],
        expert_command=vectors["action"],
        command=vectors["flown"],
        position_enu=state[:, :3],
        velocity_enu=state[:, 3:6],
        yaw=state[:, 6],
    )
