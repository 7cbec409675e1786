"""Names of the aggregated tables, which figures and tables read."""

AGGREGATED = ("accuracy", "curves", "seeds", "time_to_target", "updates_to_loss")
