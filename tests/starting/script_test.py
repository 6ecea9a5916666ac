"""What a trial script says of its parameters, in the ways in which people write such scripts."""

import pytest

from amlc.script import reads
from amlc.starting.script import read_script

NNI = "import nni\n"
OPTIONS = "a.add_argument('--lr', type=float)\na.add_argument('-x', '--x', type=int)\na.add_argument('--y', default=1)\n"


def names(text):
    return [parameter.name for parameter in read_script(NNI + text).parameters]


WAYS = [
    "p = nni.get_next_parameter()\nf(p['lr'], p.get('x', 3), p.pop('y'))",
    "f(nni.get_next_parameter()['lr'])\nf((p := nni.get_next_parameter())['x'], p['y'])",
    "def main(args):\n    f(args['lr'], args['x'], args['y'])\nmain(nni.get_next_parameter())",
    "def main(*, args):\n    f(args['lr'], args['x'], args['y'])\nmain(args=nni.get_next_parameter())",
    "def ask():\n    return nni.get_next_parameter()\np = ask()\nf(p['lr'], p['x'], p['y'])",
    "p = {'lr': 1, 'x': 2}\np.update(nni.get_next_parameter())\nf(p['y'])",
    "p = {'lr': 1, 'x': 2, 'y': 3, **nni.get_next_parameter()}",
    "p = {'lr': 1, 'x': 2, 'y': 3} | nni.get_next_parameter()\nf(p['lr'], p['x'], p['y'])",
    "def defaults():\n    return {'lr': 1, 'x': 2, 'y': 3}\np = defaults()\np.update(nni.get_next_parameter())",
    "def train(lr, x=1, *, y: int = 2):\n    pass\ntrain(**nni.get_next_parameter())",
    "p: dict = nni.get_next_parameter()\nf(p['lr'])\nq = dict(p)\nf(q['x'], q['y'])",
    OPTIONS + "p = vars(a.parse_args())\np.update(nni.get_next_parameter())",
    OPTIONS + "args = nni.utils.merge_parameter(a.parse_args(), nni.get_next_parameter())",
    "from nni import get_next_parameter\np = get_next_parameter()\nf(p['lr'], p['x'], p['y'])",
]
each_way = pytest.mark.parametrize("text", WAYS, ids=lambda text: text.splitlines()[-1][:50])


@each_way
def test_parameters_are_found_however_they_are_read(text):
    assert sorted(names(text)) == ["lr", "x", "y"]


@each_way
def test_what_is_read_for_certain_is_found_too(text):
    certain = reads(NNI + text)
    assert certain is None or certain.needed.keys() <= set(names(text))


def test_what_is_read_of_something_else_is_no_parameter():
    assert names("p = nni.get_next_parameter()\nf(p['lr'], os.environ['HOME'], {'a': 1}['a'], config.get('b'))") == ["lr"]


def test_options_that_never_meet_the_parameters_are_none():
    text = "a.add_argument('--lr', type=float, default=1)\nargs = a.parse_args()\np = nni.get_next_parameter()\nf(p['x'])"
    assert names(text) == ["x"]


def test_paths_seeds_and_texts_are_left_out_unless_they_are_read():
    text = (
        "p = vars(a.parse_args())\np.update(nni.get_next_parameter())\na.add_argument('file')\n"
        "a.add_argument('--data-dir', default='.')\na.add_argument('--seed', type=int, default=1)\n"
        "a.add_argument('--note', default='x')\na.add_argument('--kind', default='a', choices=['a', 'b'])\n"
        "a.add_argument('--lr', type=float, default=0.1)\na.add_argument('--num-workers', type=int, default=2)\nf(p['seed'])"
    )
    script = read_script(NNI + text)
    assert {one.name for one in script.parameters} == {"kind", "lr", "seed"}
    assert script.left_out == ("data_dir", "note", "num_workers")


def test_defaults_choices_kinds_and_lines_are_those_of_the_script():
    text = (
        "p = vars(a.parse_args())\np.update(nni.get_next_parameter())\nf(p['lr'])\n"
        "a.add_argument('--lr', type=float, default=1e-3)\na.add_argument('--act', choices=('relu', 'tanh'))\n"
        "a.add_argument('--bias', action='store_false')\na.add_argument('--units', dest='width', type=int, default=64)"
    )
    found = {one.name: (one.line, one.kind, one.default, one.choices) for one in read_script(NNI + text).parameters}
    assert found == {
        "lr": (4, float, 1e-3, ()),
        "act": (6, None, None, ("relu", "tanh")),
        "bias": (7, bool, True, ()),
        "width": (8, int, 64, ()),
    }


@pytest.mark.parametrize(
    ("reported", "minimizes"), [("loss", True), ("test_err", True), ("{'default': rmse}", True), ("accuracy", False)]
)
def test_a_loss_is_minimized(reported, minimizes):
    assert read_script(f"import nni\nnni.report_final_result({reported})").minimizes == minimizes


def test_a_script_that_never_asks_says_so():
    assert not read_script("print(1)").asks
    assert read_script("print(1)").parameters == ()


def test_what_is_not_python_is_an_error():
    with pytest.raises(SyntaxError):
        read_script("print 1")
