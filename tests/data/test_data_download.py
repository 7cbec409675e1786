"""Every way in which a source can fail ends in the right file or in one clear error, never in half a file."""

import hashlib
import http.server
import threading
from dataclasses import dataclass, field

import pytest

from secondorder.data import transfer as transfer_module
from secondorder.data.download import fetch_file
from secondorder.data.registry import RegisteredFile
from secondorder.errors import DataError

BODY = bytes(range(256)) * 40
OTHER_BODY = BODY[::-1]
WEB_PAGE = b"<!doctype html><title>Not here</title>"


@dataclass
class Answer:
    """What the server does with one request."""

    status: int = 200
    body: bytes = BODY
    announced: int | None = None
    content_type: str = "application/octet-stream"
    location: str = ""
    stalls: bool = False


@dataclass
class Server:
    """A loopback server whose every path has a list of answers; the last one is repeated."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    address: str = ""

    def source(self, name, *answers):
        self.answers[f"/{name}"] = list(answers)
        return f"{self.address}/{name}"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Server()
    released = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.requests.append(self.path)
            answers = state.answers[self.path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            if answer.location:
                self.send_header("Location", answer.location)
            if answer.announced != -1:
                self.send_header(
                    "Content-Length", str(len(answer.body) if answer.announced is None else answer.announced)
                )
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.stalls:
                self.wfile.flush()
                released.wait(5)

        def log_message(self, *arguments):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield state
    released.set()
    running.shutdown()
    running.server_close()


def registered(*sources, body=BODY, with_sha256=True):
    return RegisteredFile(
        dataset="mnist",
        file="digits.gz",
        bytes=len(body),
        md5=hashlib.md5(body).hexdigest(),
        sha256=hashlib.sha256(body).hexdigest() if with_sha256 else "",
        licence="none",
        sources=sources,
    )


@dataclass
class Recorder:
    """What the function told the user and how long it waited."""

    lines: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def fetch(tmp_path, recorder):
    def call(entry, **changes):
        arguments = {"drop_in": None, "allow_unverified": False, "attempts": 3, "timeout_s": 2.0, "progress": False}
        arguments |= {"report": recorder.lines.append, "sleep": recorder.waits.append} | changes
        return fetch_file(entry, tmp_path / "downloads", **arguments)

    return call


def downloads(tmp_path):
    return sorted(path.name for path in (tmp_path / "downloads").glob("*")) if (tmp_path / "downloads").exists() else []


@pytest.mark.parametrize("with_sha256", [True, False], ids=["sha256", "md5 only"])
def test_good_download(server, fetch, tmp_path, with_sha256):
    entry = registered(server.source("good", Answer()), with_sha256=with_sha256)
    found = fetch(entry)
    assert found.path.read_bytes() == BODY
    assert (found.source, found.verified, found.bytes) == (entry.sources[0], True, len(BODY))
    assert found.sha256 == hashlib.sha256(BODY).hexdigest()
    assert downloads(tmp_path) == ["digits.gz"]


def test_second_call_uses_the_first_download(server, fetch):
    entry = registered(server.source("good", Answer()))
    fetch(entry)
    assert fetch(entry).source == "cache"
    assert server.requests == ["/good"]


def test_damaged_earlier_download_is_replaced(server, fetch, recorder):
    entry = registered(server.source("good", Answer()))
    fetch(entry).path.write_bytes(b"damaged")
    found = fetch(entry)
    assert found.path.read_bytes() == BODY
    assert any("fetched again" in line for line in recorder.lines)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Answer(status=500), id="500"),
        pytest.param(Answer(status=503), id="503"),
        pytest.param(Answer(status=429), id="429"),
        pytest.param(Answer(body=BODY[:100], announced=len(BODY)), id="truncated body"),
        pytest.param(Answer(body=BODY[:100], announced=-1), id="truncated body of unannounced length"),
        pytest.param(Answer(body=BODY[:100], announced=len(BODY), stalls=True), id="stalled connection"),
    ],
)
def test_passing_failure_is_tried_again_after_a_wait(server, fetch, recorder, first, tmp_path):
    found = fetch(registered(server.source("flaky", first, Answer())), timeout_s=0.2)
    assert found.path.read_bytes() == BODY
    assert server.requests == ["/flaky"] * 2
    assert recorder.waits == [1.0]
    assert downloads(tmp_path) == ["digits.gz"]


LASTING = [
    pytest.param(Answer(status=404), "answered HTTP 404", id="404"),
    pytest.param(Answer(status=403), "answered HTTP 403", id="403"),
    pytest.param(Answer(body=WEB_PAGE, content_type="text/html; charset=utf-8"), "a web page", id="web page"),
    pytest.param(Answer(body=WEB_PAGE, announced=-1), "a web page", id="web page that claims to be a file"),
    pytest.param(Answer(body=OTHER_BODY), "checksum does not match: expected sha256:.*found sha256:", id="wrong bytes"),
    pytest.param(Answer(body=BODY * 2), "offers a file of 20,480 bytes, expected 10,240", id="another length"),
    pytest.param(Answer(body=BODY * 2, announced=-1), "sent more than the expected", id="endless body"),
    pytest.param(Answer(status=302, body=b"", location="file:///etc/passwd"), "HTTP 302|cannot be reached", id="file:"),
]


@pytest.mark.parametrize(("answer", "reason"), LASTING)
def test_lasting_failure_is_named_and_not_tried_again(server, fetch, tmp_path, recorder, answer, reason):
    with pytest.raises(DataError, match=reason):
        fetch(registered(server.source("bad", answer)), allow_unverified=True)
    assert server.requests == ["/bad"]
    assert recorder.waits == []
    assert downloads(tmp_path) == []


@pytest.mark.parametrize(("answer", "reason"), LASTING)
def test_second_source_serves_when_the_first_fails(server, fetch, answer, reason):
    good = server.source("good", Answer())
    assert fetch(registered(server.source("bad", answer), good)).source == good


def test_second_source_serves_when_the_first_cannot_be_reached(server, fetch):
    good = server.source("good", Answer())
    assert fetch(registered("http://127.0.0.1:9/digits.gz", good)).source == good


def test_redirection_is_followed(server, fetch):
    good = server.source("good", Answer())
    moved = server.source("moved", Answer(status=302, body=b"", location=good))
    assert fetch(registered(moved)).path.read_bytes() == BODY


def test_waits_double_from_round_to_round(server, fetch, recorder):
    with pytest.raises(DataError, match="HTTP 500"):
        fetch(registered(server.source("down", Answer(status=500))), attempts=4, backoff_s=0.5)
    assert recorder.waits == [0.5, 1.0, 2.0]
    assert len(server.requests) == 4


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/x", "digits.gz"])
def test_only_web_addresses_are_used(fetch, address):
    with pytest.raises(DataError, match="only addresses that start with http"):
        fetch(registered(address))


def test_final_error_lists_each_source_and_the_remedy(server, fetch):
    sources = (server.source("gone", Answer(status=404)), server.source("down", Answer(status=500)))
    with pytest.raises(DataError) as caught:
        fetch(registered(*sources))
    message = str(caught.value)
    assert f"{sources[0]}: answered HTTP 404" in message
    assert f"{sources[1]}: answered HTTP 500" in message
    for words in ("Put digits.gz", "data.folder", "SECONDORDER_DATA"):
        assert words in message


def test_file_without_sources_names_the_remedy(fetch):
    with pytest.raises(DataError, match=r"not offered for download\. Put digits\.gz"):
        fetch(registered())


def test_unwritable_destination_is_named(server, fetch, tmp_path):
    (tmp_path / "downloads").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(registered(server.source("good", Answer())))


def test_interruption_leaves_nothing(server, fetch, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer_module, "_read_chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(registered(server.source("good", Answer())))
    assert downloads(tmp_path) == []


def test_progress_is_reported_in_lines_where_there_is_no_terminal(server, fetch, recorder):
    body = BODY * 200
    fetch(registered(server.source("large", Answer(body=body)), body=body), progress=True)
    assert [line for line in recorder.lines if " % of " in line][-1] == "digits.gz: 100 % of 2.0 MB"


@pytest.mark.parametrize("place", [".", "mnist", "MNIST/raw"])
def test_drop_in_file_is_used_where_it_lies(server, fetch, tmp_path, place):
    folder = tmp_path / "mine" / place
    folder.mkdir(parents=True)
    (folder / "digits.gz").write_bytes(BODY)
    found = fetch(registered(server.source("good", Answer())), drop_in=tmp_path / "mine")
    assert (found.path, found.source, found.verified) == (folder / "digits.gz", "drop-in", True)
    assert server.requests == []
    assert downloads(tmp_path) == []


def test_drop_in_file_that_matches_is_preferred_to_one_that_does_not(fetch, tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "digits.gz").write_bytes(OTHER_BODY)
    (tmp_path / "mnist" / "digits.gz").write_bytes(BODY)
    assert fetch(registered(), drop_in=tmp_path).path == tmp_path / "mnist" / "digits.gz"


def test_drop_in_folder_without_the_file_falls_back_to_the_sources(server, fetch, tmp_path):
    good = server.source("good", Answer())
    assert fetch(registered(good), drop_in=tmp_path).source == good


def test_drop_in_file_with_another_checksum_is_refused_with_both_sums(fetch, tmp_path):
    (tmp_path / "digits.gz").write_bytes(OTHER_BODY)
    with pytest.raises(DataError) as caught:
        fetch(registered(), drop_in=tmp_path)
    for words in (hashlib.sha256(BODY).hexdigest(), hashlib.sha256(OTHER_BODY).hexdigest(), "data.allow_unverified"):
        assert words in str(caught.value)


def test_drop_in_file_with_another_checksum_is_marked_when_allowed(fetch, tmp_path, recorder):
    (tmp_path / "digits.gz").write_bytes(OTHER_BODY)
    found = fetch(registered(), drop_in=tmp_path, allow_unverified=True)
    assert not found.verified
    assert found.sha256 == hashlib.sha256(OTHER_BODY).hexdigest()
    assert any("does not match" in line for line in recorder.lines)


@pytest.mark.parametrize("is_file", [False, True])
def test_drop_in_folder_that_is_no_folder_is_refused(fetch, tmp_path, is_file):
    folder = tmp_path / "typo"
    if is_file:
        folder.write_text("")
    with pytest.raises(DataError, match=r"typo (does not exist|is not a folder).*SECONDORDER_DATA"):
        fetch(registered(), drop_in=folder)
