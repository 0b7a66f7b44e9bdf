"""A pytest fixture: while a test runs, a deck answers from a cassette whatever the test asks of Microsoft Graph."""

import os
import re
import subprocess
import threading
import urllib.request

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "cassette(name, *options): the cassette that answers for Graph")


@pytest.fixture
def graphdeck(request, monkeypatch, tmp_path):
    """The deck's address. A test fails when it asks for anything that is not on its cassette."""
    cassette = request.node.get_closest_marker("cassette").args
    command = [os.environ.get("GRAPHDECK", "graphdeck"), "replay", *cassette, "--listen", "127.0.0.1:0"]
    deck = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said, url = [], None
    for line in deck.stderr:
        said.append(line)
        if ready := re.search(r" on (http://\S+)", line):
            url = ready[1]
            break
    if url is None:
        pytest.fail("".join(said))
    reader = threading.Thread(target=lambda: said.extend(deck.stderr))
    reader.start()
    root = tmp_path / "graphdeck.pem"
    with urllib.request.urlopen(f"{url}/_graphdeck/ca.pem") as pem:
        root.write_bytes(pem.read())
    monkeypatch.setenv("HTTPS_PROXY", url)
    # httpx and with it the SDKs read the first, requests and with it azure-identity the second.
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
    yield url
    deck.terminate()
    reader.join()
    if deck.wait() != 0:
        pytest.fail("".join(said))
