"""The calls into `validation`: defaults and rules that do not come from the schema's types."""

from kobune.embedded.apiserver.validation import default
from kobune.embedded.apiserver.validation import validate_create as check_create
from kobune.embedded.apiserver.validation import validate_update as check_update

__all__ = ["check_create", "check_update", "default"]
