"""The stories of the commands are printed here."""

from tests.commands.conftest import story  # noqa: F401 - a fixture
