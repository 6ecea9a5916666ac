"""`platform: local` is NNI's local mode: trials run in trialCodeDirectory. `amlc.workingDirectory: copy` is AML's way."""

import pytest

AML = {"platform": "aml", "subscriptionId": "s", "resourceGroup": "r", "workspaceName": "w", "computeTarget": "c"}
AML["dockerImage"] = "i"
NFS = {"storageType": "NFS", "nfsServer": "10.0.0.1", "exportedDirectory": "/e", "localMountPoint": "/mnt/l"}
NFS |= {"remoteMountPoint": "r", "localMounted": "usermount"}
LEAVES = (
    'cat ../data/x inner/x > "found-$NNI_TRIAL_SEQ_ID"; pwd > "$NNI_OUTPUT_DIR/pwd"; [ "$NNI_CODE_DIR" = "$(pwd -P)" ]'
)


@pytest.fixture
def project(make_project):
    """Return a function that makes a project whose trials read beside and below their folder, and leave a file."""

    def make(**keys):
        one = make_project("project").write(LEAVES, values=range(2), **keys)
        for name in ("data", "code/inner"):
            (one.root / name).mkdir()
            (one.root / name / "x").write_text(f"{name}\n")
        return one

    return make


def found(folder):
    return {path.name: path.read_text() for path in folder.glob("found-*")}


def works(project):
    return sorted(project.root.glob(".amlc/*/runs/*/work"))


@pytest.mark.parametrize("packed", [1, 2])
def test_trials_of_the_local_platform_run_in_the_code_directory(project, packed):
    one = project(amlc={"trialsPerJob": packed})
    one.amlc("run", "experiment.yml")
    both = "data\ncode/inner\n"
    assert found(one.root / "code") == {"found-0": both, "found-1": both}
    (folder,) = {path.read_text() for path in one.root.glob(".amlc/*/runs/*/outputs/amlc/*/nnioutput/pwd")}
    assert folder.strip() == str((one.root / "code").resolve())
    assert not works(one)
    assert (one.root / "build" / "probe" / "code" / "inner" / "x").exists()  # the record


def test_a_copy_keeps_what_the_trial_wrote_and_nothing_else(project):
    one = project(amlc={"workingDirectory": "copy"})
    script = "echo new > new; echo changed >> inner/x; mkdir deep; echo 1 > deep/one"
    one.write(script, values=[1], amlc={"workingDirectory": "copy"})
    one.amlc("run", "experiment.yml")
    (work,) = works(one)
    left = {path.relative_to(work).as_posix(): path.read_text() for path in work.rglob("*") if path.is_file()}
    assert left == {"new": "new\n", "inner/x": "code/inner\nchanged\n", "deep/one": "1\n"}
    assert not (one.root / "code" / "new").exists()


@pytest.mark.parametrize("keys", [{}, {"sharedStorage": NFS}], ids=["plain", "NFS"])
def test_an_aml_file_is_rehearsed_in_a_copy(project, keys):
    one = project(trainingService=AML, **keys)
    one.write("cat inner/x; ! cat ../data/x || exit 1", values=[1], trainingService=AML, **keys)
    one.amlc("run", "experiment.yml", "--backend", "local")
    one.write(LEAVES, values=[2], trainingService=AML, amlc={"workingDirectory": "trialCodeDirectory"}, **keys)
    one.amlc("run", "experiment.yml", "--backend", "local")
    assert len(found(one.root / "code")) == 1


def test_the_limits_of_an_upload_are_none_of_local_runs(project):
    one = project()
    one.write(LEAVES)
    for number in range(2_001):
        (one.root / "code" / f"{number}.txt").touch()
    one.amlc("validate", "experiment.yml")
    one.write(LEAVES, trainingService=AML)
    assert "a snapshot holds at most 2,000 files" in one.amlc("validate", "experiment.yml", code=1).stderr


def test_where_only_the_build_folder_was_brought_along_its_snapshot_runs(project):
    one = project()
    one.write("cat ../data/x || exit 1", values=[0]).compile()
    (one.root / "code").rename(one.root / "elsewhere")
    (one.root / "experiment.yml").rename(one.root / "elsewhere.yml")
    one.amlc("submit", code=1)
    assert "../data/x" in one.amlc("status").stdout.decode()
