"""Stratified splits are exact in size, disjoint, proportional and the same everywhere."""

import hashlib

import numpy as np
import pytest

from secondorder.data.splits import stratified_split

BALANCED = np.repeat(np.arange(10), 50)
SKEWED = np.repeat(np.arange(4), [1, 7, 30, 65])
CASES = [
    pytest.param(labels, sizes, id=f"{name}-{sizes}")
    for name, labels in (("balanced", BALANCED), ("skewed", SKEWED), ("one class", np.zeros(103, dtype=np.uint8)))
    for sizes in ((0,), (1,), (3, 5, 7), (37, 41), (103,), (50, 50, 3))
]


@pytest.mark.parametrize(("labels", "sizes"), CASES)
def test_sizes_are_exact(labels, sizes):
    assert tuple(len(part) for part in stratified_split(labels, sizes, seed=0)) == sizes


@pytest.mark.parametrize(("labels", "sizes"), CASES)
def test_parts_are_disjoint_and_ascending(labels, sizes):
    parts = stratified_split(labels, sizes, seed=0)
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert all(np.all(np.diff(part) > 0) for part in parts)


@pytest.mark.parametrize(("labels", "sizes"), CASES)
def test_each_class_has_its_share_rounded_down_or_up(labels, sizes):
    for part, size in zip(stratified_split(labels, sizes, seed=0), sizes, strict=True):
        for class_label, class_count in zip(*np.unique(labels, return_counts=True), strict=True):
            share = size * class_count / len(labels)
            assert abs(np.count_nonzero(labels[part] == class_label) - share) < 1


@pytest.mark.parametrize("trial", range(50))
def test_shares_hold_for_random_class_counts(trial):
    generator = np.random.default_rng(trial)
    labels = generator.permutation(np.repeat(np.arange(6), generator.integers(1, 20, size=6)))
    sizes = tuple(int(size) for size in generator.multinomial(len(labels), [0.3, 0.3, 0.2, 0.2]))[:3]
    parts = stratified_split(labels, sizes, seed=trial)
    counts = np.array([np.bincount(labels[part], minlength=6) for part in parts])
    shares = np.outer(sizes, np.bincount(labels, minlength=6)) / len(labels)
    assert counts.sum(axis=1).tolist() == list(sizes)
    assert np.abs(counts - shares).max() < 1


def test_the_draw_of_seed_0_is_pinned():
    parts = stratified_split(BALANCED, (400, 60), seed=0)
    digest = hashlib.sha256(b"".join(part.astype("<i8").tobytes() for part in parts)).hexdigest()
    assert digest == "07970721e1bf15285ba3f54d509cf1773028114f1f589f941bfbcb7f5a673654"


def test_another_seed_draws_another_split():
    first, second = (stratified_split(BALANCED, (100,), seed=seed)[0] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_no_labels_give_empty_parts():
    assert [len(part) for part in stratified_split(np.empty(0, dtype=np.uint8), (0, 0), seed=0)] == [0, 0]


@pytest.mark.parametrize(
    ("labels", "sizes", "message"),
    [
        (BALANCED, (400, 101), "501, more than the 500"),
        (BALANCED, (-1, 5), "negative"),
        (BALANCED.reshape(2, -1), (1,), "one-dimensional"),
    ],
)
def test_impossible_requests_are_refused(labels, sizes, message):
    with pytest.raises(ValueError, match=message):
        stratified_split(labels, sizes, seed=0)
