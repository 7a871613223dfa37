"""A taskset for a real verifiers v1 server: a sum is to be told. Run by a Python that has `verifiers`.

adding_double.py speaks the same protocol, with the same tasks and a tool beside, without the package.
"""

import re

import verifiers.v1 as vf


class AddingData(vf.TaskData):
    one: int = 0
    two: int = 0


class AddingTask(vf.Task[AddingData]):
    @vf.reward
    async def told(self, trace) -> float:
        said = [str(node.message.content) for node in trace.nodes if node.message.role == "assistant"]
        return float(bool(said) and re.search(rf"\b{self.data.one + self.data.two}\b", said[-1]) is not None)


class AddingTaskset(vf.Taskset[AddingTask]):
    def load(self):
        for n in range(20):
            data = AddingData(prompt=f"How much is {n} and {n + 3}?", one=n, two=n + 3)
            yield AddingTask(data, self.config.task)


__all__ = ["AddingTaskset"]
