"""Who listens to a command need not say anything."""

from amlc.commands.steps import NOBODY, Warned
from amlc.drive import Progress


def test_nobody_keeps_it_all_to_himself(capfd):
    NOBODY.tell(Warned("mind", matters=True))
    with NOBODY.watching("e", most=None) as watch:
        watch(Progress())
    assert capfd.readouterr() == ("", "")
