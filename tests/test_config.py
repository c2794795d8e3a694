"""Experiment files: every shipped one builds; a mistake is told with its key's full path."""

from pathlib import Path

import pytest
import yaml

from nowcast.config import ConvGRUConfig, ConvLSTMConfig, Experiment, TrainingConfig
from nowcast.errors import NowcastError
from nowcast.experiment_file import read_experiment
from nowcast.shipped_configs import shipped_config, shipped_configs

CONFIGS_FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(CONFIGS_FOLDER.rglob("*.yaml"))


def write(folder: Path, text: str, name: str = "experiment.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_experiments_parse_and_build(path: Path) -> None:
    import torch

    from nowcast.models import build_model

    experiment = read_experiment(path)
    with torch.device("meta"):
        build_model(experiment.model)
    assert Experiment.model_validate(yaml.safe_load(yaml.safe_dump(experiment.plain()))) == experiment


def test_the_paper_protocol() -> None:
    plain = read_experiment(shipped_config("hko7/convgru.yaml"))
    assert (plain.data.rows, plain.data.columns) == ((164, 284), (175, 295))
    assert [plain.training.rate_at(step) for step in (0, 4999, 5000, 19999)] == pytest.approx(
        [1e-4, 1e-4, 7e-5, 1e-4 * 0.7**3]
    )
    tuned = read_experiment(shipped_config("hko7/finetune.yaml"))
    assert tuned.training.rate_at(1999) == pytest.approx(1e-4 * 0.7**4)
    assert tuned.model.memel is None and tuned.start_from is not None
    memel = read_experiment(shipped_config("hko7/convgru-memel.yaml"))
    assert memel.model.memel is not None and memel.model.memel.placement == ("candidate",)
    assert memel.training == plain.training


def test_extends_changes_only_what_differs(tmp_path: Path) -> None:
    write(tmp_path, "name: base\ntraining: {steps: 5, batch_size: 3}\nmodel: {memel: {neurons: 2}}", "base.yaml")
    child = write(tmp_path, "extends: base.yaml\nname: child\ntraining: {steps: 7}\nmodel: {memel: null}")
    experiment = read_experiment(child)
    assert experiment.training == TrainingConfig(steps=7, batch_size=3)
    assert experiment.model.memel is None and experiment.name == "child"


def test_a_file_without_a_network_describes_a_convgru(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nmodel: {negative_slope: 0.1}")
    assert read_experiment(path).model == ConvGRUConfig(negative_slope=0.1)
    other = read_experiment(path, ["model.network=convlstm", "model.peephole=false"])
    assert other.model == ConvLSTMConfig(network="convlstm", negative_slope=0.1, peephole=False)
    assert Experiment.model_validate(yaml.safe_load(yaml.safe_dump(other.plain()))) == other


def test_overrides_are_yaml_values(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x")
    experiment = read_experiment(path, ["training.steps=12", "data.rows=[0, 9]", "model.memel={neurons: 5}", "seed=3"])
    assert experiment.training.steps == 12 and experiment.data.rows == (0, 9) and experiment.seed == 3
    assert experiment.model.memel is not None and experiment.model.memel.neurons == 5
    assert read_experiment(path, {"training.steps": 12}).training.steps == 12


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: x\ntraning: {}", "traning is not a key of an experiment; did you mean training?"),
        ("name: x\ntraining: {step: 3}", "training.step is not a key of an experiment; did you mean steps?"),
        (
            "name: x\nmodel: {memel: {strenth: 3}}",
            "model.memel.strenth is not a key of an experiment; did you mean strength?",
        ),
        ("name: x\ntraining: {batch_size: 0}", "training.batch_size is 0, expected a whole number from 1 to 65536"),
        ("name: x\ntraining: {precision: fp8}", "training.precision is 'fp8', expected fp32 or bf16"),
        ("name: x\ndata: {rows: [9, 3]}", "data.rows: [9, 3] is not a span of pixels"),
        (
            "name: x\nmodel: {memel: {placement: [hiden]}}",
            "model.memel.placement.0 is 'hiden', expected candidate, hidden",
        ),
        ("name: x\nmodel: {network: unet}", "model.network is 'unet', expected convgru or convlstm"),
        ("name: x\nmodel: 3", "model is 3, expected keys and values (network, levels"),
        ("name: x\nmodel: {peephole: true}", "model.peephole is not a key of an experiment; known here: network"),
        (
            "name: x\nmodel: {network: convlstm, peepholes: true}",
            "model.peepholes is not a key of an experiment; did you mean peephole?",
        ),
        (
            "name: x\nmodel: {network: convlstm, memel: {placement: [reset]}}",
            "model.memel: placement reset is not a place in a ConvLSTM; expected candidate, hidden, cell, input,",
        ),
        (
            "name: x\nmodel: {memel: {placement: [candidate, output]}}",
            "model.memel: placement output is not a place in a ConvGRU; expected candidate, hidden, update or reset",
        ),
        ("name: x\nmodel: {memel: {placement: [hidden, hidden]}}", "must name at least one place, each once"),
        ("name: x\ndata: {observed: 2, forecast: 2, max_missing: 4}", "data.max_missing 4 allows a clip"),
        ("name: x\nstart_at: best", "start_at is best but start_from names no run"),
        ("name: x\nmodel: {levels: []}", "model.levels"),
        ("seed: 1", "name is missing, expected a name of letters, digits"),
        ("name: ../x", "name is '../x', expected a name of letters, digits"),
        ("name: off", "name is false, expected a name of letters, digits"),
        ("name: x\nseed: yes", "seed is true, expected a whole number from 0"),
        ("name: x\ndata: {rows: [true, 9]}", "data.rows is [true, 9], expected a list of 2: a whole number each"),
        ("name: x\ndata: {rows: [9]}", "data.rows.1 is missing, expected a whole number"),
        ("name: x\ndata: [1, 2]", "data is [1, 2], expected keys and values (archive, observed"),
        ("name: x\ndata:", "data is null, expected keys and values (archive, observed"),
        ("name: x\nmodel: {memel: {placement: hidden}}", "model.memel.placement is 'hidden', expected a list, each"),
        ("name: x\nmodel: {levels: 3}", "model.levels is 3, expected a list, each of it keys and values (features"),
        ("name: x\nmodel: {levels: [{}]}", "model.levels.0.kernel is missing, expected a whole number of at least 1"),
        ("name: x\ntraining: {learning_rate: fast}", "training.learning_rate is 'fast', expected a number above 0"),
        ("name: x\nseed: 1\nseed: 2", "the key seed stands twice, in lines 2 and 3"),
        ("name: x\ntraining: {steps: 1, steps: 2}", "the key steps stands twice"),
        ("", "holds nothing"),
        ("- 1", "holds list"),
        ("name: [", "is not valid YAML"),
        ("extends: nothing.yaml\nname: x", "nothing.yaml, which does not exist"),
        ("extends: experiment.yaml\nname: x", "extends itself"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(NowcastError) as error:
        read_experiment(path)
    assert complaint in str(error.value) and "experiment" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "level",
    [
        "{features: 1, kernel: 4, stride: 1, hidden: 1, upsample_features: 1, upsample_kernel: 3}",
        "{features: 1, kernel: 2, stride: 3, hidden: 1, upsample_features: 1, upsample_kernel: 3}",
        "{features: 1, kernel: 3, stride: 2, hidden: 1, upsample_features: 1, upsample_kernel: 3}",
        "{features: 1, kernel: 3, stride: 1, hidden: 1, upsample_features: 1, upsample_kernel: 3, state_kernel: 2}",
    ],
)
def test_impossible_levels_are_refused(tmp_path: Path, level: str) -> None:
    with pytest.raises(NowcastError, match=r"model\.levels\.0"):
        read_experiment(write(tmp_path, f"name: x\nmodel: {{levels: [{level}]}}"))


def test_a_missing_parent_is_named_with_its_child(tmp_path: Path) -> None:
    write(tmp_path, "extends: lost.yaml", "middle.yaml")
    with pytest.raises(NowcastError, match=r"middle\.yaml extends .*lost\.yaml, which does not exist"):
        read_experiment(write(tmp_path, "extends: middle.yaml\nname: x"))


def test_members_of_lists_can_be_changed(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nmodel: {memel: {placement: [hidden, candidate]}}")
    changed = read_experiment(path, ["model.levels.1.hidden=7", "model.memel.placement.0=update"])
    assert [level.hidden for level in changed.model.levels] == [64, 7, 192]
    assert changed.model.memel is not None and changed.model.memel.placement == ("update", "candidate")


@pytest.mark.parametrize(
    ("text", "override", "complaint"),
    [
        ("name: x", "model.levels.3.hidden=7", "it leads into a list, where 3 is not a place; expected 0 to 2"),
        ("name: x", "model.levels.one.hidden=7", "model.levels is {"),
        ("name: x\nmodel: {levels: [{}]}", "model.levels.one.hidden=7", "where one is not a place"),
        ("name: x\ndata: [1, 2]", "data.archive=here", "data.archive cannot be set"),
        ("name: x\nseed: 3", "seed.a=here", "seed.a cannot be set: seed is 3, expected keys and values"),
        ("name: x", "training.steps={a: 1, a: 2}", "is not a YAML value"),
    ],
)
def test_overrides_that_lead_nowhere_are_told(tmp_path: Path, text: str, override: str, complaint: str) -> None:
    with pytest.raises(NowcastError) as error:
        read_experiment(write(tmp_path, text), [override])
    assert complaint in str(error.value)


def test_a_shipped_experiment_is_read_by_its_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_experiment("hko7/convgru-memel") == read_experiment(shipped_config("hko7/convgru-memel.yaml"))
    monkeypatch.chdir(tmp_path)
    assert read_experiment("demo").name == "pretrained"
    write(tmp_path, "name: mine", "demo")  # a file of that name comes first
    assert read_experiment("demo").name == "mine"
    with pytest.raises(NowcastError, match="did you mean hko7/convgru-memel?"):
        shipped_config("hko7/convgru-mamel")


def test_every_shipped_experiment_says_what_it_is() -> None:
    assert set(shipped_configs()) == {str(path.relative_to(CONFIGS_FOLDER).with_suffix("")) for path in CONFIGS}
    assert all(10 < len(meaning) < 160 for meaning in shipped_configs().values()), shipped_configs()


@pytest.mark.parametrize("text", ["training.steps", "=3"])
def test_a_malformed_override_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(NowcastError, match="key=value"):
        read_experiment(write(tmp_path, "name: x"), [text])


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NowcastError, match="does not exist"):
        read_experiment(tmp_path / "none.yaml")


def test_rates_of_a_warm_cosine() -> None:
    training = TrainingConfig(steps=130, learning_rate=1e-3, schedule="cosine", warm_up=30, final_rate=0.02)
    assert [training.rate_at(step) for step in (0, 14, 29)] == pytest.approx([1e-3 / 30, 5e-4, 1e-3])
    assert training.rate_at(80) == pytest.approx(1e-3 * (1 + 0.02) / 2)
    assert training.rate_at(130) == pytest.approx(2e-5)
    falling = [training.rate_at(step) for step in range(30, 130)]
    assert falling == sorted(falling, reverse=True)
    stepped = TrainingConfig(steps=100, learning_rate=1e-3, warm_up=10, decay_every=50, decay_factor=0.5)
    assert [stepped.rate_at(step) for step in (4, 20, 60)] == pytest.approx([5e-4, 1e-3, 5e-4])


def test_places_are_chosen_for_crops() -> None:
    with pytest.raises(ValueError, match="wettest_of 3 chooses among places for a crop"):
        TrainingConfig(wettest_of=3)
