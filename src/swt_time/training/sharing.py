"""The state of a run that is resumed, given by the first of several processes to the others."""

import json

from safetensors.torch import load, save

from swt_time.processes import Processes
from swt_time.training.state import TrainingState


def share_state(state: TrainingState | None, processes: Processes) -> TrainingState | None:
    """Return the state that the first process gave; None for a new run."""
    if processes.alone:
        return state
    content = {}
    if state is not None:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        content = {"progress": json.dumps(state.progress).encode(), "tensors": save(tensors)}
    shared = processes.share(content)
    return TrainingState(json.loads(shared["progress"]), load(shared["tensors"])) if shared else None
