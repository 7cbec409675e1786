"""The configuration's models: every key, its type, unit and bounds, and the reason for it.

``docs/configuration.md`` and ``workflow/schemas/configuration.schema.json`` are generated from these models.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from secondorder.training.schedules import ScheduleName

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
SettingValues = dict[str, bool | int | float | str]
LARGEST_SEED = 2**31 - 1
"""Metrics files keep the seed in 32 bits."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, no value changes its type, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class DataSection(Section):
    """Where data comes from."""

    folder: str | None = Field(
        None,
        description="Folder that is looked at before anything is downloaded, so that a machine without network works "
        "by dropping files in. The environment variable SECONDORDER_DATA names it when this key does not.",
    )
    allow_unverified: bool = Field(
        False,
        description="Take files from the folder although their checksums differ from the published ones. Every "
        "manifest, figure and table and the report then say so.",
    )


class StatisticsSection(Section):
    """How seeds are summarised."""

    confidence: float = Field(0.95, gt=0, lt=1, description="Level of every confidence interval.")
    resamples: int = Field(9999, ge=99, description="Bootstrap resamples.")


class ScheduleSection(Section):
    """Learning-rate schedule, over the share of the budget that is spent."""

    kind: ScheduleName = Field("constant", description="`constant`, `cosine` (to 0) or `step`.")
    milestones: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.5, 0.75], description="Shares of the budget at which `step` drops."
    )
    gamma: float = Field(0.1, gt=0, le=1, description="Factor of each drop of `step`.")


class RunSection(Section):
    """A run: an optimizer with its settings, under a name that results and figures use."""

    optimizer: Name = Field(description="Module under `secondorder.optim`.")
    label: str | None = Field(None, description="Name in figures; the run's own name when absent.")
    batch_size: int | None = Field(None, ge=1, description="Samples in a mini-batch; the problem's when absent.")
    schedule: ScheduleSection = Field(ScheduleSection(), description="Learning-rate schedule.")
    settings: SettingValues = Field({}, description="The optimizer's settings, listed below by optimizer.")


class OverrideSection(Section):
    """What one problem changes in one run."""

    batch_size: int | None = Field(None, ge=1, description="Replaces the run's batch size.")
    schedule: ScheduleSection | None = Field(None, description="Replaces the run's schedule.")
    settings: SettingValues = Field({}, description="Replace the settings of the same names.")


class ProblemSection(Section):
    """A problem: network and loss on a dataset, with the budget that each run gets on it."""

    module: Name | None = Field(
        None, description="Module under `secondorder.problems`; the problem's own name when absent."
    )
    dataset: Name | None = Field(None, description="Dataset; the first that the module lists when absent.")
    batch_size: int = Field(
        ge=1, description="Samples in a mini-batch, and in one gradient-equivalent, the unit of work."
    )
    budget_epochs: float = Field(
        gt=0,
        description="Budget of gradient-equivalents that every run gets, written as the number of epochs it pays for "
        "at one gradient per sample.",
    )
    target_accuracy: float = Field(
        gt=0, lt=1, description="Validation accuracy (a share) whose first crossing is the time to target."
    )
    settings: SettingValues = Field({}, description="The problem's settings, listed below by problem.")
    runs: list[Name] | None = Field(None, min_length=1, description="Runs to train; all of them when absent.")
    overrides: dict[Name, OverrideSection] = Field({}, description="What this problem changes in single runs.")


class FigureSection(Section):
    """A figure, under the name of its module in `secondorder.plotting`."""

    reads: list[Name] = Field(min_length=1, description="Aggregated tables that it reads.")
    per_problem: bool = Field(False, description="Draw one for each problem, named `<figure>_<problem>`.")


class TableSection(Section):
    """A table, under the name of its module in `secondorder.tables`."""

    reads: list[Name] = Field(min_length=1, description="Aggregated tables that it reads.")


class Configuration(Section):
    """The whole configuration of one tier."""

    tier: Name = Field(description="Name of the tier; results, figures and tables lie apart by it.")
    based_on: Name | None = Field(
        None, description="Tier whose file supplies what this configuration leaves out; the tier itself when absent."
    )
    seeds: int | list[int] = Field(
        description="Number of seeds (then 0, 1, 2, …), or their list. Each decides a run's initialisation and data "
        "order."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to train; `auto` takes CUDA when there is any."
    )
    threads: int = Field(
        1, ge=1, description="CPU threads of each training job; the rounding of results depends on it."
    )
    exclusive: bool = Field(
        False,
        description="Train one run at a time, so that seconds are comparable. Otherwise runs share the cores, and "
        "seconds are those of a shared machine.",
    )
    log_every: int = Field(
        1,
        ge=1,
        description="Steps between two readings of losses and clock from the device; every step's loss is kept.",
    )
    data: DataSection = Field(DataSection(), description="Where data comes from.")
    statistics: StatisticsSection = Field(StatisticsSection(), description="How seeds are summarised.")
    runs: dict[Name, RunSection] = Field(min_length=1, description="All runs by name, in the order figures show them.")
    problems: dict[Name, ProblemSection] = Field(min_length=1, description="The problems of this tier by name.")
    figures: dict[Name, FigureSection] = Field({}, description="Figures to draw, in the order of the report.")
    tables: dict[Name, TableSection] = Field({}, description="Tables to write, in the order of the report.")

    @field_validator("tier")
    @classmethod
    def _check_tier(cls, tier: str) -> str:
        if tier == "data":
            raise PydanticCustomError("tier", "is where prepared data of all tiers lies; choose another name")
        return tier

    @field_validator("seeds", mode="before")
    @classmethod
    def _check_seeds(cls, seeds: Any) -> Any:
        listed = seeds if isinstance(seeds, list) else [seeds]
        if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in listed):
            raise PydanticCustomError("seeds", "must be a number of seeds or a list of whole numbers")
        if isinstance(seeds, int) and not 1 <= seeds <= 1000:
            raise PydanticCustomError("seeds", "a number of seeds must be between 1 and 1000")
        if isinstance(seeds, list) and (
            not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) > LARGEST_SEED
        ):
            raise PydanticCustomError(
                "seeds", f"a list of seeds must hold different whole numbers from 0 to {LARGEST_SEED}, at least one"
            )
        return seeds

    @property
    def seed_list(self) -> list[int]:
        """The seeds, written out."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)
