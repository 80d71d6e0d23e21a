"""A callback that records what a job reports."""

from tomopicker.pipeline.callbacks import NullCallback
from tomopicker.training.loop import Report


class RecordingCallback(NullCallback):
    """Records messages and warnings, in `lines` together, and the names of trainings in `jobs`."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.lines: list[str] = []
        self.jobs: set[str] = set()

    def log(self, text: str) -> None:
        self.messages.append(text)
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self.lines.append(text)

    def on_train(self, job: str, report: Report) -> None:
        self.jobs.add(job)
