"""Flights on a Ray cluster: two nodes on this machine, one of which is lost in the middle."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from navstack.errors import InputError
from navstack.policies.imitation.collecting import Collected, collect
from navstack.policies.imitation.config import CollectConfig
from navstack.workers import Workers

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # read when Ray is imported: loopback is its address
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray", reason="needs the extra navstack[cluster]")

CONFIG = CollectConfig(worlds=("meadow", "forest"), longest=3.0)
EPISODES = 12
LOST_AFTER = 4  # episodes


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("r*.safetensors"))}


def node_of(job: int) -> str:
    time.sleep(0.2)
    return str(ray.get_runtime_context().get_node_id())


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Any, Any]]:
    from ray.cluster_utils import Cluster

    loopback = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args={**loopback, "include_dashboard": False})
    second = made.add_node(**loopback)
    yield made, second
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_a_cluster_that_is_too_small_is_refused_in_a_sentence(cluster) -> None:
    with pytest.raises(InputError, match="has 2 cores; it cannot run 3 workers"):
        Workers(3, cluster[0].address)


@pytest.mark.slow
def test_a_node_that_is_lost_costs_no_finished_episode(tmp_path: Path, cluster) -> None:
    made, second = cluster
    (tmp_path / "cluster").mkdir()
    (tmp_path / "here").mkdir()
    at_loss: dict[str, str] = {}
    with Workers(2, made.address) as workers:
        assert len(set(workers.map(node_of, range(6)))) == 2

        def lose_a_node(so_far: Collected) -> None:
            if so_far.episodes >= LOST_AFTER and not at_loss:
                at_loss.update(digests(tmp_path / "cluster"))
                made.remove_node(second, allow_graceful=False)

        done = collect(tmp_path / "cluster", CONFIG, EPISODES, workers, lose_a_node)
        assert len([node for node in ray.nodes() if node["Alive"]]) == 1
    with Workers(1) as workers:
        collect(tmp_path / "here", CONFIG, EPISODES, workers, lambda _: None)
    collected = digests(tmp_path / "cluster")
    assert LOST_AFTER <= len(at_loss) < EPISODES
    assert done.episodes == len(collected) == EPISODES
    assert {name: collected[name] for name in at_loss} == at_loss
    assert collected == digests(tmp_path / "here")


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:{port}", "127.0.0.1:99999999"])
def test_a_cluster_that_is_not_there_is_refused_in_a_sentence(address: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=r"no Ray cluster answers at .* host:port"):
        Workers(2, address.format(port=port))
