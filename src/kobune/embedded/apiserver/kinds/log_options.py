"""What a request for a pod's log may ask for. Source: kube-apiserver's rules for PodLogOptions."""

from kobune.embedded.apiserver.http.message import Request
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.status import bad_request, invalid

__all__ = ["check_log_options"]

_LEAST = {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1}


def check_log_options(request: Request, pod: str) -> None:
    """Raises StatusError: 400 for what is no number, 422 for numbers that mean nothing."""
    errors: list[FieldError] = []
    for name, least in _LEAST.items():
        text = request.option(name)
        if not text:
            continue
        try:
            value = int(text)
        except ValueError:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
        if name == "sinceSeconds" and request.option("sinceTime"):
            errors.append(FieldError.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
        elif value < least:
            words = f"must be greater than {'or equal to ' if not least else ''}0"
            errors.append(FieldError.invalid(name, value, words))
    if errors:
        raise invalid("", "PodLogOptions", pod, errors)
