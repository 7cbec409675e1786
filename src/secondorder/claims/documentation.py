"""The JSON schema of a claim, for editors."""

import json

from secondorder.claims.models import Claim

SCHEMA_FILE = "workflow/schemas/claim.schema.json"


def schema() -> str:
    """Return the JSON schema of ``claims/<id>.yaml``."""
    return json.dumps(Claim.model_json_schema(), indent=2) + "\n"
