from __future__ import annotations

import json

import pytest

from shared.config.yaml_file import load_config_file, origin_of, parse_yaml
from shared.errors import ConfigError


def write(folder, **files):
    paths = {}
    for name, text in files.items():
        path = folder / f"{name}.yml"
        path.write_text(text, encoding="utf-8")
        paths[name] = str(path)
    return paths


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2e+3", -2000.0),
        (".5e-1", 0.05),
        ("1.e-2", 0.01),
        ("4.0e-5", 4e-5),
        ("0.9", 0.9),
        ("12", 12),
        ("e-4", "e-4"),
        ("1e", "1e"),
        ("1e-4x", "1e-4x"),
        ("'1e-4'", "1e-4"),
        ("true", True),
        ("Null", None),
        ("(1024, 512)", "(1024, 512)"),
    ],
)
def test_value_scalars(text, value):
    found = parse_yaml(text, "x")
    assert found == value
    assert type(found) is type(value)


def test_value_anchors_and_merge_keys_work():
    text = "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n"
    assert parse_yaml(text, "x") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", ("line 3",)),
        ("a: 1\nb: 2\na: 3\n", ("'a' is written twice, in lines 1 and 3", "line 3, column 1")),
        ("m:\n  x: 1\n  x: 1\n", ("'x' is written twice, in lines 2 and 3",)),
        ("a: b: c\n", ("line 1, column 5",)),
        ("a:\n\tb: 1\n", ("line 2, column 1",)),
        ("? [1, 2]\n: 3\n", ("line 1",)),
        ("x: !!python/object/apply:os.getcwd []\n", ("line 1", "python/object")),
        ("x: 2024-99-99\n", ("not valid YAML", "month")),
        ("x: \x01\n", ("not valid YAML",)),
    ],
)
def test_error_yaml_mistakes_name_file_and_place(tmp_path, text, parts):
    path = write(tmp_path, bad=text)["bad"]
    with pytest.raises(ConfigError) as caught:
        load_config_file(path)
    assert path in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_value_base_merges_mappings_and_replaces_the_rest(tmp_path):
    paths = write(
        tmp_path,
        base="a: {x: 1, y: {p: 1, q: 2}}\nl: [1, 2]\ns: 1\nt: 5\n",
        child="_base_: base.yml\na: {y: {q: 3}}\nl: [9]\ns: {z: 1}\n",
    )
    tree = load_config_file(paths["child"])
    assert tree.values == {"a": {"x": 1, "y": {"p": 1, "q": 3}}, "l": [9], "s": {"z": 1}, "t": 5}
    assert tree.origins == {
        "a.x": paths["base"],
        "a.y.p": paths["base"],
        "a.y.q": paths["child"],
        "l": paths["child"],
        "s.z": paths["child"],
        "t": paths["base"],
    }


def test_value_inherited_false_replaces(tmp_path):
    paths = write(
        tmp_path,
        base="a: {x: 1, y: 2}\nb: {z: 1}\n",
        child="_base_: base.yml\na: {_inherited_: False, w: 3}\n",
        alone="_base_: base.yml\n_inherited_: False\nc: 1\n",
    )
    tree = load_config_file(paths["child"])
    assert tree.values == {"a": {"w": 3}, "b": {"z": 1}}
    assert tree.origins == {"a.w": paths["child"], "b.z": paths["base"]}
    tree = load_config_file(paths["alone"])
    assert (tree.values, tree.origins) == ({"c": 1}, {"c": paths["alone"]})


def test_value_of_several_bases_the_first_wins(tmp_path):
    paths = write(
        tmp_path, one="a: 1\nm: {x: 1}\n", two="a: 2\nb: 2\nm: {x: 2, y: 2}\n", child="_base_: [one.yml, two.yml]\n"
    )
    tree = load_config_file(paths["child"])
    assert tree.values == {"a": 1, "b": 2, "m": {"x": 1, "y": 2}}
    assert tree.origins["m.x"] == paths["one"]
    assert tree.origins["m.y"] == paths["two"]


@pytest.mark.parametrize(("base", "child"), [("iters: 5", "epochs: 3"), ("learning_rate: 0.1", "lr_scheduler: {a: 1}")])
def test_value_the_nearer_spelling_replaces_the_other(tmp_path, base, child):
    paths = write(tmp_path, base=base, child=f"_base_: base.yml\n{child}", back=f"_base_: child.yml\n{base}")
    assert load_config_file(paths["child"]).values == parse_yaml(child, "")
    assert load_config_file(paths["back"]).values == parse_yaml(base, "")


def test_value_base_is_relative_to_its_own_file(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    write(tmp_path, root="a: 1\n")
    write(tmp_path / "sub", mid="_base_: ../root.yml\nb: 1\n", leaf="_base_: ./mid.yml\nc: 1\n")
    monkeypatch.chdir(tmp_path / "sub")
    tree = load_config_file("leaf.yml")
    assert tree.values == {"a": 1, "b": 1, "c": 1}
    assert tree.origins["a"] == "../root.yml"


def test_error_cycles_are_named(tmp_path):
    paths = write(tmp_path, a="_base_: b.yml\n", b="_base_: a.yml\n", me="_base_: me.yml\n")
    with pytest.raises(ConfigError, match=r"inherits from itself: a.yml -> b.yml -> a.yml"):
        load_config_file(paths["a"])
    with pytest.raises(ConfigError, match=r"me.yml -> me.yml"):
        load_config_file(paths["me"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "_base_: nothere.yml\n",
            "nothere.yml: cannot read the config file: No such file or directory; it is the _base_",
        ),
        ("_base_: 3\n", "_base_: expected a file name or a list of file names, got 3"),
        ("- 1\n- 2\n", "expected 'key: value' lines at the top level, got list"),
    ],
)
def test_error_broken_files(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        load_config_file(write(tmp_path, bad=text)["bad"])
    assert message in str(caught.value)


def test_error_missing_and_binary_file(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_config_file(str(tmp_path / "gone.yml"))
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config_file(str(tmp_path))
    (tmp_path / "latin.yml").write_bytes(b"a: \xe4\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config_file(str(tmp_path / "latin.yml"))


def test_value_origin_of_uses_the_longest_prefix():
    origins = {"a": "one", "a.b.c": "two"}
    assert [origin_of(origins, k) for k in ("a.b", "a.b.c.0.d", "x")] == ["one", "two", "default"]


@pytest.mark.parametrize(
    "name",
    ["v20_learning_rate", "v21_lr_scheduler", "list_file_dataset", "aug_eval", "mixed_loss", "piecewise"],
)
def test_value_merging_agrees_with_paddleseg(peer_configs, name):
    expected = json.loads((peer_configs / "peer.json").read_text(encoding="utf-8"))["merged"][f"{name}.yml"]
    if "lr_scheduler" in expected:  # the base's older spelling is dropped here, left lying there
        expected.pop("learning_rate", None)
    assert load_config_file(str(peer_configs / f"{name}.yml")).values == expected
