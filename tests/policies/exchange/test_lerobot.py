"""LeRobot's own library opens what is exported, in an environment of its own, and a step is trained from it.

LeRobot asks for an older torch and packaging than those that are tested here, so it is installed without
what it depends on, in an environment that sees ours; what its data sets need beside it comes by name.
"""

import json
import subprocess
import sys
import sysconfig

import pytest

from navstack.policies.commands.data import Export

pytest.importorskip("pyarrow")
LEROBOT = (
    "lerobot==0.4.4", "datasets==4.8.5", "huggingface-hub==0.35.3", "torchvision==0.28.0", "av==15.1.0",
    "accelerate", "draccus==0.10.0", "einops", "jsonlines", "deepdiff<9", "orderly-set", "termcolor",
    "pandas",
    "multiprocess", "dill<0.4.1", "xxhash", "pyyaml-include<2", "mergedeep", "typing-inspect", "tqdm",
    "httpx", "requests", "urllib3", "certifi", "charset-normalizer", "idna", "psutil", "toml",
)  # fmt: skip
OPEN = """
import json, sys
import torch

# torchvision's compiled part is made for the CUDA build of torch; data sets need its picture transforms only
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from lerobot.datasets.lerobot_dataset import LeRobotDataset
from navstack.policies.network import NetworkSpec, build_network

data = LeRobotDataset("navstack/flights", root=sys.argv[1])
item = data[0]
torch.manual_seed(0)
network = build_network(NetworkSpec())
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
losses = []
for _ in range(2):
    batch = next(iter(torch.utils.data.DataLoader(data, batch_size=8)))
    image = (255.0 * batch["observation.image"]).round().to(torch.uint8).permute(0, 2, 3, 1)
    dt = batch["observation.dt"].reshape(8)
    command, _ = network.sequence(image[None], dt[None], network.initial_state(1))
    loss = (command[0] - batch["action"]).square().mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    losses.append(float(loss))
print(json.dumps({
    "episodes": data.num_episodes, "frames": data.num_frames, "fps": data.fps, "task": item["task"],
    "image": [int(round(255.0 * v)) for v in item["observation.image"][:, 3, 5].tolist()],
    "action": item["action"].tolist(), "losses": losses,
    "mean": data.meta.stats["observation.image"]["mean"].ravel().tolist(),
}))
"""


@pytest.mark.slow
def test_lerobot_opens_it_and_a_step_is_trained_from_it(episodes, tmp_path):
    folder, made = episodes
    Export(folder, tmp_path / "there")()
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    (packages,) = (environment / "lib").glob("python*/site-packages")
    paths = [sysconfig.get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))]
    (packages / "ours.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in paths))
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", *LEROBOT], check=True, timeout=900)
    done = subprocess.run(
        [python, "-c", OPEN, str(tmp_path / "there")], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["episodes"], found["frames"]) == (3, sum(map(len, made)))
    assert (found["fps"], found["task"]) == (20, "FlyToTarget")
    assert found["image"] == made[0].image[0, 3, 5].tolist()
    assert found["action"] == pytest.approx(made[0].expert_command[0].tolist())
    assert found["losses"][1] < found["losses"][0]
    assert found["mean"] == pytest.approx([0.5, 0.5, 0.5], abs=0.01)
