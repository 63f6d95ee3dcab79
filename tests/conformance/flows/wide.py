"""Several tasks side by side; shell scripts, to be quick."""
from flytekit import ContainerTask, kwtypes, workflow

WIDTH = 4
SCRIPT = "echo start >> {{.inputs.directory}}/times; sleep 0.2; echo end >> {{.inputs.directory}}/times"
step = ContainerTask(name="wide.step", image="debian:12", command=["sh", "-c", SCRIPT], inputs=kwtypes(directory=str))


@workflow
def wide(directory: str):
    for _ in range(WIDTH):
        step(directory=directory)
