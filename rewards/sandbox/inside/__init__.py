"""What runs inside the jail: the warm interpreter (zygote.py) and the two kinds of process that it forks.

candidate.py runs a model's program, examiner.py a data set's test code; wire.py is what they speak, confine.py and
seccomp.py what they are held by. The jail sees this directory and nothing else of the project, so these modules import
the standard library and each other only.
"""
