"""Wirings as files and pictures: what was written is read, a connectome of one's own becomes a policy."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from navstack.errors import InputError
from navstack.policies.cores import build_core, cfc_preset
from navstack.policies.network import NetworkSpec, build_network
from navstack.policies.network_list import draw_network, network_rows
from navstack.policies.wiring import Wiring, auto_ncp, ncp, random_sparse
from navstack.policies.wiring_file import read_wiring, wiring_to_json, write_wiring

SMALL = {"format": 1, "name": "worm", "inputs": 2, "layers": [2, 1, 1], "motors": 1,
         "sensory": [[0, 0, 1], [1, 1, -1]],
         "internal": [[0, 2, 1], [1, 2, 1], [2, 2, -1], [2, 3, 1]]}  # fmt: skip


@given(inputs=st.integers(1, 8), units=st.integers(6, 30), seed=st.integers(0, 99), layered=st.booleans())
def test_what_was_written_is_read(tmp_path_factory, inputs, units, seed, layered):
    draw = auto_ncp if layered else random_sparse
    wiring, path = draw(inputs, units, 2, 0.5, seed), tmp_path_factory.mktemp("wiring") / "wiring.json"
    write_wiring(wiring, path)
    again = read_wiring(path)
    assert (again.sensory == wiring.sensory).all()
    assert (again.internal == wiring.internal).all()
    assert (again.layers, again.outputs, again.name) == (wiring.layers, wiring.outputs, wiring.name)
    assert wiring_to_json(again) == wiring_to_json(wiring)


def test_a_connectome_of_ones_own_becomes_a_policy(tmp_path):
    path = tmp_path / "mine.json"
    drawn = cfc_preset(48).wiring
    mirrored = Wiring(-drawn.sensory, -drawn.internal, drawn.layers, "mirrored worm")
    write_wiring(mirrored, path)
    torch.manual_seed(0)
    network = build_network(NetworkSpec(preset=str(path)))
    assert network.core.wiring.name == "mirrored worm"
    assert network.core.connectivity == "strict"
    command, _ = network.step(torch.zeros(1, 64, 96, 3, dtype=torch.uint8), torch.full((1, 1), 0.05),
                              network.initial_state(1))  # fmt: skip
    assert command.shape == (1, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": []}, "'layers' must list the neurons"),
        ({"layers": [2, 0, 1]}, "number of neurons must be a whole number from 1 to 100000, not 0"),
        ({"inputs": "2"}, "'inputs' must be a whole number from 1 to 100000, not '2'"),
        ({"motors": 2}, "motor neurons must be 1 to 1"),
        ({"format": 2}, "the format is 2; this version reads 1"),
        ({"senory": []}, "unknown field 'senory'; did you mean 'sensory'"),
        ({"sensory": [[0, 0]]}, r"sensory synapse 0 is \[0, 0\]; it must be"),
        ({"sensory": [[0, 0, 2]]}, "it must be .source, destination, 1 or -1."),
        ({"sensory": [[2, 0, 1]]}, "leads from 2 to 0; sources are 0 to 1"),
        ({"sensory": [[0, 2, 1]]}, "inputs may reach only the first layer"),
        ({"internal": [[0, 2, 1], [0, 2, -1]]}, "internal synapse 1, from 0 to 2, is there twice"),
        ({"internal": [[0, 3, 1]]}, "neurons of layer 2 may hear only their own layer"),
        ({"internal": {}}, "'internal' must list synapses"),
    ],
)
def test_faults_are_named_with_the_file(tmp_path, change, message):
    path = tmp_path / "worm.json"
    path.write_text(json.dumps({**SMALL, **change}))
    with pytest.raises(InputError, match=rf"worm\.json: .*{message}"):
        read_wiring(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not a wiring file"), ("[1]", "holds a JSON object, not a list"), ("{}", "no field 'format'")],
)
def test_what_is_no_wiring_file_is_refused(tmp_path, text, message):
    (tmp_path / "worm.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_wiring(tmp_path / "worm.json")
    with pytest.raises(InputError, match="there is no such wiring file"):
        read_wiring(tmp_path / "none.json")


def test_a_wiring_that_no_policy_can_have_is_refused(tmp_path):
    path = tmp_path / "worm.json"
    path.write_text(json.dumps(SMALL))
    with pytest.raises(InputError, match="1 motor neurons; a policy needs 4: forward, left, up and yaw rate"):
        build_core(str(path), 2)
    write_wiring(auto_ncp(48, 40, 4), path)
    with pytest.raises(
        InputError, match="effective parameters with 48 inputs; it must have 18,000 to 22,000"
    ):
        build_core(str(path), 48)
    write_wiring(cfc_preset(64).wiring, path)
    with pytest.raises(InputError, match="has 64 inputs, but the cell gets 48"):
        build_core(str(path), 48)
    with pytest.raises(InputError, match=r"did you mean 'cfc-strict'.*or the path of a wiring file"):
        build_core("cfc-strikt", 48)


def test_a_fan_wider_than_its_layer_is_refused():
    with pytest.raises(InputError, match="inter_fanout is 9 but there are only 8 command neurons"):
        ncp(8, 12, 8, 4, sensory_fanout=3, inter_fanout=9, recurrent_command_synapses=8, motor_fanin=3)


def test_wirings_are_drawn_and_written(tmp_path, capsys):
    path = tmp_path / "small.json"
    write_wiring(
        ncp(4, 6, 5, 4, sensory_fanout=2, inter_fanout=2, recurrent_command_synapses=4, motor_fanin=2), path
    )
    assert draw_network(str(path), tmp_path / "small.png") == 0
    picture = (tmp_path / "small.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000
    assert draw_network("cfc-ncps", tmp_path / "ncps.json") == 0
    assert np.array_equal(
        read_wiring(tmp_path / "ncps.json").internal, cfc_preset(48, "ncps").wiring.internal
    )
    assert "48 inputs, 73 neurons, 1635 synapses" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "out", "message"),
    [
        ("cfc-strict", None, "--draw needs --out"),
        ("cfc-strict", "wiring.gif", "ends in .png"),
        ("lstm", "wiring.png", "network 'lstm' follows no wiring; these do: cfc-strict"),
        ("nowhere.json", "wiring.png", "there is no such wiring file"),
        ("cfc-strict", "none/wiring.png", "make it first"),
    ],
)
def test_a_drawing_that_cannot_be_is_refused(tmp_path, name, out, message):
    with pytest.raises(InputError, match=message):
        draw_network(name, None if out is None else tmp_path / out)
    assert not list(tmp_path.iterdir())


def test_the_list_counts_every_network():
    rows = {row["network"]: row for row in network_rows()}
    assert rows["cfc-strict"]["effective_parameters"] == 20_244
    assert rows["cfc-strict"]["neurons"] == 149
    assert all(18_000 <= row["effective_parameters"] <= 22_000 for row in rows.values())
    assert rows["mlp"]["state_size"] == 1


def test_the_command_answers_in_one_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "navstack", "networks", "--draw", "gru", "--out", "x.png"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'gru' follows no wiring" in done.stderr
