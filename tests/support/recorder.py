"""A callback that records what it is told."""

from swt_time.callbacks import Callback


class Recorder(Callback):
    """The calls in order, as pairs of the name of a method and its argument."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, run):
        self.calls.append(("begin", run))

    def on_validation(self, validation):
        self.calls.append(("validation", validation))

    def on_train_end(self, result):
        self.calls.append(("end", result))

    @property
    def names(self):
        return [name for name, _ in self.calls]

    @property
    def run(self):
        return dict(self.calls)["begin"]

    @property
    def result(self):
        return dict(self.calls)["end"]

    @property
    def steps(self):
        return [one.step for name, one in self.calls if name == "validation"]
