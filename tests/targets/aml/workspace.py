"""A workspace that answers from a table, and jobs as the service describes them: no process, no network."""

import json

from amlc.errors import BackendError
from amlc.targets.aml import Workspace

SCOPE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ONE, TWO = "0123456789abcdef", "fedcba9876543210"


class Answers:
    """One of the workspace's services. A path's answer may be an error or a function of what was asked; a list is used up from its front."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def call(self, method, url, *, doing, params=None, body=None, missing=False):
        path = url.partition(SCOPE)[2]
        self.asked.append((method, path, {**(params or {}), **(body or {})}))
        found = self.answers.get(f"{method} {path}")
        if isinstance(found, list):
            found = found.pop(0) if found else None
        if callable(found):
            found = found(self.asked[-1][2])
        if isinstance(found, Exception):
            raise found
        if found is None and not missing:
            raise BackendError(f"{doing}: not found")
        return found

    def pages(self, url, *, doing, params):
        page = self.call("GET", url, doing=doing, params=params) or {}
        yield page.get("value") or ()
        while page.get("next"):
            page = self.call("GET", url, doing=doing, params=params) or {}
            yield page.get("value") or ()


class Client:
    """As much of the client as the readers of a workspace use; `answers` by method and path below the workspace."""

    scope = SCOPE
    tenant = "t"
    workspace = Workspace(subscription_id="s", resource_group="g", name="w")

    def __init__(self, **answers):
        self.arm = self.api = Answers(answers)

    def get(self, path, *, doing, version, missing=False):
        return self.arm.call("GET", self.scope + path, doing=doing, missing=missing)

    @property
    def asked(self):
        """What was asked, as method and path."""
        return [f"{method} {path}" for method, path, _ in self.arm.asked]


def trial_text(trial, sequence=0, **parameters):
    return json.dumps({"id": trial, "sequence": sequence, "parameters": parameters or {"x": 1}})


def resource(name=f"mnist-{ONE}-9e7a6c", *trials, status="Running", created="2026-11-25T08:00:00Z", **properties):
    """Return a job's JSON as the service gives it; `trials`: the ids of those that it runs, the first one if none."""
    variables = {f"AMLC_TRIAL_{n}": trial_text(trial, n) for n, trial in enumerate(trials or (ONE,))}
    body = {
        "jobType": "Command",
        "status": status,
        "experimentName": "mnist",
        "environmentVariables": {"AMLC_EXPERIMENT": '"mnist"', **variables},
        "services": {"Studio": {"endpoint": f"https://ml.azure.com/runs/{name}?wsid={SCOPE}"}},
        **properties,
    }
    return {"name": name, "properties": body, "systemData": {"createdAt": created}}
