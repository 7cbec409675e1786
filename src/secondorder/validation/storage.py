"""Tables of the curvature stage as files."""

from pathlib import Path

import pandas as pd

from secondorder.data.dataset import Dataset
from secondorder.files import atomic_path


def write_frame(frame: pd.DataFrame, dataset: Dataset, target: Path) -> None:
    """Write a table as Parquet, whole or not at all, with the column ``data_verified`` behind its own.

    Args:
        frame: The table.
        dataset: The data it was made with.
        target: The file.
    """
    with atomic_path(target) as temporary:
        frame.assign(data_verified=dataset.provenance.verified).to_parquet(temporary, index=False)
