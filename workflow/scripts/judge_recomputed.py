"""Say how alike recomputed runs and their originals are, and fail where one is different."""

from pathlib import Path

from secondorder.job import job, say
from secondorder.provenance.verification_record import read_verifications, require_no_difference

with job(snakemake.log[0]):
    verifications = read_verifications(Path(snakemake.input.record))
# On the console: this is what the call was for.
for verification in verifications:
    say(verification.line)
with job(snakemake.log[0]):
    require_no_difference(verifications)
