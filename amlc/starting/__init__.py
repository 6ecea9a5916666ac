"""What a first experiment is made of.

`script` reads which parameters a trial script takes, `space` proposes a range for each, `project`
has the files that stand beside an experiment.
"""
