"""One Chromium for all tests of served pages."""

import pytest

from tests.report.browser import browsing


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found
