"""The synthetic street scenes: layout on disk, label values, alignment, determinism, errors of the command."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.street_scenes import CLASS_NAMES, write_street_scenes
from scripts.street_scenes.camera import Camera
from scripts.street_scenes.classes import TrainId, choose_classes
from scripts.street_scenes.layout import demands
from scripts.street_scenes.painter import Painter
from scripts.street_scenes.render import render_scene
from shared.errors import DataError, MachineError, UserError

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_street_scenes.py"
# The names in the order of the published list of train ids.
OFFICIAL = [
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
]  # fmt: skip


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(*args: object) -> subprocess.CompletedProcess:
    """The command, run from the root folder of the file system."""
    command = [sys.executable, str(SCRIPT), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=120, check=False)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default data set: 48 + 12 scenes of 256x128."""
    out = tmp_path_factory.mktemp("scenes") / "set"
    write_street_scenes(out, 48, 12, (128, 256), seed=0)
    return out


def pairs(out: Path, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Image (RGB) and label of each line of a list."""
    loaded = []
    for line in (out / f"{split}.txt").read_text(encoding="utf-8").splitlines():
        image, label = line.split(" ")
        loaded.append((cv2.imread(str(out / image))[..., ::-1], cv2.imread(str(out / label), cv2.IMREAD_UNCHANGED)))
    return loaded


def test_shape_layout_on_disk(scenes: Path) -> None:
    for split, count in (("train", 48), ("val", 12)):
        lines = (scenes / f"{split}.txt").read_text(encoding="utf-8").splitlines()
        assert len(lines) == count
        for line in lines:
            image, label = line.split(" ")
            found = re.fullmatch(rf"leftImg8bit/{split}/([a-z]+)/(\1_\d{{6}}_\d{{6}})_leftImg8bit\.png", image)
            assert found is not None, image
            assert label == f"gtFine/{split}/{found[1]}/{found[2]}_gtFine_labelTrainIds.png"
        for folder in ("leftImg8bit", "gtFine"):
            assert len(list((scenes / folder / split).rglob("*.png"))) == count
    assert (scenes / "classes.txt").read_text(encoding="utf-8").splitlines() == OFFICIAL
    manifest = json.loads((scenes / "street_scenes.json").read_text(encoding="utf-8"))
    assert (manifest["seed"], manifest["size_hw"], manifest["counts"]) == (0, [128, 256], {"train": 48, "val": 12})
    assert manifest["complete"] is True


def test_value_class_names_are_official() -> None:
    assert list(CLASS_NAMES) == OFFICIAL
    assert [int(TrainId[name.upper().replace(" ", "_")]) for name in OFFICIAL] == list(range(19))


def test_value_labels_and_images(scenes: Path) -> None:
    for split in ("train", "val"):
        seen = set()
        for image, label in pairs(scenes, split):
            assert image.shape == (128, 256, 3)
            assert label.shape == (128, 256)
            assert label.dtype == image.dtype == np.uint8
            assert set(np.unique(label)) <= {*range(19), 255}
            assert 0.02 < np.mean(label == 255) < 0.3
            assert image.std() > 12
            seen |= set(np.unique(label).tolist())
        assert seen >= set(range(19)), f"{split} lacks {set(range(19)) - seen}"


def test_value_every_class_has_weight_in_train(scenes: Path) -> None:
    labels = np.stack([label for _, label in pairs(scenes, "train")])
    for class_id in range(19):
        images = np.count_nonzero((labels == class_id).sum(axis=(1, 2)) >= 10)
        assert images >= 8, f"{OFFICIAL[class_id]} is seen in {images} of 48 scenes"
    share = np.bincount(labels.ravel(), minlength=256)[:19] / labels.size
    assert 0.15 < share[0] < 0.5
    assert share[[0, 2, 8, 10]].sum() > share[[5, 6, 7, 11, 12, 17, 18]].sum()


def test_value_four_scenes_in_a_row_show_all_classes() -> None:
    for start in (0, 4):
        labels = [render_scene(11, 0, index, (64, 96))[1] for index in range(start, start + 4)]
        assert set(np.unique(labels)) == {*range(19), 255}


def test_value_schedule_promises_each_rare_class() -> None:
    for start in range(12):
        turn = [demands(index) for index in range(start, start + 4)]
        assert {d.big for d in turn} >= {"bus", "truck", "train"}
        assert {d.barrier for d in turn} >= {"fence", "wall"}
        assert {d.rider for d in turn} >= {"bicycle", "motorcycle"}
        assert any(d.traffic_light for d in turn)
        assert any(d.terrain for d in turn)


def chosen(*names: str) -> frozenset[TrainId]:
    return frozenset(TrainId(OFFICIAL.index(name)) for name in names)


@pytest.mark.parametrize(
    "names",
    [
        ("road", "building", "sky"),
        ("road", "building", "sky", "sidewalk", "vegetation", "car", "person", "terrain", "bus"),
        ("road", "building", "sky", "terrain", "bicycle", "wall"),
        ("road", "building", "sky", "sidewalk", "pole", "traffic sign", "motorcycle", "rider", "train", "fence"),
    ],
)
def test_value_some_classes_and_no_others(names: tuple[str, ...]) -> None:
    """Every named class is seen within twelve scenes, no other ever is."""
    labels = np.stack([render_scene(2, 0, index, (64, 128), chosen(*names))[1] for index in range(12)])
    assert set(np.unique(labels)) == {*map(int, chosen(*names)), 255}


def test_value_a_rare_class_takes_the_turns_of_its_kin() -> None:
    turns = [demands(index, chosen("road", "truck", "fence")) for index in range(8)]
    assert {turn.big for turn in turns} == {"truck"}
    assert [turn.barrier for turn in turns] == ["fence", "fence", "", "fence"] * 2
    assert not any(turn.rider or turn.parked or turn.traffic_light or turn.terrain for turn in turns)


def test_value_left_out_objects_show_what_is_behind() -> None:
    """A scene without its trees is the scene behind the trees, in the image as in the label."""
    everything = frozenset(TrainId) - {TrainId.IGNORE}
    compared = 0
    for index in range(4):
        whole, whole_label = render_scene(5, 0, index, (128, 256))
        image, label = render_scene(5, 0, index, (128, 256), everything - {TrainId.VEGETATION})
        trees = whole_label == 8
        if not trees.any() or np.mean(label[~trees] == whole_label[~trees]) < 0.999:
            continue  # another attempt was needed, so another street is compared
        compared += 1
        shown = set(np.unique(label[trees]))
        assert 8 not in shown
        assert shown & {2, 10}  # a building or the sky stood behind
        assert np.mean(image[trees] != whole[trees]) > 0.9
        near_trees = cv2.dilate(trees.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        above_ground = np.isin(whole_label, (2, 10)) & ~near_trees  # no shadow of a tree falls here
        difference = np.abs(image[above_ground].astype(int) - whole[above_ground].astype(int))
        assert np.median(difference) <= 12
    assert compared >= 2


def test_value_ridden_machines_go_with_their_rider() -> None:
    with_rider = choose_classes(["bicycle", "rider"])
    without = choose_classes(["bicycle"])
    ridden = [render_scene(4, 0, index, (64, 128), with_rider)[1] for index in range(8)]
    parked = [render_scene(4, 0, index, (64, 128), without)[1] for index in range(8)]
    assert any((label == 12).any() for label in ridden)
    assert any((label == 18).any() for label in parked)
    assert not any((label == 12).any() for label in parked)
    assert not any((label == 17).any() for label in ridden)


def test_value_chosen_classes_on_disk(tmp_path: Path) -> None:
    write_street_scenes(tmp_path / "a", 2, 1, (32, 64), seed=0, classes=["car", "sidewalk", "car"])
    write_street_scenes(tmp_path / "b", 2, 1, (32, 64), seed=0, classes=["sidewalk", "car", "road"], workers=2)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    manifest = json.loads((tmp_path / "a" / "street_scenes.json").read_text(encoding="utf-8"))
    assert manifest["classes"] == ["road", "sidewalk", "building", "sky", "car"]
    assert (tmp_path / "a" / "classes.txt").read_text(encoding="utf-8").splitlines() == OFFICIAL
    write_street_scenes(tmp_path / "all", 1, 0, (32, 64), seed=0)
    write_street_scenes(tmp_path / "named", 1, 0, (32, 64), seed=0, classes=OFFICIAL)
    assert digests(tmp_path / "all") == digests(tmp_path / "named")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["vegitation"], "'vegitation'; did you mean 'vegetation'?"),
        (["Car"], "'Car'; did you mean 'car'?"),
        (["traffic", "light"], "'traffic'; did you mean 'traffic"),
        (["zebra crossing"], "known: road, sidewalk, building"),
        ([], "names no class"),
        (["rider", "car"], "'rider', which is never seen without bicycle or motorcycle"),
        (["traffic sign"], "'traffic sign', which is never seen without pole"),
    ],
)
def test_error_classes(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        write_street_scenes(tmp_path / "out", 1, 0, (32, 64), seed=0, classes=names)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_value_label_follows_the_image(scenes: Path) -> None:
    """Colours step where labels do, and classes sit where a street has them."""
    on_edges, beside = [], []
    for image, label in pairs(scenes, "train"):
        grey = image.astype(np.float32).mean(axis=2)
        step, inside = np.abs(np.diff(grey, axis=1)), (label[:, 1:] != 255) & (label[:, :-1] != 255)
        edge = (label[:, 1:] != label[:, :-1]) & inside
        on_edges.append(step[edge].mean())
        moved = np.zeros_like(edge)
        moved[:, 5:] = edge[:, :-5]
        beside.append(step[moved & ~edge & inside].mean())
        rows = np.arange(label.shape[0])[:, None] * np.ones_like(label)
        sky, road = label == 10, label == 0
        assert rows[sky].mean() < 50 < 80 < rows[road].mean()
        assert image[sky].mean() > image[road].mean() + 5
        greens = image[label == 8].astype(np.float32)
        assert len(greens) == 0 or greens[:, 2].mean() < greens[:, :2].max(axis=1).mean()
    assert np.mean(on_edges) > 1.6 * np.mean(beside)


def test_value_colours_of_vehicles_vary(scenes: Path) -> None:
    means = []
    for image, label in pairs(scenes, "train"):
        count, parts = cv2.connectedComponents((label == 13).astype(np.uint8))
        means += [image[parts == k].mean(axis=0) for k in range(1, count) if np.count_nonzero(parts == k) > 150]
    assert len(means) > 40
    assert (np.std(means, axis=0) > 14).all()


def test_value_same_bytes_again_and_with_workers(tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("again", 1), ("two", 2)):
        write_street_scenes(tmp_path / name, 5, 3, (48, 96), seed=7, workers=workers)
    assert digests(tmp_path / "one") == digests(tmp_path / "again") == digests(tmp_path / "two")
    write_street_scenes(tmp_path / "other", 5, 3, (48, 96), seed=8)
    assert (tmp_path / "one" / "train.txt").read_bytes() == (tmp_path / "other" / "train.txt").read_bytes()
    pngs = [digests(tmp_path / name) for name in ("one", "other")]
    assert all(pngs[0][f] != pngs[1][f] for f in pngs[0] if f.endswith("leftImg8bit.png"))


def test_value_scenes_do_not_depend_on_the_count(tmp_path: Path) -> None:
    write_street_scenes(tmp_path / "few", 2, 1, (48, 96), seed=3)
    write_street_scenes(tmp_path / "more", 6, 4, (48, 96), seed=3)
    few, more = digests(tmp_path / "few"), digests(tmp_path / "more")
    assert all(more[name] == few[name] for name in few if name.endswith(".png"))
    assert len(set(more.values())) == len(more)  # no scene twice, neither within a split nor across


@pytest.mark.parametrize("size_hw", [(32, 64), (64, 96), (101, 131), (300, 64), (40, 512), (512, 1024)])
def test_shape_any_size(size_hw: tuple[int, int]) -> None:
    image, label = render_scene(1, 0, 5, size_hw)
    assert image.shape == (*size_hw, 3)
    assert label.shape == size_hw
    assert {0, 10} <= set(np.unique(label)) <= {*range(19), 255}


def test_value_same_plan_at_other_sizes() -> None:
    small, large = (render_scene(0, 0, 1, size)[1] for size in ((128, 256), (256, 512)))
    assert np.mean(small == large[1::2, 1::2]) > 0.93


def test_value_projection_by_hand() -> None:
    camera = Camera(width=200, height=100, focal=150.0, horizon=40.0, eye_height=1.5, curvature=0.01)
    # z 10: x = 2 + 0.005 * 100 = 2.5 -> 99.5 + 15 * 2.5; y 0.5 -> 40 + 15 * (1.5 - 0.5)
    assert camera.project(np.array([[2.0, 0.5, 10.0]])).tolist() == [[137.0, 55.0]]
    first, z, s = camera.ground()
    assert first == 41
    assert z[55 - first] == pytest.approx(15.0)  # 150 * 1.5 / 15
    assert s[55 - first, 137] == pytest.approx(37.5 * 15 / 150 - 0.005 * 225, abs=1e-4)


def test_value_painter_writes_one_mask() -> None:
    painter = Painter(Camera.for_canvas((60, 80), 0.4, 1.4, 0.0))
    painter.begin(TrainId.IGNORE, 0.0)
    owner = painter.begin(TrainId.CAR, 5.0)
    colour = (10.0, 200.0, 30.0)
    painter.fill(np.array([[5.3, 4.0], [30.0, 9.7], [20.0, 40.0]]), colour, owner)
    painter.stroke(np.array([[40.0, 5.0], [70.0, 50.0]]), colour, 3.0, owner)
    painter.ball(np.array([60.0, 20.0]), (7.0, 4.0), colour, owner)
    painter.warp(np.full((4, 4, 3), colour, np.uint8), np.array([[5, 45], [20, 47], [22, 58], [-9, 55.0]]), owner)
    painter.veil(np.array([[70.0, 2.0], [78.0, 2.0], [78.0, 9.0]]), colour, 0.5, owner)
    assert np.array_equal(painter.owner == owner, painter.rgb.any(axis=2))
    assert 500 < np.count_nonzero(painter.owner) < 2000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": -1}, "-1"),
        ({"train": 0, "val": 0}, "at least one"),
        ({"size_hw": (16, 64)}, "64x16"),
        ({"size_hw": (1024, 4096)}, "4096x1024"),
        ({"seed": -5}, "-5"),
        ({"workers": 0}, "--workers"),
    ],
)
def test_error_numbers(tmp_path: Path, change: dict, words: str) -> None:
    settings = {"train": 1, "val": 1, "size_hw": (32, 64), "seed": 0, **change}
    with pytest.raises(UserError, match=re.escape(words)):
        write_street_scenes(tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_error_foreign_folder_and_force(tmp_path: Path) -> None:
    keep = tmp_path / "leftImg8bit" / "train" / "berlin" / "mine.png"
    keep.parent.mkdir(parents=True)
    keep.write_bytes(b"mine")
    with pytest.raises(DataError, match="--force"):
        write_street_scenes(tmp_path, 1, 1, (32, 64), seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["leftImg8bit"]
    write_street_scenes(tmp_path, 1, 1, (32, 64), seed=0, force=True)
    assert keep.read_bytes() == b"mine"
    assert (tmp_path / "train.txt").exists()


def test_value_own_folder_is_replaced(tmp_path: Path) -> None:
    write_street_scenes(tmp_path / "a", 3, 2, (32, 64), seed=0)
    write_street_scenes(tmp_path / "a", 1, 1, (32, 64), seed=1)
    write_street_scenes(tmp_path / "b", 1, 1, (32, 64), seed=1)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_error_out_is_a_file_or_below_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        write_street_scenes(tmp_path / "file", 1, 1, (32, 64), seed=0)
    with pytest.raises(MachineError, match="cannot write"):
        write_street_scenes(tmp_path / "file" / "below", 1, 1, (32, 64), seed=0)


def test_smoke_command_with_classes(tmp_path: Path) -> None:
    names = ("car", "pole", "traffic light")
    done = run("--out", tmp_path / "out", "--train", 2, "--val", 0, "--size", "64x32", "--classes", *names)
    assert done.returncode == 0, done.stderr
    seen = set().union(*(np.unique(label) for _, label in pairs(tmp_path / "out", "train")))
    assert {0, 10} <= seen <= {0, 2, 5, 6, 10, 13, 255}


def test_smoke_command(tmp_path: Path) -> None:
    done = run("--out", tmp_path / "größe 1", "--train", 2, "--val", 1, "--size", "64x32", "--seed", 4)
    assert done.returncode == 0, done.stderr
    assert "2 train + 1 val images of 64x32" in done.stdout
    write_street_scenes(tmp_path / "here", 2, 1, (32, 64), seed=4)
    assert digests(tmp_path / "größe 1") == digests(tmp_path / "here")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--size", "64"), "WIDTHxHEIGHT"),
        (("--size", "16x16"), "16x16"),
        (("--train", "-3"), "-3"),
        (("--classes", "road", "bycicle"), "did you mean 'bicycle'"),
        ((), "--out"),
    ],
)
def test_error_command(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    out = ("--out", tmp_path / "out") if args else ()
    done = run(*out, *args)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
