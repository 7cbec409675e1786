"""Names of the tables that the judging of claims leaves, which tables read like aggregated ones."""

OF_CLAIMS = ("claims", "verdicts")
