"""The configuration's models: every key, its type, unit and bounds, and the reason for it.

``docs/configuration.md`` and ``workflow/schemas/configuration.schema.json`` are generated from these models.
"""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from secondorder.families import FamilyName
from secondorder.training.schedules import ScheduleName
from secondorder.tuning.search import ScaleName

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


class ArchiveSection(Section):
    """Kept metrics that figures, tables and report show in place of new ones."""

    tier: Name = Field("smoke", description="Tier whose metrics, `reference/metrics/<tier>/`, are shown.")


class PerProcessSection(Section):
    """How much one process does before it ends: to start one takes seconds, as long as a small run takes to train."""

    runs: int = Field(
        1,
        ge=1,
        description="Runs on one dataset that one job trains, one after the other. A job that starts again takes what "
        "is finished from checkpoints, so an edit of one optimizer still trains its own runs alone; but it writes the "
        "results of all of its runs anew, and what reads them follows.",
    )
    summaries: int = Field(
        1,
        ge=1,
        description="Problems whose metrics one job summarises over seeds. A figure of one problem then needs the runs "
        "of all that share its job, and a run that fails withholds all of their summaries.",
    )
    renderings: int = Field(1, ge=1, description="Figures that one job draws, or tables that it writes.")


class StatisticsSection(Section):
    """How seeds are summarised."""

    confidence: float = Field(0.95, gt=0, lt=1, description="Level of every confidence interval.")
    resamples: int = Field(9999, ge=99, description="Bootstrap resamples.")
    reference: Name = Field("sgd", description="Run that ratios compare the others with.")


class TuningSection(Section):
    """How the settings that a run searches are chosen; see `runs.<run>.search`."""

    trials: int = Field(16, ge=1, le=1000, description="Trials of every searched run on every problem.")
    seed: int = Field(0, ge=0, description="Seed of the scrambled Sobol sequence that trials are drawn from.")
    training_seed: int = Field(
        1_000_000,
        ge=0,
        le=LARGEST_SEED,
        description="Seed that every trial is trained with; none of `seeds`, with which results are then measured.",
    )
    transfer: Name | None = Field(
        None,
        description="Tier whose tuned settings the searched runs of a tier take that has no `config/tuned/<tier>.yaml` "
        "of its own, each on the problem of the same name. Whatever shows such a run says so.",
    )
    transfer_problems: dict[Name, Name] = Field(
        {}, description="Problem of that tier whose settings a problem takes in place of those of its own name."
    )


class RangeSection(Section):
    """Values that are searched for one setting."""

    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    scale: ScaleName = Field(
        "log", description="`log`: every factor is as likely as any other; `linear`: every difference."
    )


class TunedSection(Section):
    """What `snakemake tune` chose for one run on one problem, and from what."""

    settings: SettingValues = Field(description="Replace the settings of the same names.")
    tier: Name = Field(description="Tier in which the trials were made.")
    problem: Name | None = Field(
        None, description="Problem on which the trials were made, where it has another name than this one."
    )
    trials: int = Field(ge=1, description="Number of trials.")
    search: dict[str, RangeSection] = Field(description="Values that were searched, by setting.")
    at_edge: list[str] = Field(
        [], description="Settings whose chosen value lies within 5 % of an end of its range, on the range's scale."
    )


class TunedFile(Section):
    """What stands in `config/tuned/<tier>.yaml`."""

    tuned: dict[Name, dict[Name, TunedSection]] = Field(description="Chosen settings by problem and run.")


class ScheduleSection(Section):
    """Learning-rate schedule, over the share of the budget that is spent."""

    kind: ScheduleName = Field("constant", description="`constant`, `cosine` (to 0) or `step`.")
    milestones: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.5, 0.75], description="Shares of the budget at which `step` drops."
    )
    gamma: float = Field(0.1, gt=0, le=1, description="Factor of each drop of `step`.")


class VariantSection(Section):
    """What one run of a study changes in the run that the study varies."""

    label: str | None = Field(None, description="Name in figures; the variant's own name when absent.")
    batch_size: int | None = Field(None, ge=1, description="Replaces the varied run's batch size.")
    settings: SettingValues = Field(
        {}, description="Replace the varied run's settings of the same names, and are not searched."
    )
    search: dict[str, RangeSection] = Field({}, description="Ranges beside those of the varied run, or in their place.")


class RunSection(Section):
    """A run: an optimizer with its settings, under a name that results and figures use."""

    optimizer: Name = Field(description="Module under `secondorder.optim`.")
    label: str | None = Field(None, description="Name in figures; the run's own name when absent.")
    family: FamilyName = Field(
        "other", description="Family of methods: its members share a colour, and a row of the training curves."
    )
    batch_size: int | None = Field(None, ge=1, description="Samples in a mini-batch; the problem's when absent.")
    schedule: ScheduleSection = Field(ScheduleSection(), description="Learning-rate schedule.")
    settings: SettingValues = Field({}, description="The optimizer's settings, listed below by optimizer.")
    search: dict[str, RangeSection] = Field(
        {}, description="Values that `snakemake tune` searches, by setting; a run without any is not tuned."
    )
    landscape: VariantSection = Field(
        VariantSection(),
        description="What is changed where the run goes over analytic functions; ranges given here are taken as they "
        "are.",
    )


class StudySection(Section):
    """A study: runs that each change one thing of another run, on the problems that list the study."""

    label: str = Field(description="Name in figures and tables.")
    varies: Name = Field(description="The run, one of `runs`, that the study's own runs vary and are shown beside.")
    runs: dict[Name, VariantSection] = Field(
        min_length=1,
        description="Its runs by name. Each searches what the varied run searches, but for the settings it gives, and "
        "what it adds.",
    )


class OverrideSection(Section):
    """What one problem changes in one run."""

    batch_size: int | None = Field(None, ge=1, description="Replaces the run's batch size.")
    schedule: ScheduleSection | None = Field(None, description="Replaces the run's schedule.")
    settings: SettingValues = Field({}, description="Replace the settings of the same names.")


class ConditionSection(Section):
    """What a condition changes in its problem. It makes a problem of its own, named `<problem>_<condition>`."""

    label: str | None = Field(None, description="Name in figures; the condition's own name when absent.")
    settings: SettingValues = Field({}, description="Replace the problem's settings of the same names.")


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
    target_metric: float = Field(
        description="Value of the problem's metric on the validation images whose first crossing, in the metric's "
        "direction, is the time to target; an accuracy is a share, between 0 and 1."
    )
    target_loss: float | None = Field(
        None, gt=0, description="Training loss whose first crossing counts the updates; not counted when absent."
    )
    settings: SettingValues = Field({}, description="The problem's settings, listed below by problem.")
    runs: list[Name] | None = Field(
        None, min_length=1, description="Runs to train; when absent, all of them but those of `without`."
    )
    without: list[Name] = Field(
        [],
        description="Runs not to train, such as methods that cannot. It or `runs` is given, not both; the later one "
        "replaces the other.",
    )
    studies: list[Name] = Field(
        [], description="Studies whose runs to train too; one whose varied run is not trained here is left out."
    )
    curvature: list[Literal["spectrum", "directions", "sharpness", "approximations"]] = Field(
        ["sharpness"],
        description="What to find out of its trained networks from their snapshots: all eigenvalues of the exact "
        "Hessian (`spectrum`), whether Newton directions go down (`directions`), the largest eigenvalue and trace "
        "at the end (`sharpness`), and what approximations of the Hessian keep of it (`approximations`). All but "
        "`sharpness` are quick for a perceptron; on a network with convolutions each Hessian takes much longer.",
    )
    overrides: dict[Name, OverrideSection] = Field({}, description="What this problem changes in single runs.")
    conditions: dict[Name, ConditionSection] = Field(
        {},
        description="Variants of the problem by name, for figures and tables of conditions; no other shows them. Each "
        "has the problem's dataset, batch size, budget, target and overrides.",
    )
    condition_runs: list[Name] | None = Field(
        None,
        min_length=1,
        description="Runs to train under every condition, of those that the problem trains; all but those of its "
        "studies when absent.",
    )
    condition_label: str = Field("As configured", description="Name of the problem itself among its conditions.")
    condition_reference: Name | None = Field(
        None,
        description="Condition whose ranking of the runs those of the others are compared with; the problem itself "
        "when absent.",
    )
    tune_conditions: bool = Field(
        False,
        description="Tune the runs under each condition too. Otherwise they take the settings that were tuned on the "
        "problem, and figures and tables say so.",
    )


class ExactHessianSection(Section):
    """The closed form of the Hessian against automatic differentiation."""

    hidden: list[Annotated[int, Field(ge=1)]] = Field(
        [32, 16],
        min_length=1,
        description="Widths of the small networks' hidden layers; the dense matrix has the square of their parameters.",
    )
    samples: list[Annotated[int, Field(ge=1)]] = Field([1, 16], min_length=1, description="Sizes of the batches.")
    fitted: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [1e-2, 1e-4, 1e-6],
        description="1 − p, p the probability of the true label, to which a network is trained on the one sample whose "
        "Hessian is compared: fitted samples are where digits are lost.",
    )


class GrowthSection(Section):
    """What the closed form and the dense matrix cost as a network grows."""

    widths: list[Annotated[int, Field(ge=1)]] = Field(
        [4, 8, 16, 24, 32, 64, 128, 256, 512], min_length=1, description="Widths of the two hidden layers."
    )
    repeats: int = Field(5, ge=1, description="Repetitions, of which the median counts.")
    dense_parameters: int = Field(4000, ge=1, description="Largest network whose dense Hessian is computed.")
    memory_megabytes: int = Field(4096, ge=1, description="Memory the dense matrix may take; beyond, it does not fit.")


class ProductsSection(Section):
    """What Hessian-vector products are measured over."""

    steps: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [
            *(float(f"1e-{digits}") for digits in range(1, 17)),
            *(1e-20, 1e-25, 1e-30, 1e-35, 1e-40, 1e-60, 1e-80, 1e-100, 1e-150, 1e-200),
        ],
        min_length=1,
        description="Sizes of the complex step and of the finite difference, relative to the vector, over which their "
        "error is measured; float32 has those above 1e-38.",
    )
    batch_sizes: list[Annotated[int, Field(ge=1)]] = Field(
        [16, 64, 256, 1024],
        min_length=1,
        description="Sizes of the batches over which the cost is measured, at the largest width.",
    )
    widths: list[Annotated[int, Field(ge=16)]] = Field(
        [32, 64, 128, 256, 512],
        min_length=1,
        description="Widths w of the networks over which the cost is measured, at the largest batch: a perceptron with "
        "hidden layers of 2w and w, and two convolutions of w/16 and w/8 channels before a hidden layer of w.",
    )
    repeats: int = Field(9, ge=1, description="Repetitions, of which the median counts.")


class FullHessianSection(Section):
    """The Hessian as a whole matrix, of a narrow perceptron's loss over many images."""

    dataset: Literal["mnist_5k", "mnist"] = Field(
        "mnist_5k", description="Whose images, at 28 x 28 pixels; those of the validation split count too."
    )
    hidden: list[Annotated[int, Field(ge=1)]] = Field(
        [8],
        min_length=1,
        description="Widths of the hidden layers. The matrix takes 8 P² bytes, up to six times at once, with "
        "P the number of parameters: 6,370 for `[8]`, 25,450 for `[32]`.",
    )
    images: int = Field(4000, ge=1, description="Images, evenly spaced, that the loss is a mean over.")
    epochs: int = Field(
        10, ge=0, description="Epochs of Adam on these images before; 0 for the perceptron as it is drawn."
    )
    batch_size: int = Field(32, ge=1, description="Images of each of its steps.")


class SpectrumSection(Section):
    """What the spectra along training are of."""

    samples: int = Field(1, ge=1, description="Single training samples, evenly spaced.")
    batches: int = Field(1, ge=0, description="Joint mini-batches.")
    batch_size: int = Field(2, ge=1, description="Samples in each.")


class DirectionsSection(Section):
    """What the Newton directions along training are of."""

    samples: int = Field(64, ge=1, description="Single training samples, evenly spaced.")
    batches: int = Field(8, ge=0, description="Joint mini-batches.")
    batch_size: int = Field(4, ge=1, description="Samples in each.")
    dampings: list[Annotated[float, Field(ge=0)]] = Field(
        [0.0, 0.001, 0.1], min_length=1, description="Dampings μ that are added to every adjusted eigenvalue."
    )


class ApproximationsSection(Section):
    """What approximations of the Hessian are compared with the exact one, and by what."""

    seeds: int = Field(3, ge=1, description="Seeds of each run whose networks are looked at, the first ones.")
    batches: int = Field(2, ge=1, description="Joint mini-batches that the Hessians are of.")
    batch_size: int = Field(8, ge=2, description="Samples in each.")
    pairs: int = Field(5, ge=1, description="Eigenvalues at each end of the spectrum that are compared.")
    damping: float = Field(0.1, gt=0, description="Damping μ of the Newton directions that are compared.")
    lanczos_steps: list[Annotated[int, Field(ge=2)]] = Field(
        [10, 20, 40, 80], description="Hessian-vector products of a Lanczos process, and of a power iteration."
    )
    products: int = Field(
        1000, ge=20, description="Products after which the largest eigenvalues by ARPACK count as not converged."
    )
    probes: list[Annotated[int, Field(ge=2)]] = Field(
        [2, 10, 100], description="Random vectors of Hutchinson's trace and diagonal, and of the spectral density."
    )
    quadrature_steps: int = Field(20, ge=2, description="Lanczos steps from each of the density's random vectors.")
    fractions: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.25, 0.5], description="Shares of the batch that a sub-sampled Hessian is of."
    )
    ranks: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 5, 20], description="Ranks of the best low-rank approximations."
    )
    draws: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 10], description="Random vectors per sample of the Fisher matrix by sampling."
    )
    histories: list[Annotated[int, Field(ge=1)]] = Field(
        [5, 20], description="Curvature pairs of the matrix that L-BFGS implies."
    )
    control_samples: int = Field(
        32, ge=16, description="Samples of the batch on which faults are made that checks of spectra have to notice."
    )


class SharpnessSection(Section):
    """How hard to look for the sharpness of trained networks."""

    images: int = Field(1000, ge=1, description="Training images, evenly spaced, whose mean loss is looked at.")
    tolerance: float = Field(1e-4, gt=0, lt=1, description="Relative accuracy of the largest eigenvalue.")
    products: int = Field(
        1000, ge=20, description="Hessian-vector products after which the largest eigenvalue counts as not converged."
    )
    probes: int = Field(
        30, ge=2, description="Random vectors for the trace of a network with layers that are not dense."
    )


class CurvatureSection(Section):
    """The stage that checks the exact Hessian and looks at curvature along training."""

    dataset: Name = Field(
        "mnist_5k",
        description="Dataset whose images the networks of the checks see, pooled to 8 x 8, and to 28 x 28 where "
        "the cost of products is measured.",
    )
    runs: list[Name] | None = Field(
        None,
        min_length=1,
        description="Runs that `spectrum` and `directions` follow by their first seed, "
        "`approximations` by several; all when absent.",
    )
    exact_hessian: ExactHessianSection = Field(ExactHessianSection(), description="Closed form against dense matrix.")
    growth: GrowthSection = Field(GrowthSection(), description="Cost as a network grows.")
    products: ProductsSection = Field(ProductsSection(), description="Error and cost of Hessian-vector products.")
    full_hessian: FullHessianSection = Field(FullHessianSection(), description="The whole matrix of many images.")
    spectrum: SpectrumSection = Field(SpectrumSection(), description="Eigenvalues along training.")
    directions: DirectionsSection = Field(DirectionsSection(), description="Newton directions along training.")
    approximations: ApproximationsSection = Field(
        ApproximationsSection(), description="Approximations of the Hessian against the exact one."
    )
    sharpness: SharpnessSection = Field(SharpnessSection(), description="Sharpness of the trained networks.")


class FunctionSection(Section):
    """An analytic function whose Hessian and minimum are known."""

    kind: Literal["quadratic", "rosenbrock", "strict_saddle"] = Field(description="Which function.")
    condition: float | None = Field(
        None, ge=1, description="Of `quadratic`: the largest eigenvalue of its Hessian, which is 1, over the smallest."
    )
    dimension: int | None = Field(None, ge=2, le=1000, description="Of `quadratic`: its number of variables.")
    distance: float | None = Field(
        None,
        ge=0,
        description="Of `strict_saddle`: that of the start from the line on which descent ends in the saddle.",
    )


class LandscapesSection(Section):
    """Paths of the runs on analytic functions."""

    functions: dict[Name, FunctionSection] = Field({}, description="The functions by name.")
    runs: list[Name] | None = Field(
        None, min_length=1, description="Runs to compare; all that are in no study when absent."
    )
    budget: float = Field(500, gt=0, description="Gradient-equivalents of each trial.")
    tolerance: float = Field(
        1e-6, gt=0, lt=1, description="Share of the first gap to the minimum at which a trial has reached it and ends."
    )
    trials: int = Field(8, ge=1, le=1000, description="Trials of every run on every function, over its ranges.")
    learning_rate_factor: float = Field(
        1.0,
        gt=0,
        description="Factor on the ranges of every `learning_rate`: steps can be longer where there is no noise. Each "
        "function is divided by its largest curvature at the start, so that learning rates and dampings are in units "
        "of it.",
    )
    search: dict[Name, RangeSection] = Field(
        {}, description="Ranges that replace those of settings of these names in every run that searches them."
    )


class CapabilitiesSection(Section):
    """A step of every run, of each kind it has, on every problem, those that a problem leaves out too."""

    samples: int = Field(32, ge=1, description="Most samples of the step; fewer where the run's batches are smaller.")


class VerifySection(Section):
    """What `snakemake verify` computes again and compares with what is there."""

    runs: dict[Name, Annotated[list[Name], Field(min_length=1)]] | None = Field(
        None, min_length=1, description="Runs by problem; `count` of all runs, evenly spaced, when absent."
    )
    count: int = Field(6, ge=1, description="Number of runs; all of them where there are fewer.")
    seeds: int = Field(1, ge=1, description="How many seeds of each run, the first ones; all where there are fewer.")


class FigureSection(Section):
    """A figure, under the name of its module in `secondorder.plotting`."""

    reads: list[Name] = Field(
        min_length=1, description="Aggregated tables that it reads, or tables of the curvature stage."
    )
    per_problem: bool = Field(False, description="Draw one for each problem, named `<figure>_<problem>`.")
    per_study: bool = Field(
        False, description="Draw one for each study on each problem, named `<figure>_<problem>_<study>`."
    )
    of_conditions: bool = Field(False, description="Draw it of the problems that have conditions, and of these.")


class TableSection(Section):
    """A table, under the name of its module in `secondorder.tables`."""

    reads: list[Name] = Field(
        min_length=1, description="Aggregated tables that it reads, or tables of the curvature stage."
    )
    of_studies: bool = Field(False, description="Write it only where a problem makes a study.")
    of_conditions: bool = Field(False, description="Write it of the problems that have conditions, and of these.")


class Configuration(Section):
    """The whole configuration of one tier."""

    tier: Name = Field(description="Name of the tier; results, figures and tables lie apart by it.")
    based_on: Name | None = Field(
        None, description="Tier whose file supplies what this configuration leaves out; the tier itself when absent."
    )
    archive: ArchiveSection | None = Field(
        None,
        description="Show kept metrics, and train and measure nothing. Problems, runs, labels and all else are those "
        "that the metrics were made with; beside this section only `tier`, `based_on` and `per_process` can be given.",
    )
    seeds: int | list[int] = Field(
        description="Number of seeds (then 0, 1, 2, …), or their list. Each decides a run's initialisation and data "
        "order."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where to train and to compute the whole Hessian; `auto` takes CUDA when there is any.",
    )
    threads: int = Field(
        1,
        ge=1,
        description="CPU threads of each training job and of the whole Hessian; the rounding of results depends on it.",
    )
    exclusive: bool = Field(
        False,
        description="Train one run at a time, so that seconds are comparable. Otherwise runs share the cores, and "
        "seconds are those of a shared machine.",
    )
    per_process: PerProcessSection = Field(PerProcessSection(), description="What shares a process.")
    log_every: int = Field(
        1,
        ge=1,
        description="Steps between two readings of losses and clock from the device; every step's loss is kept.",
    )
    training_samples: int = Field(
        10_000,
        ge=1,
        description="Training images, evenly spaced, of which each evaluation takes the training loss; all where there "
        "are fewer.",
    )
    snapshots: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        [],
        description="Shares of the budget, ascending, at which each seed's weights are kept so that their curvature "
        "can be studied; each is taken at the first evaluation at or after it. A change trains again.",
    )
    data: DataSection = Field(DataSection(), description="Where data comes from.")
    statistics: StatisticsSection = Field(StatisticsSection(), description="How seeds are summarised.")
    curvature: CurvatureSection = Field(CurvatureSection(), description="Checks of the exact Hessian, and its use.")
    landscapes: LandscapesSection = Field(LandscapesSection(), description="Paths on analytic functions.")
    capabilities: CapabilitiesSection = Field(CapabilitiesSection(), description="Which run can train which problem.")
    tuning: TuningSection = Field(TuningSection(), description="How searched settings are chosen.")
    verify: VerifySection = Field(VerifySection(), description="What `snakemake verify` computes again.")
    runs: dict[Name, RunSection] = Field(min_length=1, description="All runs by name, in the order figures show them.")
    studies: dict[Name, StudySection] = Field({}, description="Studies that vary a run, by name.")
    problems: dict[Name, ProblemSection] = Field(min_length=1, description="The problems of this tier by name.")
    figures: dict[Name, FigureSection] = Field({}, description="Figures to draw, in the order of the report.")
    tables: dict[Name, TableSection] = Field({}, description="Tables to write, in the order of the report.")
    tuned: dict[Name, dict[Name, TunedSection]] = Field(
        {},
        description="Chosen settings by problem and run. `snakemake tune` writes them to `config/tuned/<tier>.yaml`, "
        "which lies over the tier's file. A tier based on it, or the command line, replaces a chosen value by giving "
        "the setting; `null` takes all of them away. Problems and runs that are not configured may be named.",
    )

    @field_validator("tier")
    @classmethod
    def _check_tier(cls, tier: str) -> str:
        if tier == "data":
            raise PydanticCustomError("tier", "is where prepared data of all tiers lies; choose another name")
        return tier

    @field_validator("snapshots")
    @classmethod
    def _check_snapshots(cls, snapshots: list[float]) -> list[float]:
        if snapshots != sorted(set(snapshots)):
            raise PydanticCustomError("snapshots", "must be different shares of the budget in ascending order")
        return snapshots

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

    @cached_property
    def all_runs(self) -> dict[str, RunSection]:
        """All runs by name, those of the studies after the others, with what they take from the run they vary."""
        variants = {
            name: varied(self.runs[study.varies], variant)
            for study in self.studies.values()
            for name, variant in study.runs.items()
            if study.varies in self.runs
        }
        return {**self.runs, **variants}

    @cached_property
    def all_problems(self) -> dict[str, ProblemSection]:
        """All problems by name, their conditions after them."""
        conditions = {
            made: under_condition(problem, section, section.conditions[name])
            for problem, section in self.problems.items()
            for name, made in self.condition_problems(problem).items()
        }
        return {**self.problems, **conditions}

    @cached_property
    def base_problems(self) -> dict[str, str]:
        """The problem that each problem of a condition varies."""
        return {made: problem for problem in self.problems for made in self.condition_problems(problem).values()}

    def condition_problems(self, problem: str) -> dict[str, str]:
        """Return the problems that the conditions of a problem make of it, by condition.

        There are none where the problem trains none of the runs that its conditions are for.
        """
        section = self.problems[problem]
        trained = self.runs if section.runs is None else section.runs
        wanted = trained if section.condition_runs is None else section.condition_runs
        if not any(run in trained and run not in section.without for run in wanted):
            return {}
        return {name: condition_problem(problem, name) for name in section.conditions}

    def tuned_for(self, problem: str, run: str) -> TunedSection | None:
        """Return what was tuned for a run on a problem; under a condition that was not tuned, what was without it."""
        own = self.tuned.get(problem, {}).get(run)
        if own is not None or problem not in self.base_problems:
            return own
        return self.tuned.get(self.base_problems[problem], {}).get(run)

    @property
    def measured_tier(self) -> str:
        """The tier that was measured: this one, unless it shows kept metrics."""
        return self.archive.tier if self.archive else self.tier

    @property
    def seed_list(self) -> list[int]:
        """The seeds, written out."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    def without_places(self) -> dict[str, Any]:
        """Return all values as plain ones, less the folder of data, which is a place on one machine."""
        return self.model_dump(mode="json", exclude={"data": {"folder"}})


def varied(run: RunSection, variant: VariantSection) -> RunSection:
    """Return a run with what a variant changes in it; what the variant sets is not searched."""
    return run.model_copy(
        update={
            "label": variant.label,
            "batch_size": variant.batch_size or run.batch_size,
            "settings": {**run.settings, **variant.settings},
            "search": {name: given for name, given in run.search.items() if name not in variant.settings}
            | variant.search,
        }
    )


def condition_problem(problem: str, condition: str) -> str:
    """Return the name of the problem that a condition makes of a problem."""
    return f"{problem}_{condition}"


def under_condition(problem: str, section: ProblemSection, condition: ConditionSection) -> ProblemSection:
    """Return a problem under a condition: with the settings that it changes, and without studies and curvature."""
    runs, trained = section.condition_runs, section.runs
    if runs is not None and trained is not None:
        runs = [run for run in runs if run in trained]
    return section.model_copy(
        update={
            "module": section.module or problem,
            "settings": {**section.settings, **condition.settings},
            "runs": trained if runs is None else runs,
            "studies": [],
            "curvature": [],
            "conditions": {},
        }
    )
