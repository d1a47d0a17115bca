"""Windows of episodes: which frames, which labels, which time; and augmentation that suits the labels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.episodes import Episode, EpisodeFacts, episode_path, save_episode
from navstack.errors import InputError
from navstack.policies.augment import MIRRORED, Augmentation, mirror, photometric, tone_table
from navstack.policies.imitation.dataset import Expected, WindowDataset

PLAIN = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
HEIGHT, WIDTH = 6, 8


def episode(length, index, round_=0, dt=None):
    """Frame number t has the value t in its image and in its label."""
    number = np.arange(length)
    image = np.broadcast_to(number[:, None, None, None], (length, HEIGHT, WIDTH, 3)).astype(np.uint8)
    rows = np.stack([number, number, number, number], axis=1).astype(np.float32)
    zeros = np.zeros((length, 3), np.float32)
    times = np.full(length, 0.05, np.float32) if dt is None else dt
    facts = EpisodeFacts("FlyToTarget", "meadow", 0, "success", "expert", round_, index)
    return Episode(facts, image.copy(), times, rows, rows, zeros, zeros, np.zeros(length, np.float32))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for index, length in enumerate((40, 90, 5)):
        save_episode(tmp_path, episode(length, index, dt=rng.uniform(0.02, 0.2, length).astype(np.float32)))
    return tmp_path


def dataset(folder, keys=((0, 0), (0, 1), (0, 2)), frames=16, burn_in=3, augmentation=PLAIN):
    return WindowDataset(folder, list(keys), frames, burn_in, augmentation)


def windows(data, count=60):
    batch = data.batch(range(count), 7, 0, 0)
    for row in range(count):
        yield batch.image[row], batch.dt[row], batch.target[row], batch.weight[row]


def test_every_label_belongs_to_its_image(folder):
    for image, _, target, weight in windows(dataset(folder)):
        seen = weight > 0
        np.testing.assert_array_equal(image[seen, 0, 0, 0], target[seen, 0].astype(np.uint8))


def test_frames_are_in_order_and_some_are_left_out(folder):
    steps = []
    for _, _, target, weight in windows(dataset(folder)):
        numbers = target[weight > 0, 0]
        steps.extend(np.diff(numbers))
    assert min(steps) == 1.0
    assert max(steps) > 1.0


def test_time_adds_up_over_frames_that_are_left_out(folder):
    data = dataset(folder, keys=[(0, 1)])
    recorded = data.episodes[0].elapsed
    for _, dt, target, weight in windows(data):
        last = np.flatnonzero(weight)[-1]
        numbers = target[: last + 1, 0].astype(int)
        since_first = recorded[numbers[1:]] - recorded[numbers[0]]
        np.testing.assert_allclose(np.cumsum(dt[1 : last + 1]), since_first, atol=1e-5)


def test_burn_in_counts_only_where_the_state_is_not_truly_zero(folder):
    starts = set()
    for _, _, target, weight in windows(dataset(folder, keys=[(0, 1)])):
        at_start = target[0, 0] == 0.0
        starts.add(bool(at_start))
        assert list(weight[:4]) == ([1, 1, 1, 1] if at_start else [0, 0, 0, 1])
    assert starts == {True, False}


def test_an_episode_shorter_than_a_window_is_padded_with_frames_that_do_not_count(folder):
    for _, dt, _, weight in windows(dataset(folder, keys=[(0, 2)]), 20):
        assert weight[5:].sum() == 0.0
        assert (dt > 0.0).all()


def test_long_flights_are_drawn_by_duration(tmp_path):
    save_episode(tmp_path, episode(100, 0, dt=np.full(100, 0.025, np.float32)))  # 2.5 s at 40 Hz
    save_episode(tmp_path, episode(75, 1, dt=np.full(75, 0.1, np.float32)))  # 7.5 s at 10 Hz
    data = dataset(tmp_path, keys=[(0, 0), (0, 1)])
    batch = data.batch(range(400), 0, 0, 0)
    slow = (batch.dt[:, 1] > 0.09).mean()
    assert 0.65 < slow < 0.85


@given(
    seed=st.integers(0, 2**31), round_=st.integers(0, 9), step=st.integers(0, 10**6), split=st.integers(1, 5)
)
@settings(max_examples=15, deadline=None)
def test_a_row_depends_on_seed_round_step_and_row_alone(tmp_path_factory, seed, round_, step, split):
    folder = tmp_path_factory.mktemp("rows")
    save_episode(folder, episode(60, 0))
    data = dataset(folder, keys=[(0, 0)], augmentation=Augmentation())
    whole = data.batch(range(6), seed, round_, step)
    part = data.batch(range(6)[split:], seed, round_, step)
    np.testing.assert_array_equal(whole.image[split:], part.image)
    np.testing.assert_array_equal(whole.dt[split:], part.dt)
    np.testing.assert_array_equal(whole.target[split:], part.target)


def test_other_steps_give_other_windows(folder):
    data = dataset(folder)
    first, second = (data.batch(range(8), 0, 0, step) for step in (0, 1))
    assert not np.array_equal(first.target, second.target)


def test_episodes_that_were_not_named_are_not_read(folder):
    save_episode(folder, episode(30, 0, round_=5))
    assert dataset(folder).frame_count == 40 + 90 + 5


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_a_missing_or_broken_episode_is_named(folder, damage):
    path = episode_path(folder, 0, 1)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match="r00_00001"):
        dataset(folder)


def test_no_episodes_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no episodes to learn from"):
        dataset(tmp_path, keys=[])


def test_a_mirror_swaps_left_and_right_in_image_and_command():
    image = np.zeros((2, HEIGHT, WIDTH, 3), np.uint8)
    image[:, 2, 1] = 200
    commands = np.array([[1.0, 0.5, -0.2, 0.8], [1.0, -0.5, 0.2, -0.8]], np.float32)
    seen, labels = mirror(image, commands)
    assert (seen[:, 2, WIDTH - 2] == 200).all()
    assert (seen[:, 2, 1] == 0).all()
    np.testing.assert_array_equal(labels, commands * [1, -1, 1, -1])
    np.testing.assert_array_equal(mirror(seen, labels)[0], image)
    np.testing.assert_array_equal(MIRRORED * MIRRORED, np.ones(4))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_saturated_red_stays_red(seed):
    table = tone_table(Augmentation(), np.random.default_rng(seed))[0]
    red, green, blue = (int(table[value, channel]) for channel, value in enumerate((200, 20, 20)))
    assert red > green + 40
    assert red > blue + 40


def test_no_augmentation_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), dtype=np.uint8)
    np.testing.assert_array_equal(photometric(image, PLAIN, np.random.default_rng(1)), image)


def test_augmentation_leaves_its_input_alone_and_keeps_the_exposure_of_a_window():
    image = np.full((4, 64, 96, 3), 100, np.uint8)
    settings_ = Augmentation(noise=0.0, blur=0.0, cutout=0.0)
    changed = photometric(image, settings_, np.random.default_rng(3))
    assert (image == 100).all()
    assert (changed == changed[0]).all()
    assert not (changed == image).all()


def test_noise_is_centred_and_differs_from_frame_to_frame():
    image = np.full((16, 64, 96, 3), 128, np.uint8)
    only_noise = Augmentation(0, 0, 0, 0, 0, 0, noise=8.0, blur=0.0, cutout=0.0)
    changed = photometric(image, only_noise, np.random.default_rng(0)).astype(float)
    assert abs(changed.mean() - 128.0) < 0.5
    assert not (changed[0] == changed[1]).all()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("expert_command", np.nan, r"r00_00000\.safetensors: 'expert_command' is \[.*nan.*\] at frame 7"),
        ("dt", np.inf, r"r00_00000\.safetensors: 'dt' is inf at frame 7"),
        ("dt", 0.0, r"'dt' is 0\.0 at frame 7; expected a finite, positive time"),
    ],
)
def test_a_number_that_nothing_can_be_learned_from_is_named(tmp_path, field, value, sentence):
    spoiled = episode(20, 0)
    array = getattr(spoiled, field).copy()
    array[7] = value
    save_episode(tmp_path, replace(spoiled, **{field: array}))
    with pytest.raises(InputError, match=sentence):
        dataset(tmp_path, keys=[(0, 0)])


@pytest.mark.parametrize(
    ("expected", "sentence"),
    [
        (Expected("Search", HEIGHT, WIDTH, 0.01, 0.3), "task FlyToTarget, not of Search"),
        (
            Expected("FlyToTarget", 64, 96, 0.01, 0.3),
            r"images are \(6, 8, 3\); the network sees \(64, 96, 3\)",
        ),
        (Expected("FlyToTarget", HEIGHT, WIDTH, 0.1, 0.3), "20 frames a second; .* made for 3.33 to 10"),
    ],
)
def test_episodes_of_another_task_shape_or_rate_are_refused(tmp_path, expected, sentence):
    save_episode(tmp_path, episode(20, 0))
    with pytest.raises(InputError, match=sentence):
        WindowDataset(tmp_path, [(0, 0)], 8, 2, PLAIN, expected)
    WindowDataset(tmp_path, [(0, 0)], 8, 2, PLAIN, Expected("FlyToTarget", HEIGHT, WIDTH, 0.01, 0.3))
