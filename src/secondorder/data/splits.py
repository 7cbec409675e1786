"""Stratified splits: disjoint subsets that hold every class in the same proportion."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stratified_split(labels: NDArray[np.integer], sizes: Sequence[int], seed: int) -> tuple[NDArray[np.int64], ...]:
    """Draw disjoint subsets of exact sizes, each with the class proportions of the whole.

    The number of a class's items in a subset is its exact share, ``size * class_count / len(labels)``, rounded down or
    up. Which items they are is decided by the raw output of PCG64, whose stream numpy guarantees between its versions
    (it does not guarantee that of ``Generator.permutation``), so that a seed means the same split everywhere.

    Args:
        labels: The class of each item, one-dimensional.
        sizes: The number of items in each subset; their sum may be less than ``len(labels)``.
        seed: The seed of the draw.

    Returns:
        For each size an ascending array of positions in ``labels``.

    Raises:
        ValueError: A size is negative, or the sizes exceed the number of labels, or ``labels`` is not one-dimensional.
    """
    if labels.ndim != 1:
        raise ValueError(f"labels must be one-dimensional, not of shape {labels.shape}")
    if any(size < 0 for size in sizes):
        raise ValueError(f"sizes must not be negative: {tuple(sizes)}")
    if sum(sizes) > len(labels):
        raise ValueError(f"the sizes {tuple(sizes)} sum to {sum(sizes)}, more than the {len(labels)} labels")
    if len(labels) == 0:
        return tuple(np.empty(0, dtype=np.int64) for _ in sizes)

    keys = np.asarray(np.random.PCG64(seed).random_raw(len(labels)))
    classes, class_counts = np.unique(labels, return_counts=True)
    counts = _rounded_shares([*sizes, len(labels) - sum(sizes)], [int(count) for count in class_counts])
    parts: list[list[NDArray[np.int64]]] = [[] for _ in sizes]
    for column, class_label in enumerate(classes):
        members = np.flatnonzero(labels == class_label)
        members = members[np.argsort(keys[members], kind="stable")]
        start = 0
        for part, row in zip(parts, counts, strict=False):
            part.append(members[start : start + row[column]])
            start += row[column]
    return tuple(np.sort(np.concatenate(part)) for part in parts)


def _rounded_shares(row_sums: list[int], column_sums: list[int]) -> list[list[int]]:
    """Round the table ``row_sum * column_sum / total`` to integers, each down or up, keeping every margin.

    Such a rounding always exists, because the flow that it describes has integer capacities. The units that rounding
    everything down leaves over are placed one at a time along augmenting paths.
    """
    total = sum(row_sums)
    table = [[row * column // total for column in column_sums] for row in row_sums]
    may_round_up = [[row * column % total != 0 for column in column_sums] for row in row_sums]
    rounded_up: list[set[int]] = [set() for _ in row_sums]
    column_room = [column_sum - sum(row[column] for row in table) for column, column_sum in enumerate(column_sums)]

    def place(row: int, visited: set[int]) -> bool:
        for column in range(len(column_sums)):
            if column in visited or column in rounded_up[row] or not may_round_up[row][column]:
                continue
            visited.add(column)
            if column_room[column] > 0:
                column_room[column] -= 1
                rounded_up[row].add(column)
                return True
            for other in range(len(row_sums)):
                if other != row and column in rounded_up[other] and place(other, visited):
                    rounded_up[other].remove(column)
                    rounded_up[row].add(column)
                    return True
        return False

    for row, row_sum in enumerate(row_sums):
        for _ in range(row_sum - sum(table[row])):
            if not place(row, set()):
                raise AssertionError("a rounding that keeps the margins exists for every table")
    return [
        [value + (column in rounded_up[row]) for column, value in enumerate(values)] for row, values in enumerate(table)
    ]
