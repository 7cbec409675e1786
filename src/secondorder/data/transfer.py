"""One attempt to copy one address into one file, with every way to fail named."""

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from secondorder.data.image_files import looks_like_web_page

_CHUNK_BYTES = 1 << 18
_USER_AGENT = "secondorder/0.1 (data download)"
# Statuses that say "later", against the others from 400 to 499 that say "never".
_TRANSIENT_CLIENT_STATUSES = frozenset({408, 425, 429})


class TransferError(Exception):
    """An address did not give the file.

    Attributes:
        permanent: Whether asking the same address again is pointless.
    """

    def __init__(self, reason: str, *, permanent: bool) -> None:
        """Store the reason, which is also the text of the exception."""
        super().__init__(reason)
        self.permanent = permanent


def transfer(
    address: str, target: Path, *, expected_bytes: int, timeout_s: float, observe: Callable[[int], None]
) -> None:
    """Copy the body of an HTTP answer into a file, and stop as soon as it cannot be the expected one.

    Args:
        address: An http or https address.
        target: The file to write; what is left in it after a failure is worthless.
        expected_bytes: The length that the body must have.
        timeout_s: The longest silence in seconds that is waited for.
        observe: Called with the length of each piece that has arrived.

    Raises:
        TransferError: The address has another scheme, cannot be reached, answers with an error or a web page, or the
            body is shorter or longer than expected.
        OSError: The file cannot be written.
    """
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise TransferError("only addresses that start with http:// or https:// are used", permanent=True)
    response = _open(address, timeout_s)
    received = 0
    with response, target.open("wb") as file:
        _check_headers(response, expected_bytes)
        while chunk := _read_chunk(response, timeout_s):
            if received == 0 and looks_like_web_page(chunk):
                raise TransferError("sent a web page (HTML) instead of the file", permanent=True)
            received += len(chunk)
            if received > expected_bytes:
                reason = f"sent more than the expected {expected_bytes:,} bytes; stopped"
                raise TransferError(reason, permanent=True)
            file.write(chunk)
            observe(len(chunk))
    if received < expected_bytes:
        reason = f"the connection ended after {received:,} of {expected_bytes:,} bytes"
        raise TransferError(reason, permanent=False)


def _open(address: str, timeout_s: float) -> Any:
    # urllib's default opener also follows file: and ftp: addresses, which a redirection could name.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(address, headers={"User-Agent": _USER_AGENT})  # noqa: S310 - the scheme is checked
    try:
        return opener.open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        permanent = 300 <= error.code < 500 and error.code not in _TRANSIENT_CLIENT_STATUSES
        raise TransferError(f"answered HTTP {error.code} {error.reason}", permanent=permanent) from error
    except urllib.error.URLError as error:
        raise TransferError(f"cannot be reached ({_reason(error.reason, timeout_s)})", permanent=False) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransferError(f"cannot be reached ({_reason(error, timeout_s)})", permanent=False) from error


def _check_headers(response: Any, expected_bytes: int) -> None:
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise TransferError("sent a web page (HTML) instead of the file", permanent=True)
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) != expected_bytes:
        reason = f"offers a file of {int(announced):,} bytes, expected {expected_bytes:,}"
        raise TransferError(reason, permanent=True)


def _read_chunk(response: Any, timeout_s: float) -> bytes:
    try:
        return bytes(response.read(_CHUNK_BYTES))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransferError(f"the connection broke ({_reason(error, timeout_s)})", permanent=False) from error


def _reason(error: object, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing arrived for {timeout_s:g} s"
    return str(error) or type(error).__name__
