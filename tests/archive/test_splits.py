from pathlib import Path

import numpy as np
import pytest

from nowcast.archive.splits import merge_splits, parse_splits
from nowcast.errors import NowcastError
from nowcast.readers.hko7_day_lists import read_day_list


def days(*names: str) -> np.ndarray:
    return np.array(names, "datetime64[D]")


def test_a_day_list_needs_no_order(tmp_path: Path):
    path = tmp_path / "days.txt"
    path.write_text("20120124, 4.5\n\n20100222, 0.1\n20100105\n")
    amounts = read_day_list(path)
    assert list(amounts)[0] == np.datetime64("2012-01-24") and amounts[np.datetime64("2010-02-22")] == 0.1
    assert np.isnan(amounts[np.datetime64("2010-01-05")])


def test_a_line_that_is_no_day_is_named(tmp_path: Path):
    path = tmp_path / "days.txt"
    path.write_text("20120124, 4.5\n20121341, 4.5\n")
    with pytest.raises(NowcastError, match=r"line 2 of .*days.txt is '20121341, 4.5', expected"):
        read_day_list(path)


def test_splits_as_a_user_gives_them():
    splits = parse_splits(["train=2018-07-21,20180722", "train=2018-07-25", "test=2018-07-23..2018-07-24"])
    assert splits["train"].tolist() == days("2018-07-21", "2018-07-22", "2018-07-25").tolist()
    assert splits["test"].tolist() == days("2018-07-23", "2018-07-24").tolist()
    assert parse_splits({"train": [np.datetime64("2018-07-21")]})["train"].tolist() == days("2018-07-21").tolist()


@pytest.mark.parametrize(
    "given", ["train", "train=", "=2018-07-21", "train=21.07.2018", "train=2018-07-24..2018-07-23"]
)
def test_what_is_no_split_is_refused(given: str):
    with pytest.raises(
        NowcastError, match="is not a split, expected NAME=DAY|is not a day, expected YYYY|holds no day"
    ):
        parse_splits([given])


def test_a_day_in_two_splits_is_refused():
    with pytest.raises(NowcastError, match="2018-07-21 is in the splits train and test"):
        parse_splits(["train=2018-07-21", "test=2018-07-21"])


def test_merging_keeps_the_days_of_other_sources_and_moves_its_own():
    stored = {"train": days("2018-07-21", "2018-07-22"), "test": days("2018-07-24")}
    found = {"train": days("2018-07-30"), "test": days("2018-07-22")}
    merged = merge_splits(stored, found, days("2018-07-22", "2018-07-30"))
    assert merged["train"].tolist() == days("2018-07-21", "2018-07-30").tolist()
    assert merged["test"].tolist() == days("2018-07-22", "2018-07-24").tolist()


def test_a_source_without_lists_changes_no_split():
    stored = {"train": days("2018-07-21")}
    assert merge_splits(stored, {}, days("2018-07-21"))["train"].tolist() == stored["train"].tolist()
