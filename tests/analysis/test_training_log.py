import json

import pytest

from mim_plugins.analysis import read_run, smooth


def write(folder, *entries, tail=""):
    file = folder / "vis_data/scalars.json"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + tail)
    return file


def train(step, loss, time=0.5):
    return dict(lr=0.1, loss=loss, time=time, epoch=1, iter=step, step=step)


def test_curves_contain_values_by_iteration_and_throughput(tmp_path):
    write(tmp_path / "run/20260101_000000", train(10, 3.0), train(20, 2.0, time=0.25))
    curves = read_run(tmp_path / "run")
    assert curves["loss"] == {10: 3.0, 20: 2.0}
    assert curves["iterations/s"] == {10: 2.0, 20: 4.0}
    assert set(curves) == {"loss", "lr", "time", "iterations/s"}


def test_a_resumed_run_replaces_repeated_iterations(tmp_path):
    first = [train(step, 1.0) for step in (10, 20, 30, 40)]
    write(tmp_path / "20260101_000000", *first)
    write(tmp_path / "20260102_000000", train(25, 2.0), train(35, 2.0))
    assert read_run(tmp_path)["loss"] == {10: 1.0, 20: 1.0, 25: 2.0, 35: 2.0}


def test_evaluations_are_assigned_to_their_iteration(tmp_path):
    evaluation = {"accuracy/top1": 50.0, "step": 1}  # the epoch
    write(tmp_path / "20260101_000000", train(10, 3.0), evaluation, train(20, 2.0))
    assert read_run(tmp_path)["accuracy/top1"] == {10: 50.0}


def test_one_start_or_one_file_can_be_read(tmp_path):
    file = write(tmp_path / "20260101_000000", train(10, 3.0))
    write(tmp_path / "20260102_000000", train(20, 2.0))
    for path in (file, file.parents[1]):
        assert read_run(path)["loss"] == {10: 3.0}


def test_a_partial_last_line_is_ignored(tmp_path):
    file = write(tmp_path / "20260101_000000", train(10, 3.0), tail='{"loss": 1')
    assert read_run(file)["loss"] == {10: 3.0}
    file.write_text('{"loss": 1\n' + json.dumps(train(10, 3.0)))
    with pytest.raises(ValueError, match="line 1 is not JSON"):
        read_run(file)


def test_paths_without_a_log_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="contains no log"):
        read_run(tmp_path)
    (tmp_path / "list.json").write_text("[1, 2]\n[3]")
    with pytest.raises(ValueError, match="not a log entry"):
        read_run(tmp_path / "list.json")


def test_smoothing_is_a_bias_corrected_average():
    assert smooth([3.0, 1.0, 2.0], 0.0) == [3.0, 1.0, 2.0]
    assert smooth([2.0] * 5, 0.9) == pytest.approx([2.0] * 5)
    # the first of two values has half the weight of the second
    assert smooth([3.0, 0.0], 0.5) == pytest.approx([3.0, 1.0])
    for weight in (-0.1, 1.0):
        with pytest.raises(ValueError, match="smooth="):
            smooth([1.0], weight)
