"""The claims ledger: what the papers claim, what it is judged by, and verdicts that are computed.

``claims/*.yaml`` states each claim with its evidence; :mod:`~secondorder.claims.measurement` takes the numbers from
tidy tables, :mod:`secondorder.statistics` tests them, and :mod:`~secondorder.claims.verdicts` says what follows.
"""
