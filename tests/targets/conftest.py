"""The emulator of Azure ML, for what holds for every target."""

from tests.azure.conftest import _can_emulate, make_azure  # noqa: F401  # they are fixtures
