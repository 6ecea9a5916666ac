"""The emulator of Azure ML, for what holds for every target; a config in the middle of its way, for their fronts."""

from tests.azure.conftest import _can_emulate, make_azure  # noqa: F401  # they are fixtures
from tests.config.conftest import read, say  # noqa: F401  # as above
