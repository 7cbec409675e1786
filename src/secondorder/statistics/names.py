"""Names of the aggregated tables, which figures and tables read."""

OF_OPTIMIZER = {"krylov": "newton_krylov"}
"""Tables of one optimizer's steps: figures and tables have them of the problems that train a run of it."""

AGGREGATED = (
    "curves",
    "final_metric",
    "outcomes",
    "seeds",
    "step_cost",
    "time_to_target",
    "updates_to_loss",
    *OF_OPTIMIZER,
)
